"""Makes a valid command from a command line, or from the keywords of a call."""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.cli.command import Combination, Command, Flags, read_flags
from pipeline.cli.composition import Composition, compositions
from pipeline.cli.config import WrongType, explain_unknown_key, validate
from pipeline.cli.default_values import defaults
from pipeline.cli.grid import Grid, merge
from pipeline.cli.problems import located, refuse
from pipeline.cli.rules import broken_rules, broken_rules_of_sweeps
from pipeline.cli.schema import KEYS, ConfigT, Schema
from pipeline.cli.values import MAX_VALUES, Choices, parse_value
from pipeline.cli.words import join_spaced, read_words

Item = TypeVar("Item")


def parse(arguments: Sequence[str], schema: type[ConfigT]) -> Command[ConfigT]:
    """Parse and validate the command line of a stage with this schema.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    flags, words = read_flags(arguments)
    return command_of(join_spaced(words, schema), read_words, schema, flags)


def command_of(
    items: Iterable[Item],
    read: Callable[[Item, Schema, Flags], tuple[str, object]],
    schema: type[ConfigT],
    flags: Flags,
) -> Command[ConfigT]:
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
    for name in sorted(KEYS.intersection(flags.groups)):
        rule = "a group must not have the name of a setting: rename the folder"
        raise ConfigError(f"{rule} {name} in {displayed(flags.folders[-1])}")
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
    grids: Sequence[Grid],
    schema: type[ConfigT],
    flags: Flags,
    unreadable: Sequence[str],
) -> Command[ConfigT]:
    """Return the command if all rules hold, and if a combination is valid.

    If something is `unreadable`, rules about several settings are not checked.
    """
    problems = [*unreadable]
    combinations: list[Combination[ConfigT]] = []
    try:
        for grid in grids:
            problems += _unknown_keys(grid, schema)
        if not unreadable:
            for grid in grids:
                problems += broken_rules(grid, schema)
            problems += broken_rules_of_sweeps(grids)
        _check_number(grids)
        for grid in grids:
            own = [_combination(x, schema, grid) for x in grid.settings()]
            combinations += own
            if grid.intervals:  # both ends of each interval must be valid
                high = (_combination(x, schema, grid) for x in grid.settings("high"))
                problems += (x for each in (*own, *high) for x in each.problems)
                problems += _linked_to_interval(grid)
    except ConfigError as error:  # there are no combinations
        problems += error.problems
    valid = [each.config for each in combinations if each.config]
    # Only a job of `train` can fail while the others run.
    is_refused = bool(problems) or not valid or not schema.has_experiments
    for each in combinations:
        if is_refused or isinstance(each.error, WrongType):
            problems += each.problems
    refuse(problems)
    varied, problems = _varied(grids, [x.values for x in combinations], schema)
    refuse(problems)
    return Command(
        config=valid[0],
        combinations=combinations,
        varied=varied,
        intervals=grids[0].intervals,
        is_sweep=any(grid.is_sweep for grid in grids),
        prints=flags.prints,
    )


def _combination(
    values: Mapping[str, Any], schema: type[ConfigT], grid: Grid
) -> Combination[ConfigT]:
    """Validate the values of a combination."""
    try:
        config = validate(schema, values, grid.files, grid.choices)
    except ConfigError as error:
        return Combination(values, grid.choices, error=error)
    return Combination({**values, **dict(config)}, grid.choices, config)


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
