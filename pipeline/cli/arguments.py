"""Turns a command line into the validated settings of a command, or of a sweep.

Hydra composes the files, once for each choice of groups; the values of the command line
replace those of the files. All problems are reported at once.
"""

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import ConfigError
from pipeline.cli.composition import Composition, compose, parse_choice
from pipeline.cli.config import as_text, check, choices, defaults, located
from pipeline.cli.schema import TEXT_KEYS, TRAINING_KEYS, Schema
from pipeline.cli.source import escape
from pipeline.cli.values import MAX_VALUES, Command, SweepValues, parse_value
from pipeline.cli.words import Words, read_words
from pipeline.paths import displayed

Settings = dict[str, Any]  # a value for each key


def parse(arguments: Sequence[str], schema: Schema) -> Command:
    """Parse and validate the command line of a stage with this schema.

    If only some combinations of a sweep are invalid, they are kept, and their jobs
    fail.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    words = read_words(arguments, schema)
    if words.flags.multirun and not schema.varied:
        words.problems.append("only train and export accept -m")
    parts: list[Composition] = []
    try:
        for part, saved in _compose(words, words.groups):
            if part.is_sweep and schema.varied != TRAINING_KEYS:
                raise ConfigError("only python -m pipeline.train accepts experiment")
            values = _parse_values(part, saved, words, schema)
            given = {*words.texts, *saved, *(part.given & {*schema.model_fields})}
            parts.append(_add(values, part, given, words, schema))
    except ConfigError as error:
        words.problems.append(str(error))
    return _command(parts, schema, words)


def sweep_of(schema: Schema, settings: Settings) -> Command:
    """Return a sweep of values that were passed from Python; lists have several.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    words = read_words(["-m"], schema)
    words.texts |= dict.fromkeys(settings, "")
    values: Settings = {}
    for key, value in settings.items():
        if isinstance(value, str) and key not in TEXT_KEYS:
            values[key] = parse_value(key, value, schema, sweep=True)
        elif isinstance(value, list):
            values[key] = SweepValues(value)
            if not value:
                words.problems.append(f"{key} has no value: give at least one")
        else:
            values[key] = escape(value)
    part = _add(values, compose(), {*settings}, words, schema)
    return _command([part], schema, words)


def _compose(
    words: Words, groups: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Composition, dict[str, str]]]:
    """Yield each composition, and the values of its saved sweep as they are typed.

    As in Hydra, a saved sweep counts only in a sweep.
    """
    flags = words.flags
    for overrides in itertools.product(*groups.values()):
        composed = compose(overrides, name=flags.config_name, folder=flags.config_dir)
        params = composed.params if words.is_sweep or composed.is_sweep else {}
        texts = {k: as_text(value) for k, value in params.items() if k not in groups}
        inner = {
            key: parse_choice(f"{key}={text}")
            for key, text in texts.items()
            if choices(key, words.folders) is not None
        }
        if inner:
            fixed = dict(zip(groups, ([each] for each in overrides), strict=True))
            yield from _compose(words, {**fixed, **inner})
        else:
            yield composed, texts


def _parse_values(
    composed: Composition, saved: Mapping[str, str], words: Words, schema: Schema
) -> Settings:
    """Parse the values of the command line and of a saved sweep."""
    values: Settings = {}
    is_sweep = words.is_sweep or composed.is_sweep
    for key, text in {**saved, **words.texts}.items():
        try:
            value = parse_value(key, text, schema, sweep=is_sweep)
            values[key] = escape(value) if key in TEXT_KEYS else value
        except ConfigError as error:
            path = composed.files.get(key) if key not in words.texts else None
            words.problems.append(located(str(error), path))
    return values


def _add(
    values: Settings,
    composed: Composition,
    given: Set[str],
    words: Words,
    schema: Schema,
) -> Composition:
    """Add parsed values to a composition; a sweep refuses some of the given keys."""
    values = {**composed.values, **values}
    is_sweep = words.is_sweep or composed.is_sweep
    if is_sweep:
        refused = [key for key in schema.no_sweep if key in given]
        refused = [key for key in refused if values[key] not in (None, True)]
        words.problems += [f"{key} {schema.no_sweep[key]}" for key in refused]
        given = given - {*schema.only_sweeps}
    # The keys that a sweep can vary are first, in the order of the names of its runs.
    order = dict.fromkeys([*schema.varied, *values])
    return replace(
        composed,
        values={key: values[key] for key in order if key in values},
        files={k: x for k, x in composed.files.items() if k not in words.texts},
        # Without all values, nothing can be said about rules for several keys.
        given=frozenset() if words.lacks_group else frozenset(given),
        is_sweep=is_sweep,
    )


