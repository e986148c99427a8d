"""Creates a valid command from a command line, or from the keywords of a call.

The docstring of `pipeline.cli` lists the steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline import ConfigError
from pipeline.cli.command import (
    SAVED_SWEEPS,
    Combination,
    Command,
    Interval,
    Overrides,
    Setting,
    Several,
)
from pipeline.cli.composition import (
    Composition,
    accepts_invalid_values,
    all_combinations,
    invalid_values,
    varied_groups,
)
from pipeline.cli.default_values import defaults
from pipeline.cli.flags import Flags, read_flags
from pipeline.cli.overrides import read_arguments, read_keywords
from pipeline.cli.problems import as_text, reject
from pipeline.cli.reserved_names import check_groups
from pipeline.cli.rules import broken_rules
from pipeline.cli.schema import KEYS, ConfigT
from pipeline.cli.selected_files import compose_all
from pipeline.cli.validation import explain_unknown_key


def parse(arguments: Sequence[str], schema: type[ConfigT]) -> Command[ConfigT]:
    """Parse and validate the command line of a stage with this schema.

    Raises:
        ConfigError: If the command line is invalid; the message has one line per
            problem.
    """
    flags, others = read_flags(arguments)
    given = read_arguments(others, schema, flags)
    return _make_command(given, schema, flags)


def parse_keywords(
    settings: Mapping[str, Any], schema: type[ConfigT], *, is_multirun: bool
) -> Command[ConfigT]:
    """Validate the settings of a call from Python, like `parse`."""
    flags = Flags(multirun=is_multirun, is_call=True)
    given = read_keywords(settings, schema, flags)
    return _make_command(given, schema, flags)


def _make_command(
    given: Overrides, schema: type[ConfigT], flags: Flags
) -> Command[ConfigT]:
    """Return the command that a user has given.

    For `train hiden=3 hidden=0`, the error has two problems: hiden is not a setting,
    and hidden must be at least 1. The rules about several settings need all settings,
    so they are checked only if all arguments and files can be read.

    Raises:
        ConfigError: If settings or files are invalid, with the problems of all steps.
    """
    check_groups(flags)
    try:
        compositions = [*compose_all(given, schema, flags)]
    except ConfigError as error:
        invalid = invalid_values([_without_files(given, schema)])
        raise ConfigError(*given.problems, *error.problems, *invalid) from None
    problems = [*given.problems, *_unknown_keys(compositions, flags)]
    problems = problems or [*broken_rules(compositions, flags)]
    invalid = invalid_values(compositions)
    if problems or (invalid and not accepts_invalid_values(compositions)):
        raise ConfigError(*problems, *invalid)
    # Saved sweeps add combinations, but their group is not a varied setting.
    groups = [group for group in varied_groups(compositions) if group != SAVED_SWEEPS]
    return Command(
        schema,
        all_combinations(compositions),
        is_multirun=any(each.is_multirun for each in compositions),
        varied=[*groups, *_varied_keys(compositions)],
        intervals=compositions[0].intervals,
        prints_settings=flags.prints_settings,
    )


def _without_files(given: Overrides, schema: type[ConfigT]) -> Composition:
    """Return the given settings with all other defaults, if files cannot be read."""
    others = {key: Setting(x, is_chosen=False) for key, x in defaults().items()}
    return Composition(
        schema, {**others, **given.settings}, options={}, is_multirun=False
    )


def _unknown_keys(compositions: Sequence[Composition], flags: Flags) -> Iterator[str]:
    """Yield a problem for each key in a file that is not a setting."""
    for each in compositions:
        for key, setting in each.settings.items():
            if key not in KEYS:
                yield explain_unknown_key(key, each.schema, flags.groups, setting.path)


def _varied_keys(compositions: Sequence[Composition]) -> list[str]:
    """Return the keys that vary.

    A key varies if it has several values, if it refers to a key with several values, or
    if its value differs between compositions. If no key of a sweep varies, the result
    is the seed, so that each training run has a value in names and tables.

    Raises:
        ConfigError: If a key varies that must have one value in a sweep.
    """
    varied = {
        key
        for composition in compositions
        for key, setting in composition.settings.items()
        if isinstance(setting.value, Several | Interval)
    }
    combinations = all_combinations(compositions)
    first, *others = (combination.values for combination in combinations)
    for other in others:
        varied |= {key for key, value in first.items() if other[key] != value}
    schema = compositions[0].schema
    fixed = varied & ({*schema.model_fields} - {*schema.can_vary})
    reject(_lacks_one_value(key, combinations) for key in sorted(fixed))
    if not varied and any(each.is_multirun for each in compositions):
        varied = {"seed"}
    return [key for key in schema.can_vary if key in varied]


def _lacks_one_value(key: str, combinations: Sequence[Combination]) -> str:
    """Return the message about several values of a setting that no sweep can vary."""
    values = dict[str, str]()  # each value, with the options of its first combination
    for each in combinations:
        options = " ".join(f"{group}={name}" for group, name in each.options.items())
        values.setdefault(as_text(each.values[key]), options)
    found = [f"{x} with {options}" if options else x for x, options in values.items()]
    return (
        f"{key} must have one value in a sweep, got {' and '.join(found[:2])}: "
        f"add {key}= with one of them"
    )
