"""Makes a valid command from a command line, or from the keywords of a call."""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pipeline import ConfigError
from pipeline.cli.command import Command, Flags, read_flags
from pipeline.cli.composition import Composition, compositions
from pipeline.cli.config import (
    WrongType,
    defaults,
    explain_unknown_key,
    located,
    refuse,
    validate,
)
from pipeline.cli.grid import Grid, merge
from pipeline.cli.rules import broken_rules, broken_rules_of_sweeps
from pipeline.cli.schema import KEYS, Schema
from pipeline.cli.values import MAX_VALUES, Choices, parse_value
from pipeline.cli.words import join_spaced, read_words

Item = TypeVar("Item")


def parse(arguments: Sequence[str], schema: Schema) -> Command:
    """Parse and validate the command line of a stage with this schema.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    flags, words = read_flags(arguments)
    return command_of(join_spaced(words, schema), read_words, schema, flags)


def command_of(
    items: Iterable[Item],
    read: Callable[[Item, Schema, Flags], tuple[str, object]],
    schema: Schema,
    flags: Flags,
) -> Command:
    """Return the command for what a user gives.

    If only some combinations of a sweep break a bound, they are kept, and their jobs
    fail.

    Args:
        items: What is given: words or keywords.
        read: Returns the key and the parsed value of an item, or a group and its
            `Choices`.
        schema: The schema of the stage.
        flags: The flags of the command.

    Raises:
        ConfigError: If something is invalid. If it cannot be read, rules about several
            settings are not checked, because some of them may be missing.
    """
    problems: list[str] = []
    values: dict[str, object] = {}
    groups: dict[str, Choices] = {}
    for item in items:
        try:
            key, value = read(item, schema, flags)
        except ConfigError as error:
            problems += error.problems
            continue
        # As in Hydra, the last one counts if a key is given several times.
        if isinstance(value, Choices):
            groups[key] = value
        else:
            values[key] = value
    try:
        composed = [*compositions(groups, flags)]
        for each in composed:
            _check_stage(each, schema, flags)
    except ConfigError as error:
        problems += error.problems
        composed = [Composition(defaults(), {})]  # replaces the values of files
    grids = []
    for each in composed:
        saved, unreadable = _read_saved(each, values, schema)
        problems += unreadable
        grids.append(merge(each, saved, values, schema))
    return _check(grids, schema, flags, problems)


def _check_stage(composed: Composition, schema: Schema, flags: Flags) -> None:
    """Check that the stage can run a sweep, or one that is saved in a file."""
    if flags.is_sweep and not schema.varied:
        raise ConfigError("only train and export accept -m")
    if composed.starts_sweep and not schema.has_experiments:
        raise ConfigError("only python -m pipeline.train accepts experiment")


def _read_saved(
    composed: Composition, given: Container[str], schema: Schema
) -> tuple[dict[str, object], list[str]]:
    """Return the values of a saved sweep that are not given, and a line per problem."""
    saved: dict[str, object] = {}
    problems: list[str] = []
    for key, word in composed.saved.items():
        if key not in given:
            try:
                saved[key] = parse_value(key, word.partition("=")[2], schema)
            except ConfigError as error:
                problems += (located(x, composed.files[key]) for x in error.problems)
    return saved, problems


def _check(
    grids: Sequence[Grid], schema: Schema, flags: Flags, unreadable: Sequence[str]
) -> Command:
    """Return the command if all rules hold, and if a combination is valid.

    If something is `unreadable`, rules about several settings are not checked.
    """
    problems = [*unreadable]
    settings: list[Mapping[str, Any]] = []
    choices: list[Mapping[str, str]] = []
    errors: list[ConfigError | None] = []  # the error of each combination
    try:
        for grid in grids:
            problems += _unknown_keys(grid, schema)
        if not unreadable:
            for grid in grids:
                problems += broken_rules(grid, schema)
            problems += broken_rules_of_sweeps(grids)
        _check_number(grids)
        for grid in grids:
            own = [*grid.settings()]
            settings += own
            choices += [grid.choices] * len(own)
            errors += [_error(values, schema, grid) for values in own]
            if grid.intervals:  # both ends of each interval must be valid
                ends = (*own, *grid.settings("high"))
                found = [_error(values, schema, grid) for values in ends]
                problems += (x for error in found if error for x in error.problems)
                problems += _linked_to_interval(grid)
    except ConfigError as error:  # there are no combinations
        problems += error.problems
    is_refused = bool(problems) or all(errors)
    for each in errors:
        if each and (is_refused or isinstance(each, WrongType)):
            problems += each.problems
    refuse(problems)
    varied, problems = _varied(grids, settings, schema)
    refuse(problems)
    return Command(
        values=settings[errors.index(None)],
        settings=settings,
        choices=choices,
        varied=varied,
        intervals=grids[0].intervals,
        is_sweep=any(grid.is_sweep for grid in grids),
        prints=flags.prints,
    )


def _error(values: Mapping[str, Any], schema: Schema, grid: Grid) -> ConfigError | None:
    """Return why a combination is invalid, or None."""
    try:
        validate(schema, values, grid.files)
    except ConfigError as error:
        return error
    return None


def _unknown_keys(grid: Grid, schema: Schema) -> Iterator[str]:
    """Yield a problem for each key in a file that no stage has."""
    for key in grid.values:
        if key not in KEYS:
            yield explain_unknown_key(key, schema, grid.files.get(key))


def _check_number(grids: Sequence[Grid]) -> None:
    """Check the number of combinations before they are listed."""
    number = 0
    for grid in grids:
        trials = grid.values.get("trials") if grid.intervals else None
        factor = trials if isinstance(trials, int) else 1
        number += math.prod(map(len, grid.swept.values())) * factor
    if number > MAX_VALUES:
        rule = f"a sweep must have at most {MAX_VALUES:,} combinations"
        keys = ", ".join(grids[0].swept) or "trials"
        raise ConfigError(f"{rule}: give fewer values of {keys}")


def _linked_to_interval(grid: Grid) -> Iterator[str]:
    """Yield a problem for each key that refers to a key with an interval."""
    pairs = zip(grid.settings(), grid.settings("high"), strict=True)
    for key in {key for low, high in pairs for key in low if low[key] != high[key]}:
        if key not in grid.intervals:
            problem = f"{key} must not refer to a setting with an interval"
            yield located(f"{problem}: give it a value", grid.files.get(key))


def _varied(
    grids: Sequence[Grid], settings: Sequence[Mapping[str, Any]], schema: Schema
) -> tuple[list[str], list[str]]:
    """Return the keys that a sweep varies, and a problem for each that it must not.

    Besides the keys with several values, these are the keys that refer to them, and
    those whose values differ between the parts of the sweep.
    """
    first, problems = settings[0], list[str]()
    varied = {key for grid in grids for key in (*grid.swept, *grid.intervals)}
    varied |= {key for each in settings for key in first if each[key] != first[key]}
    for key in sorted(varied & {*schema.model_fields} - {*schema.varied}):
        problem = f"{key} must have one value in a sweep: give it on the command line"
        paths = [grid.files[key] for grid in grids if key in grid.files]
        problems.append(located(problem, paths[-1] if paths else None))
    return [key for key in schema.varied if key in varied], problems
