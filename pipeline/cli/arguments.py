"""Makes a valid command from a command line, or from the keywords of a call.

The docstring of `pipeline.cli` lists the steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
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

    Raises:
        ConfigError: If settings or files are invalid, with the problems of all steps.
    """
    _check_groups(flags.folders)
    compositions, problems = _compose(given, schema, flags)
    too_many = _too_many(compositions)
    listed = 1 if too_many else None  # the rules need only the first combination
    lists = [[*islice(_combinations(each, schema), listed)] for each in compositions]
    combinations = [*chain.from_iterable(lists)]
    if not problems:  # otherwise, settings may be missing
        firsts = [each[0] for each in lists]
        problems += broken_rules(compositions, firsts, schema, flags)
    problems += too_many
    errors = [each.error for each in combinations if each.error]
    if not problems and _keeps_invalid(combinations, compositions, schema):
        errors = [error for error in errors if isinstance(error, WrongType)]
    for error in errors:
        problems += error.problems
    reject(problems)

    keys = _varied_keys(compositions, combinations)
    fixed = keys & ({*schema.model_fields} - {*schema.can_vary})
    reject(_lacks_one_value(key, combinations) for key in sorted(fixed))
    valid = next(each for each in combinations if not each.error)
    return Command(
        config=validate(schema, valid.values),
        options=valid.options,
        combinations=combinations,
        is_sweep=any(each.is_sweep for each in compositions),
        varied=[
            *_varied_groups(compositions),
            *(key for key in schema.can_vary if key in keys),
        ],
        intervals=compositions[0].intervals,
        prints=flags.prints,
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


def _compose(
    given: Overrides, schema: Schema, flags: Flags
) -> tuple[Sequence[Composition], list[str]]:
    """Return the compositions, and the problems of the arguments and the files.

    If the files cannot be composed, the given settings are still checked: the
    composition then has these settings, and the defaults of all others.
    """
    problems, compositions = [*given.problems], list[Composition]()
    with collected(problems):
        compositions = [*compose_all(given, schema, flags)]
    for each in compositions:
        for key, setting in each.settings.items():
            if key not in KEYS:  # in a file
                groups = flags.folders.groups
                problem = explain_unknown_key(key, schema, groups, setting.path)
                problems.append(problem)
    if not compositions:
        settings = {
            key: Setting(value, is_wanted=False) for key, value in defaults().items()
        }
        settings |= given.settings
        compositions = [Composition(settings, options={}, is_sweep=False)]
    return compositions, problems


def _too_many(compositions: Sequence[Composition]) -> list[str]:
    """Return a problem if a sweep has too many combinations to list them."""
    if sum(each.number() for each in compositions) <= MAX_VALUES:
        return []
    settings = compositions[0].settings.items()
    keys = [key for key, each in settings if isinstance(each.value, Several)]
    rule = f"a sweep must have at most {MAX_VALUES:,} combinations"
    return [f"{rule}: give fewer values of {', '.join(keys) or 'trials'}"]


def _combinations(composition: Composition, schema: Schema) -> Iterator[Combination]:
    """Check and yield all combinations, with the lower bound of each interval."""
    lows = composition.combinations(high=False)
    highs = composition.combinations(high=True)
    for low, high in zip(lows, highs, strict=True):
        checked = _check(low, composition, schema)
        if composition.intervals:
            checked_high = _check(high, composition, schema)
            checked = _check_interval(checked, checked_high, composition)
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
    problems = [problem for error in errors for problem in error.problems]
    for key, setting in composition.settings.items():
        differs = low.values.get(key) != high.values.get(key)
        if differs and not setting.is_varied and not errors:
            rule = "must not refer to a setting with an interval: give it a value"
            problems.append(located(f"{key} {rule}", setting.path))
    error = ConfigError(*problems) if problems else None
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


def _varied_groups(compositions: Sequence[Composition]) -> list[str]:
    """Return the groups of which a sweep has several options.

    The group `experiment` is not included, because its options, saved sweeps, only list
    combinations.
    """
    options = options_by_group(compositions)
    varied = [group for group, names in options.items() if len(names) > 1]
    return [group for group in varied if group != "experiment"]


def _varied_keys(
    compositions: Sequence[Composition], combinations: Sequence[Combination]
) -> set[str]:
    """Return the keys that vary.

    A key varies if it has several values, if it refers to a key with several values, or
    if its value differs between compositions.
    """
    varied = set[str]()
    for composition in compositions:
        for key, setting in composition.settings.items():
            if setting.is_varied:
                varied.add(key)
    first, *others = (each.values for each in combinations)
    for other in others:
        varied |= {key for key, value in first.items() if other[key] != value}
    return varied


def _lacks_one_value(key: str, combinations: Sequence[Combination]) -> str:
    """Return the message about several values of a setting that no sweep can vary."""
    values = dict[str, str]()  # each value, with the options of its first combination
    for each in combinations:
        options = " ".join(f"{group}={name}" for group, name in each.options.items())
        values.setdefault(as_text(each.values[key]), options)
    found = [f"{x} with {options}" if options else x for x, options in values.items()]
    rule = f"{key} must have one value in a sweep, got {' and '.join(found[:2])}"
    return f"{rule}: add {key}= with one of them"