def _command(parts: Sequence[Composition], schema: Schema, words: Words) -> Command:
    """Check all settings, and return the command; raise all problems at once."""
    is_sweep = any(part.is_sweep for part in parts)
    if is_sweep and not words.problems:
        words.problems += _check_search(parts)
    settings, errors = _check(parts, schema, words)
    if words.problems or all(errors):
        lines = itertools.chain(words.problems, *errors)
        raise ConfigError("\n".join(dict.fromkeys(lines)))
    valid = errors.index([])
    return Command(
        values=settings[valid],
        settings=settings,
        varied=_varied(parts, settings, schema),
        intervals=parts[0].intervals,
        given=parts[0].given,
        is_sweep=is_sweep,
        prints=words.flags.cfg is not None,
    )


def _check_search(parts: Sequence[Composition]) -> list[str]:
    """Check the number of settings, and that a search is possible."""
    counts, problems = 0, list[str]()
    for part in parts:
        trials, intervals = part.values["trials"], part.intervals
        number = trials if intervals and isinstance(trials, int) else 1
        counts += math.prod(map(len, part.swept.values())) * number
        if intervals and trials is None:
            rule = "trials, the number of suggestions, has no value: add trials=40"
            problems.append(rule)
        if trials is not None and not intervals:
            rule = "trials has no effect without an interval"
            problems.append(f"{rule}: add hidden=interval(4,128)")
    if counts > MAX_VALUES:
        rule = f"a sweep must have at most {MAX_VALUES:,} combinations"
        keys = ", ".join(parts[0].swept) or "trials"
        raise ConfigError(f"{rule}: give fewer values of {keys}")
    if len(parts) > 1 and any(part.intervals for part in parts):
        problems.append(
            "a search cannot be joined with another sweep: run them separately"
        )
    return problems


def _check(
    parts: Sequence[Composition], schema: Schema, words: Words
) -> tuple[list[Settings], list[list[str]]]:
    """Return the settings of all parts, and the problems of each.

    Other problems, which concern all of them, are added to those of the words.
    """
    settings, errors = list[Settings](), list[list[str]]()
    for part in parts:
        try:
            own = [*part.settings()]
            highest = [*part.settings("high")] if part.intervals else []
        except ConfigError as error:  # of a reference
            words.problems.append(str(error))
            continue
        found = [check(schema, each, part.given, part.files)[1] for each in own]
        settings += own
        errors += found
        if part.intervals:  # both ends of each interval must be valid
            ends = [check(schema, each, part.given, part.files)[1] for each in highest]
            words.problems += itertools.chain(*found, *ends)
        if os.environ.get("DVC_STAGE"):
            words.problems += _differences(own[0], schema, part.files)
    return settings, errors


def _differences(
    values: Settings, schema: Schema, files: Mapping[str, Path]
) -> list[str]:
    """Return a problem for each value of a file that DVC does not know.

    DVC records conf/config.yaml and the command line.
    """
    rule = "differs from conf/config.yaml, the only file that DVC records: set it there"
    return [
        f"{key}={as_text(values[key])} in {displayed(files[key])} {rule}"
        for key in schema.model_fields
        if key in files and values[key] != defaults()[key]
    ]


def _varied(
    parts: Sequence[Composition], settings: Sequence[Settings], schema: Schema
) -> list[str]:
    """Return the keys that a sweep varies, or that differ between its parts.

    Raises:
        ConfigError: If other keys differ, because they apply to the whole sweep.
    """
    varied = {key for part in parts for key in (*part.swept, *part.intervals)}
    if len(parts) > 1:
        first = settings[0]
        differ = [k for k in first if any(each[k] != first[k] for each in settings)]
        for key in differ:
            if key in schema.model_fields and key not in schema.varied:
                rule = "differs between the parts of a sweep"
                raise ConfigError(f"{key} {rule}: give it on the command line")
        varied |= {*differ}
    return [key for key in schema.varied if key in varied]
