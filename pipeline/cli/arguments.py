"""Turns a command line into the validated settings of a command, or of a sweep.

Hydra composes the files, once for each choice of groups; the values of the command line
replace those of the files. All problems are reported at once.
"""

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import ConfigError
from pipeline.cli.composition import (
    Composition,
    choices,
    compose,
    parse_choice,
    resolve,
)
from pipeline.cli.config import as_text, check, defaults
from pipeline.cli.schema import TEXT_KEYS, TRAINING_KEYS, Schema
from pipeline.cli.source import escape
from pipeline.cli.values import MAX_VALUES, Command, Interval, SweepValues, parse_value
from pipeline.cli.words import Words, read_words
from pipeline.paths import displayed

Settings = dict[str, Any]  # a value for each key


@dataclass(frozen=True)
class Part:
    """A composition with the values of the command line; a sweep can have several."""

    composed: Composition
    values: Mapping[str, Any]  # of all keys; references are not resolved
    given: frozenset[str]  # the keys that must have an effect

    @property
    def swept(self) -> dict[str, SweepValues]:
        """The values of each key that a sweep varies."""
        return {k: x for k, x in self.values.items() if isinstance(x, SweepValues)}

    @property
    def intervals(self) -> dict[str, Interval]:
        """The interval of each key that a search varies."""
        return {k: x for k, x in self.values.items() if isinstance(x, Interval)}

    def settings(self, end: str = "low") -> Iterator[Settings]:
        """Yield all combinations of the swept values, with one end of each interval."""
        ends = {key: [getattr(x, end)] for key, x in self.intervals.items()}
        options: dict[str, list[Any]] = {**self.swept, **ends}
        for row in itertools.product(*options.values()):
            yield resolve({**self.values, **dict(zip(options, row, strict=True))})


def parse(arguments: Sequence[str], schema: Schema) -> Command:
    """Parse and validate the command line of a stage with this schema.

    If only some combinations of a sweep are invalid, they are kept, and their jobs
    fail.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    words = read_words(arguments, schema)
    problems = words.problems
    if words.flags.multirun and not schema.varied:
        problems.append("-m is an option of train and export only")
    try:
        composed = [*_compose(words, words.groups)]
        # An experiment that cannot be read is probably a sweep.
        is_sweep = words.flags.multirun or words.lacks_group
        is_sweep = is_sweep or any(part.is_sweep for part, _ in composed)
        if is_sweep and not words.flags.multirun and schema.varied != TRAINING_KEYS:
            rule = "experiment is an option of python -m pipeline.train only"
            raise ConfigError(rule)
        parts = [_part(*part, words, schema, is_sweep) for part in composed]
    except ConfigError as error:
        raise ConfigError("\n".join(dict.fromkeys([*problems, str(error)]))) from None
    return _command(parts, schema, words, is_sweep)


def _command(
    parts: Sequence[Part], schema: Schema, words: Words, is_sweep: bool
) -> Command:
    """Check all settings, and return the command; raise all problems at once."""
    problems = words.problems
    if is_sweep and not problems:
        problems += _check_search(parts)
    settings, errors = _check(parts, schema, words)
    if problems or all(errors):
        lines = itertools.chain(problems, *errors)
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


def sweep_of(schema: Schema, settings: Settings) -> Command:
    """Return a sweep of values that were passed from Python; lists have several.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    composed, words = compose(), read_words(["-m"], schema)
    values = {**composed.values}
    for key, value in settings.items():
        if isinstance(value, list):
            if not value:
                words.problems.append(f"{key} has no value: give at least one")
            values[key] = SweepValues(value or [defaults().get(key)])
        elif isinstance(value, str) and key not in TEXT_KEYS:
            values[key] = parse_value(key, value, schema, sweep=True)
        else:
            values[key] = escape(value)
    refused = [key for key in settings if key in schema.no_sweep]
    words.problems += [f"{key} {schema.no_sweep[key]}" for key in refused]
    given = {*settings} - {*schema.only_sweeps}
    words.texts |= dict.fromkeys(settings, "")
    return _command([Part(composed, values, frozenset(given))], schema, words, True)


