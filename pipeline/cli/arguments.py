"""Makes a valid command from a command line, or from the keywords of a call."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.base.tags import TAGS
from pipeline.cli.command import Combination, Command, Flags, read_flags
from pipeline.cli.composition import Composition, compositions
from pipeline.cli.config import (
    WrongType,
    explain_unknown_key,
    valid_values,
    validate,
)
from pipeline.cli.default_values import defaults
from pipeline.cli.grid import Grid, merge
from pipeline.cli.items import join_spaced, read_words
from pipeline.cli.problems import located, reject
from pipeline.cli.rules import broken_rules, broken_rules_of_sweeps
from pipeline.cli.schema import KEYS, SCHEMAS, ConfigT, Schema
from pipeline.cli.values import MAX_VALUES, Choices

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
    _check_groups(flags)
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
        grids = [merge(each, values, schema) for each in composed]
    except ConfigError as error:
        problems += error.problems
        # The defaults replace the values of files.
        grids = [merge(Composition(defaults(), {}), values, schema)]
    return _validated_command(grids, schema, flags, problems)


def _check_groups(flags: Flags) -> None:
    """Check the names of groups, which are keys of settings and tags of runs."""
    for name in sorted({*flags.groups} & (KEYS | TAGS) - {"experiment"}):
        what = "setting" if name in KEYS else "tag of this project"
        rule = f"a group must not have the name of a {what}: rename the folder"
        folder = next(each for each in flags.folders if (each / name).is_dir())
        raise ConfigError(f"{rule} {name} in {displayed(folder)}")


def _check_stage(composed: Composition, schema: Schema, flags: Flags) -> None:
    """Check that the stage can run a sweep, or one that is saved in a file."""
    if flags.is_sweep and not schema.varied:
        stages = " and ".join(each.stage() for each in SCHEMAS if each.varied)
        raise ConfigError(f"only {stages} accept -m")
    if composed.starts_sweep and not schema.has_recorded_sweeps:
        raise ConfigError("only python -m pipeline.train accepts experiment")


def _validated_command(
    grids: Sequence[Grid],
    schema: type[ConfigT],
    flags: Flags,
    unreadable: Sequence[str],
) -> Command[ConfigT]:
    """Return the command if all rules hold, and if a combination is valid.

    If something is `unreadable`, rules about several settings are not checked.
    """
    combinations, problems = _combinations_and_problems(
        grids, schema, flags, unreadable
    )
    valid = [each for each in combinations if not each.error]
    is_rejected = bool(problems) or not valid or not schema.has_recorded_sweeps
    for each in combinations:
        if each.error and (is_rejected or isinstance(each.error, WrongType)):
            problems += each.error.problems
    reject(problems)
    return Command(
        config=validate(schema, valid[0].valid, choices=valid[0].choices),
        combinations=combinations,
        varied=_varied(grids, combinations, schema),
        intervals=grids[0].intervals,
        is_sweep=any(grid.is_sweep for grid in grids),
        prints=flags.prints,
    )


def _combinations_and_problems(
    grids: Sequence[Grid], schema: Schema, flags: Flags, unreadable: Sequence[str]
) -> tuple[list[Combination], list[str]]:
    """Return all combinations, and the problems that do not belong to one of them."""
    problems = [*unreadable]
    combinations: list[Combination] = []
    try:
        for grid in grids:
            problems += _unknown_keys(grid, schema)
        if not unreadable:
            for grid in grids:
                problems += broken_rules(grid, schema, flags)
            problems += broken_rules_of_sweeps(grids)
        _check_number(grids)
        for grid in grids:
            combinations += (_combination(x, schema, grid) for x in grid.combinations())
            problems += _broken_intervals(grid, schema)
    except ConfigError as error:  # the combinations cannot be listed
        problems += error.problems
    return combinations, problems


def _combination(values: Mapping[str, Any], schema: Schema, grid: Grid) -> Combination:
    """Validate the values of a combination."""
    try:
        return Combination(dict(validate(schema, values, grid.files)), grid.choices)
    except ConfigError as error:
        valid = valid_values(schema, values)
        others = [key for key in schema.model_fields if key not in valid]
        invalid = {key: values[key] for key in others if key in values}
        return Combination(valid, grid.choices, invalid, error)


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


def _broken_intervals(grid: Grid, schema: Schema) -> Iterator[str]:
    """Yield a problem for each invalid end of an interval, and each key that uses it.

    A search sets only the key of the interval, and no key that refers to it.
    """
    if not grid.intervals:
        return
    lowest, highest = (grid.combinations(end) for end in ("low", "high"))
    for low, high in zip(lowest, highest, strict=True):
        for end in (low, high):
            if error := _combination(end, schema, grid).error:
                yield from error.problems
        for key in low:
            if key not in grid.intervals and low[key] != high[key]:
                rule = "must not refer to a setting with an interval: give it a value"
                yield located(f"{key} {rule}", grid.files.get(key))


def _varied(
    grids: Sequence[Grid], combinations: Sequence[Combination], schema: Schema
) -> list[str]:
    """Return the keys that a sweep varies.

    They have several values, refer to a key that has several, or have other values in
    another part of the sweep.

    Raises:
        ConfigError: If one of them must have the same value in the whole sweep.
    """
    first, *others = (each.values for each in combinations)
    varied = {key for grid in grids for key in (*grid.swept, *grid.intervals)}
    varied |= {key for key in first for other in others if other[key] != first[key]}
    rule = "must have one value in a sweep: give it on the command line"
    files = {key: path for grid in grids for key, path in grid.files.items()}
    fixed = {*schema.model_fields} - {*schema.varied}
    reject(located(f"{key} {rule}", files.get(key)) for key in sorted(varied & fixed))
    return [key for key in schema.varied if key in varied]
