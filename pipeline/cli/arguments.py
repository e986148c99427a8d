"""Makes a valid command from a command line, or from the keywords of a call.

See `_make_command` for the steps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.cli.command import (
    Combination,
    Command,
    Composition,
    Setting,
    Several,
    options_by_group,
)
from pipeline.cli.composition import compose_all, resolve
from pipeline.cli.default_values import defaults
from pipeline.cli.flags import ConfigFolders, Flags, read_flags
from pipeline.cli.overrides import Overrides, read_arguments, read_keywords
from pipeline.cli.problems import WrongType, as_text, collected, located, reject
from pipeline.cli.reserved_names import ARGUMENTS, COLUMNS, TAGS
from pipeline.cli.rules import broken_rules
from pipeline.cli.schema import KEYS, ConfigT, Schema
from pipeline.cli.validation import explain_unknown_key, valid_values, validate
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
    given: Overrides, schema: type[ConfigT], flags: Flags
) -> Command[ConfigT]:
    """Return the command that a user has given.

    1. The files are composed with each option of the groups, such as team=small,large,
       and given settings replace the values of files. Without files, the given
       settings are still checked.
    2. The rules about several settings are checked if everything could be read;
       otherwise, settings may be missing.
    3. Each combination of the values is checked against the schema.
    4. The command is rejected with all problems of these steps. If there is none, a
       sweep keeps combinations that break a bound.

    Raises:
        ConfigError: If a setting or a file is invalid; the message has one line per
            problem.
    """
    _check_groups(flags.folders)
    problems = [*given.problems]
    compositions = [_without_files(given)]
    with collected(problems):
        compositions = [*compose_all(given, schema, flags)]
    problems += _unknown_keys(compositions, schema, flags.folders)
    if not problems:
        firsts = [next(_combinations([each], schema)) for each in compositions]
        problems += broken_rules(compositions, firsts, schema, flags)
    combinations = list[Combination]()
    with collected(problems):
        _check_number(compositions)
        combinations += _combinations(compositions, schema)
    errors = [each.error for each in combinations if each.error]
    if not problems and _keeps_invalid(combinations, compositions, schema):
        errors = [each for each in errors if isinstance(each, WrongType)]
    reject([*problems, *(line for each in errors for line in each.problems)])
    valid = next(each for each in combinations if not each.error)
    return Command(
        config=validate(schema, valid.values),
        options=valid.options,
        combinations=combinations,
        varied=_varied(compositions, combinations, schema),
        intervals=compositions[0].intervals,
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


def _without_files(given: Overrides) -> Composition:
    """Return the given settings, and the defaults of all other settings."""
    others = {k: Setting(x, is_wanted=False) for k, x in defaults().items()}
    return Composition({**others, **given.settings}, options={}, is_sweep=False)


def _unknown_keys(
    compositions: Sequence[Composition], schema: Schema, folders: ConfigFolders
) -> Iterator[str]:
    """Yield a problem for each key in a file that no stage has."""
    for each in compositions:
        for key, setting in each.settings.items():
            if key not in KEYS:
                yield explain_unknown_key(key, schema, folders.groups, setting.path)


def _check_number(compositions: Sequence[Composition]) -> None:
    """Check the number of combinations before they are listed."""
    if sum(each.number() for each in compositions) > MAX_VALUES:
        settings = compositions[0].settings.items()
        keys = [key for key, each in settings if isinstance(each.value, Several)]
        rule = f"a sweep must have at most {MAX_VALUES:,} combinations"
        raise ConfigError(f"{rule}: give fewer values of {', '.join(keys) or 'trials'}")


def _combinations(
    compositions: Iterable[Composition], schema: Schema
) -> Iterator[Combination]:
    """Check and yield all combinations, with the lower bound of each interval."""
    for each in compositions:
        lows, highs = (each.combinations(high=high) for high in (False, True))
        for low, high in zip(lows, highs, strict=True):
            checked = _check(low, each, schema)
            if each.intervals:
                checked = _check_interval(checked, _check(high, each, schema), each)
            yield checked


def _check(
    values: Mapping[str, Any], composition: Composition, schema: Schema
) -> Combination:
    """Resolve the references of a combination, and validate its values."""
    files, options = composition.files, composition.options
    try:
        values = resolve(values, files)
        return Combination(dict(validate(schema, values, files)), options)
    except ConfigError as error:
        given = {key: values[key] for key in schema.model_fields if key in values}
        known = {**given, **valid_values(schema, values)}
        return Combination(known, options, error)


def _check_interval(
    low: Combination, high: Combination, composition: Composition
) -> Combination:
    """Return the combination of the lower bounds, with the errors of both bounds.

    A search sets only the keys that have an interval, so no key may refer to them.
    """
    errors = [each.error for each in (low, high) if each.error]
    problems = [line for error in errors for line in error.problems]
    for key, setting in composition.settings.items():
        differs = low.values.get(key) != high.values.get(key)
        if differs and not setting.is_varied and not errors:
            rule = "must not refer to a setting with an interval: give it a value"
            problems.append(located(f"{key} {rule}", setting.path))
    error = ConfigError("\n".join(problems)) if problems else None
    return replace(low, error=error)


def _keeps_invalid(
    combinations: Sequence[Combination],
    compositions: Sequence[Composition],
    schema: Schema,
) -> bool:
    """Return whether a sweep keeps invalid combinations, whose jobs then fail.

    A recorded sweep keeps those that break a bound, or name something that does not
    exist, unless all combinations are invalid. A search keeps none.
    """
    has_valid = not all(each.error for each in combinations)
    is_search = any(each.intervals for each in compositions)
    return has_valid and schema.has_recorded_sweeps and not is_search


def _varied(
    compositions: Sequence[Composition],
    combinations: Sequence[Combination],
    schema: Schema,
) -> list[str]:
    """Return the groups and the keys that a sweep varies, or its seed if none vary.

    A key varies if it has several values, if it refers to a key with several values, or
    if its value differs between compositions. The group `experiment` is not included,
    because its options, saved sweeps, only list combinations.

    Raises:
        ConfigError: If a key varies that must have the same value in the whole sweep.
    """
    first, *others = (each.values for each in combinations)
    settings = [pair for each in compositions for pair in each.settings.items()]
    varied = {key for key, setting in settings if setting.is_varied}
    varied |= {key for key in first for other in others if other[key] != first[key]}
    fixed = varied & ({*schema.model_fields} - {*schema.can_vary})
    reject(_lacks_one_value(key, combinations) for key in sorted(fixed))
    options = options_by_group(compositions)
    groups = [x for x, names in options.items() if len(names) > 1 and x != "experiment"]
    keys = [key for key in schema.can_vary if key in varied]
    if not keys and any(each.is_sweep for each in compositions):
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
