"""Reads a whole command line, and validates it before anything runs.

Settings and most flags of Hydra itself are refused, because some name classes to call
or files to unpickle.
"""

import itertools
import math
import re
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import ConfigError
from pipeline.cli.config import check, defaults
from pipeline.cli.schema import TRAINING_KEYS, Schema
from pipeline.cli.values import MAX_VALUES, Interval, SweepValues, parse_value

Values = Mapping[str, Any]  # by key
Texts = dict[str, str]  # values as typed


@dataclass(frozen=True)
class Command:
    """A valid command line."""

    values: dict[str, Any]  # of all keys, validated; in a sweep, of a valid job
    swept: Mapping[str, list[Any]]  # the values of each key that a sweep varies
    intervals: Mapping[str, Interval]  # of each key that a search varies
    is_sweep: bool = False
    prints: bool = False  # --cfg job: only print the values


def parse(arguments: Sequence[str], schema: Schema) -> Command:
    """Parse and validate the command line of a stage with this schema.

    If only some values of a sweep are invalid, they are kept, and their jobs fail.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    flags, words = _parse_flags(arguments)
    typed, problems = _split(words, schema)
    if flags.multirun and not schema.varied:
        problems.append("-m is an option of train and export only")
    is_complete = True
    try:
        saved, is_sweep = _read_experiment(typed.pop("experiment", None), schema)
    except ConfigError as error:
        problems.append(str(error))
        is_complete = False  # its values are unknown; all in conf/ are sweeps
        saved, is_sweep = {}, True
    is_sweep |= flags.multirun
    texts = saved | typed
    values, unreadable = _parse_values(texts, schema, sweep=is_sweep)
    swept = {key: x for key, x in values.items() if isinstance(x, SweepValues)}
    intervals = {key: x for key, x in values.items() if isinstance(x, Interval)}
    if is_sweep and is_complete and not unreadable:
        problems += _check_search(swept, intervals, values["trials"])
    ends = {key: [interval.low, interval.high] for key, interval in intervals.items()}
    given = {*texts} - {*(schema.only_sweeps if is_sweep else ())}
    given = given if is_complete else set()  # for rules about several keys
    selected, rejected = _select_values(schema, values, swept | ends, given)
    problems += unreadable + [text for key, text in rejected if key in ends]
    problems += [text for _, text in check(schema, selected, given)[1]]
    if problems:
        problems += [text for _, text in rejected]
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return Command(selected, swept, intervals, is_sweep, flags.cfg is not None)


def _read_experiment(name: str | None, schema: Schema) -> tuple[Texts, bool]:
    """Return the settings of an experiment, and whether it is a sweep."""
    if name is None:
        return {}, False
    if schema.varied != TRAINING_KEYS:
        raise ConfigError("experiment is an option of python -m pipeline.train only")
    from pipeline.cli.composition import read_experiment  # Hydra takes 0.05 s

    return read_experiment(name)


def _check_search(swept: Values, intervals: Values, trials: object) -> list[str]:
    """Check that a search has trials, and a sweep at most `MAX_VALUES` settings."""
    number = trials if intervals and isinstance(trials, int) else 1
    if math.prod(map(len, swept.values())) * number > MAX_VALUES:
        rule = f"a sweep must have at most {MAX_VALUES:,} settings"
        keys = ", ".join(swept) or "trials"
        raise ConfigError(f"{rule}: give fewer values of {keys}")
    if intervals and trials is None:
        return ["trials, the number of suggestions, has no value: add trials=40"]
    if trials is not None and not intervals:
        return ["trials has no effect without an interval: add hidden=interval(4,128)"]
    return []


def _select_values(
    schema: Schema, values: Values, swept: Values, given: Iterable[str]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Select a valid value of each swept key, if it has one; return all problems."""
    selected, problems = {**values}, list[tuple[str, str]]()
    for key, options in swept.items():
        results = (check(schema, selected | {key: x}, given)[1] for x in options)
        failures = [[x for x in each if x[0] == key] for each in results]
        selected[key] = options[failures.index([]) if [] in failures else 0]
        problems += itertools.chain(*failures)
    return selected, problems


def _parse_flags(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Split a command line into flags and all other words."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--cfg", choices=["job"])
    try:
        return parser.parse_known_args(arguments)
    except ArgumentError as error:
        raise ConfigError(str(error)) from None


def _split(words: Sequence[str], schema: Schema) -> tuple[Texts, list[str]]:
    """Split words into key=value pairs, one of which can be an experiment."""
    pairs, problems = Texts(), list[str]()
    for word in words:
        key, equals, text = word.partition("=")
        name = re.sub(r"^\+\+?", "", key)  # every key exists, so + and ++ add nothing
        if word.startswith("-"):
            problems.append(f"unknown flag {word}: --help lists the options")
        elif re.match("hydra[./]", name):
            remedy = "conf/README.md lists the alternatives"
            problems.append(f"{name} cannot be set, as a setting of Hydra: {remedy}")
        elif name in pairs:
            problems.append(f"{name} is given more than once: give it once")
        elif name in (*schema.model_fields, "experiment") and not equals:
            problems.append(f"{name} has no value: write {name}=value")
        elif not equals:
            hint = f"did you mean {schema.main_key}={word}?"
            problems.append(f"{word!r} is not of the form key=value; {hint}")
        else:
            pairs[name] = text
    return pairs, problems


def _parse_values(
    texts: Texts, schema: Schema, *, sweep: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the values of all keys, with defaults, and the problems."""
    values, problems = {**defaults()}, []
    for key, text in texts.items():
        try:
            values[key] = parse_value(key, text, schema, sweep=sweep)
        except ConfigError as error:
            problems.append(str(error))
    refused = schema.no_sweep if sweep else {}
    keys = [key for key in refused if values[key] not in (None, True)]
    problems += [f"{key} {refused[key]}" for key in keys]
    return values, problems