def _compose(
    words: Words, groups: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Composition, dict[str, str]]]:
    """Yield each composition, and the values of its saved sweep as they are typed."""
    flags = words.flags
    for overrides in itertools.product(*groups.values()):
        composed = compose(overrides, name=flags.config_name, folder=flags.config_dir)
        texts = {key: as_text(value) for key, value in composed.params.items()}
        texts = {key: x for key, x in texts.items() if key not in groups}
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


def _part(
    composed: Composition,
    saved: Mapping[str, str],
    words: Words,
    schema: Schema,
    is_sweep: bool,
) -> Part:
    """Parse the values of the command line and of a saved sweep."""
    # The keys that a sweep can vary are first, in the order of the names of its runs.
    order = dict.fromkeys([*schema.varied, *composed.values])
    values = {k: composed.values[k] for k in order if k in composed.values}
    texts = {**saved, **words.texts}
    for key, text in texts.items():
        try:
            value = parse_value(key, text, schema, sweep=is_sweep)
            values[key] = escape(value) if key in TEXT_KEYS else value
        except ConfigError as error:
            words.problems.append(str(error))
    refused = schema.no_sweep if is_sweep else {}
    keys = [key for key in refused if values[key] not in (None, True)]
    words.problems += [f"{key} {refused[key]}" for key in keys]
    given = {*texts} | (composed.chosen & schema.model_fields.keys())
    given -= {*(schema.only_sweeps if is_sweep else ())}
    # Without all values, nothing can be said about rules for several keys.
    return Part(
        composed, values, frozenset() if words.lacks_group else frozenset(given)
    )


def _check_search(parts: Sequence[Part]) -> list[str]:
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
        rule = f"a sweep must have at most {MAX_VALUES:,} settings"
        keys = ", ".join(parts[0].swept) or "trials"
        raise ConfigError(f"{rule}: give fewer values of {keys}")
    if len(parts) > 1 and any(part.intervals for part in parts):
        problems.append(
            "a search cannot be joined with another sweep: run them one by one"
        )
    return problems


def _check(
    parts: Sequence[Part], schema: Schema, words: Words
) -> tuple[list[Settings], list[list[str]]]:
    """Return the settings of all parts, and the problems of each.

    Other problems, which concern all of them, are added to those of the words.
    """
    settings, errors = list[Settings](), list[list[str]]()
    for part in parts:
        files = {k: x for k, x in part.composed.files.items() if k not in words.texts}
        try:
            own = [*part.settings()]
            highest = [*part.settings("high")] if part.intervals else []
        except ConfigError as error:  # of a reference
            words.problems.append(str(error))
            continue
        found = [check(schema, each, part.given, files)[1] for each in own]
        settings += own
        errors += found
        if part.intervals:  # both ends of each interval must be valid
            ends = [check(schema, each, part.given, files)[1] for each in highest]
            words.problems += itertools.chain(*found, *ends)
        if os.environ.get("DVC_STAGE"):
            words.problems += _differences(own[0], schema, files)
    return settings, errors


def _differences(
    values: Settings, schema: Schema, files: Mapping[str, Path]
) -> list[str]:
    """Return a problem for each value of a file that DVC does not know.

    DVC records conf/config.yaml and the command line.
    """
    rule = "differs from conf/config.yaml, which DVC records: change that file"
    return [
        f"{key}={as_text(values[key])} in {displayed(files[key])} {rule}"
        for key in schema.model_fields
        if key in files and values[key] != defaults()[key]
    ]


def _varied(
    parts: Sequence[Part], settings: Sequence[Settings], schema: Schema
) -> list[str]:
    """Return the keys that a sweep varies, or that differ between its parts.

    Raises:
        ConfigError: If other keys differ, because they apply to the whole sweep.
    """
    swept = {key for part in parts for key in (*part.swept, *part.intervals)}
    if len(parts) > 1:
        first = settings[0]
        differ = [k for k in first if any(each[k] != first[k] for each in settings)]
        for key in differ:
            if key in schema.model_fields and key not in schema.varied:
                rule = "differs between the parts of a sweep"
                raise ConfigError(f"{key} {rule}: give it on the command line")
        swept |= {*differ}
    return [key for key in schema.varied if key in swept]
