"""Makes a valid command from a command line, or from the keywords of a call."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.base.tags import TAGS
from pipeline.cli.command import Combination, Command, Flags, read_flags
from pipeline.cli.composition import compose_all
from pipeline.cli.config import (
    WrongType,
    explain_unknown_key,
    valid_values,
    validate,
)
from pipeline.cli.default_values import defaults
from pipeline.cli.given import Given, read_words
from pipeline.cli.problems import located, reject
from pipeline.cli.rules import broken_rules, broken_rules_of_sweeps
from pipeline.cli.schema import KEYS, ConfigT, Schema
from pipeline.cli.settings import Setting, Settings
from pipeline.cli.values import MAX_VALUES


def parse(arguments: Sequence[str], schema: type[ConfigT]) -> Command[ConfigT]:
    """Parse and validate the command line of a stage with this schema.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    flags, words = read_flags(arguments)
    return make_command(read_words(words, schema, flags), schema, flags)


def make_command(given: Given, schema: type[ConfigT], flags: Flags) -> Command[ConfigT]:
    """Return the command for what a user gives.

    If only some combinations of a sweep break a bound, they are kept, and their jobs
    fail.

    Raises:
        ConfigError: If something is invalid. If it cannot be read, rules about several
            settings are not checked, because some of them may be missing.
    """
    _check_groups(flags)
    problems = [*given.problems]
    try:
        parts = [*compose_all(given, schema, flags)]
    except ConfigError as error:
        problems += error.problems
        files = {k: Setting(x, is_wanted=False) for k, x in defaults().items()}
        parts = [Settings({**files, **given.settings}, choices={}, is_sweep=False)]
    combinations, others = _check(parts, schema, flags, is_readable=not problems)
    problems += others
    configs = [each.config for each in combinations if each.config]
    is_rejected = bool(problems) or not configs or not schema.has_recorded_sweeps
    for each in combinations:
        if each.error and (is_rejected or isinstance(each.error, WrongType)):
            problems += each.error.problems
    reject(problems)
    return Command(
        config=configs[0],
        combinations=combinations,
        varied=_varied(parts, combinations, schema),
        intervals=parts[0].intervals,
        is_sweep=any(part.is_sweep for part in parts),
        prints=flags.prints,
    )


def _check_groups(flags: Flags) -> None:
    """Check the names of groups, which are keys of settings and tags of runs."""
    for name in sorted({*flags.groups} & (KEYS | TAGS) - {"experiment"}):
        what = "setting" if name in KEYS else "tag of this project"
        rule = f"a group must not have the name of a {what}: rename the folder"
        folder = next(each for each in flags.folders if (each / name).is_dir())
        raise ConfigError(f"{rule} {name} in {displayed(folder)}")


def _check(
    parts: Sequence[Settings], schema: type[ConfigT], flags: Flags, *, is_readable: bool
) -> tuple[list[Combination[ConfigT]], list[str]]:
    """Return all combinations, and the problems that do not belong to one of them.

    Rules about several settings are checked only if everything `is_readable`.
    """
    combinations, problems = list[Combination[ConfigT]](), list[str]()
    try:
        for part in parts:
            problems += _unknown_keys(part, schema)
        if is_readable:
            for part in parts:
                problems += broken_rules(part, schema, flags)
            problems += broken_rules_of_sweeps(parts)
        _check_number(parts)
        for part in parts:
            values = part.combinations()
            combinations += (_combination(each, schema, part) for each in values)
            problems += _broken_intervals(part, schema)
    except ConfigError as error:  # the combinations cannot be listed
        problems += error.problems
    return combinations, problems


def _combination(
    values: Mapping[str, Any], schema: type[ConfigT], part: Settings
) -> Combination[ConfigT]:
    """Validate the values of a combination."""
    try:
        config = validate(schema, values, part.files).with_choices(part.choices)
        return Combination(dict(config), part.choices, config)
    except ConfigError as error:
        given = {key: values[key] for key in schema.model_fields if key in values}
        known = {**given, **valid_values(schema, values)}
        return Combination(known, part.choices, error=error)


def _unknown_keys(part: Settings, schema: Schema) -> Iterator[str]:
    """Yield a problem for each key in a file that no stage has."""
    for key, setting in part.by_key.items():
        if key not in KEYS:
            yield explain_unknown_key(key, schema, setting.path)


def _check_number(parts: Sequence[Settings]) -> None:
    """Check the number of combinations before they are listed."""
    number = 0
    for part in parts:
        trials = part.value("trials") if part.intervals else None
        factor = trials if isinstance(trials, int) else 1
        number += math.prod(map(len, part.lists.values())) * factor
    if number > MAX_VALUES:
        rule = f"a sweep must have at most {MAX_VALUES:,} combinations"
        keys = ", ".join(parts[0].lists) or "trials"
        raise ConfigError(f"{rule}: give fewer values of {keys}")


def _broken_intervals(part: Settings, schema: Schema) -> Iterator[str]:
    """Yield a problem for each invalid end of an interval, and each key that uses it.

    A search sets only the key of the interval, and no key that refers to it.
    """
    if not part.intervals:
        return
    lowest, highest = (part.combinations(end) for end in ("low", "high"))
    for low, high in zip(lowest, highest, strict=True):
        for end in (low, high):
            if error := _combination(end, schema, part).error:
                yield from error.problems
        for key in low:
            if key not in part.intervals and low[key] != high[key]:
                rule = "must not refer to a setting with an interval: give it a value"
                yield located(f"{key} {rule}", part.files.get(key))


def _varied(
    parts: Sequence[Settings],
    combinations: Sequence[Combination[ConfigT]],
    schema: Schema,
) -> list[str]:
    """Return the keys that a sweep varies.

    They have several values, refer to a key that has several, or have other values in
    another part of the sweep.

    Raises:
        ConfigError: If one of them must have the same value in the whole sweep.
    """
    first, *others = (each.values for each in combinations)
    varied = {key for part in parts for key in part.several}
    varied |= {key for key in first for other in others if other[key] != first[key]}
    fixed = varied & ({*schema.model_fields} - {*schema.can_vary})
    rule = "must have one value in a sweep: give it on the command line"
    files = {key: path for part in parts for key, path in part.files.items()}
    reject(located(f"{key} {rule}", files.get(key)) for key in sorted(fixed))
    return [key for key in schema.can_vary if key in varied]
