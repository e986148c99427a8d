"""Makes a valid command from a command line, or from the keywords of a call."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.base.tags import ARGUMENTS, COLUMNS, TAGS
from pipeline.cli.command import Combination, Command, Flags, read_flags
from pipeline.cli.composition import compose_all
from pipeline.cli.config import (
    WrongType,
    as_text,
    explain_unknown_key,
    valid_values,
    validate,
)
from pipeline.cli.default_values import defaults
from pipeline.cli.folders import ConfigFolders
from pipeline.cli.given import Given, read_arguments, read_keywords
from pipeline.cli.problems import collected, located, reject
from pipeline.cli.rules import broken_rules
from pipeline.cli.schema import KEYS, ConfigT, Schema
from pipeline.cli.settings import Part, Setting
from pipeline.cli.values import MAX_VALUES


def parse(arguments: Sequence[str], schema: type[ConfigT]) -> Command[ConfigT]:
    """Parse and validate the command line of a stage with this schema.

    Raises:
        ConfigError: If the command line is invalid; the message has one line per
            problem.
    """
    flags, others = read_flags(arguments)
    return _make_command(read_arguments(others, schema, flags.folders), schema, flags)


def parse_keywords(
    settings: Mapping[str, Any], schema: type[ConfigT], *, is_sweep: bool
) -> Command[ConfigT]:
    """Validate the settings of a call from Python, like `parse`."""
    flags = Flags(multirun=is_sweep, is_call=True)
    return _make_command(read_keywords(settings, schema, flags.folders), schema, flags)


def _make_command(
    given: Given, schema: type[ConfigT], flags: Flags
) -> Command[ConfigT]:
    """Return the command that a user has given.

    The command has a `Part` for each combination of options of groups: two parts for
    -m team=small,large. The command has the combinations of all parts.

    Raises:
        ConfigError: If a setting or a file is invalid.
    """
    _check_groups(flags.folders)
    problems = [*given.problems]
    try:
        parts = [*compose_all(given, schema, flags)]
    except ConfigError as error:
        problems += error.problems
        parts = [_without_files(given)]  # so that the given values are checked too
    problems += _unknown_keys(parts, schema, flags.folders)
    combinations = list[Combination]()
    with collected(problems):  # an error means that the combinations cannot be listed
        if not problems:  # otherwise, settings may be missing
            problems += broken_rules(parts, schema, flags)
        _check_number(parts)
        combinations += _combinations(parts, schema)
        problems += _broken_intervals(parts, schema)
    problems += _rejected(combinations, schema, keeps_invalid=not problems)
    reject(problems)
    valid = next(each for each in combinations if not each.error)
    return Command(
        config=validate(schema, valid.values),
        options=valid.options,
        combinations=combinations,
        varied=_varied(parts, combinations, schema),
        intervals=parts[0].intervals,
    )


def _check_groups(folders: ConfigFolders) -> None:
    """Check the names of groups, which become keys, tags of runs, and columns."""
    reserved = {
        "setting": KEYS,
        "tag of this project": TAGS,
        "column of the results of a sweep": COLUMNS,
        "keyword of the function of a stage": ARGUMENTS,
    }
    for what, names in reserved.items():
        for name in sorted({*folders.groups} & names):
            rule = f"a group must not have the name of a {what}: rename the folder"
            folder = next(x for x in folders.all if (x / name).is_dir())
            raise ConfigError(f"{rule} {name} in {displayed(folder)}")


def _without_files(given: Given) -> Part:
    """Return the given settings, and the defaults of all other settings."""
    others = {k: Setting(x, is_wanted=False) for k, x in defaults().items()}
    return Part({**others, **given.settings}, options={}, is_sweep=False)


def _combinations(parts: Sequence[Part], schema: Schema) -> Iterator[Combination]:
    """Yield all combinations, with the lower bound of each interval."""
    for part in parts:
        for values in part.combinations():
            yield _combination(values, schema, part)


def _combination(values: Mapping[str, Any], schema: Schema, part: Part) -> Combination:
    """Validate the values of a combination."""
    try:
        return Combination(dict(validate(schema, values, part.files)), part.options)
    except ConfigError as error:
        given = {key: values[key] for key in schema.model_fields if key in values}
        known = {**given, **valid_values(schema, values)}
        return Combination(known, part.options, error=error)


def _rejected(
    combinations: Sequence[Combination], schema: Schema, *, keeps_invalid: bool
) -> Iterator[str]:
    """Yield the problems of the combinations that are rejected.

    If only some combinations of a recorded sweep break a bound, or name something that
    does not exist, these combinations are kept, and their jobs fail.
    """
    errors = [each.error for each in combinations if each.error]
    has_valid = len(errors) < len(combinations)
    if keeps_invalid and has_valid and schema.has_recorded_sweeps:
        errors = [error for error in errors if isinstance(error, WrongType)]
    for error in errors:
        yield from error.problems


def _unknown_keys(
    parts: Sequence[Part], schema: Schema, folders: ConfigFolders
) -> Iterator[str]:
    """Yield a problem for each key in a file that no stage has."""
    for part in parts:
        for key, setting in part.by_key.items():
            if key not in KEYS:
                groups = folders.groups
                yield explain_unknown_key(key, schema, setting.path, groups=groups)


def _check_number(parts: Sequence[Part]) -> None:
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


def _broken_intervals(parts: Sequence[Part], schema: Schema) -> Iterator[str]:
    """Yield a problem for each invalid bound of an interval, and for each reference.

    A search sets only the key that has the interval, so no key may refer to this key.
    """
    for part in (each for each in parts if each.intervals):
        lowest, highest = (part.combinations(high=high) for high in (False, True))
        for low, high in zip(lowest, highest, strict=True):
            for bound in (low, high):
                if error := _combination(bound, schema, part).error:
                    yield from error.problems
            for key in low:
                if key not in part.intervals and low[key] != high[key]:
                    rule = "must not refer to a setting with an interval"
                    yield located(f"{key} {rule}: give it a value", part.files.get(key))


def _varied(
    parts: Sequence[Part],
    combinations: Sequence[Combination],
    schema: Schema,
) -> list[str]:
    """Return the groups and the keys that a sweep varies, or its seed if none vary.

    A key varies if it has several values, if it refers to a key with several values, or
    if its value differs between parts of the sweep. The group `experiment` is not
    included, because its options, saved sweeps, only list combinations.

    Raises:
        ConfigError: If a key varies that must have the same value in the whole sweep.
    """
    first, *others = (each.values for each in combinations)
    varied = {key for part in parts for key in part.several}
    varied |= {key for key in first for other in others if other[key] != first[key]}
    fixed = varied & ({*schema.model_fields} - {*schema.can_vary})
    reject(_lacks_one_value(key, combinations) for key in sorted(fixed))
    names = dict.fromkeys(group for part in parts for group in part.options)
    groups = [
        group
        for group in names
        if group != "experiment" and len({x.options.get(group) for x in parts}) > 1
    ]
    keys = [key for key in schema.can_vary if key in varied]
    if not keys and any(part.is_sweep for part in parts):
        keys = ["seed"]
    return [*groups, *keys]


def _lacks_one_value(key: str, combinations: Sequence[Combination]) -> str:
    """Return the message about several values of a setting that no sweep can vary."""
    values = dict[str, str]()  # each value, with the options of its first combination
    for each in combinations:
        options = " ".join(f"{group}={name}" for group, name in each.options.items())
        values.setdefault(as_text(each.values[key]), options)
    found = [f"{x} with {options}" if options else x for x, options in values.items()]
    rule = f"{key} must have one value in a sweep, got {' and '.join(found[:2])}"
    return f"{rule}: add {key}= with one of them"
