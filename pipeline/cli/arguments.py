"""Reads a whole command line, and validates it before anything runs.

Hydra composes the settings once. Only some of its flags and settings are allowed,
because others name classes to call or files to unpickle.
"""

import argparse
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import ConfigError
from pipeline.cli.config import (
    as_text,
    defaults,
    describe_default,
    explain_unknown_key,
    one_line,
    parse_yaml,
    to_dict,
    validate,
)
from pipeline.cli.schema import HYPERPARAMETERS, StageConfig, contains
from pipeline.paths import conf_dir

LAUNCHER, N_JOBS = "hydra/launcher", "hydra.launcher.n_jobs"
REFUSED = {  # why settings of Hydra are rejected; the keys match the start of a setting
    r"hydra\.(run|sweep)\b": "results are written to outputs/, or to PIPELINE_OUTPUTS",
    r"hydra[./]sweeper\b": "all combinations of the values are trained",
    r"hydra\.mode\b": "add -m for a sweep",
    "": f"only {LAUNCHER} and {N_JOBS} can be set, because others can run code",
}


class SweepValues(list[Any]):
    """The values of a key that a sweep varies."""


@dataclass(frozen=True)
class Command:
    """A valid command line."""

    values: dict[str, Any]  # of all keys, validated; in a sweep, of a valid job
    swept: dict[str, list[Any]]  # the values of each key that a sweep varies
    is_sweep: bool = False
    n_jobs: int = 1  # trained in parallel; -1: one per core
    cfg: str | None = None  # what --cfg prints: job, hydra or all
    information: list[str] = field(default_factory=list)  # for Hydra, which prints it


def parse(
    arguments: Sequence[str], schema: type[StageConfig], *, sweeps: bool = False
) -> Command:
    """Parse and validate the command line of a stage with this schema.

    If only some values of a sweep are invalid, they are kept, and their jobs fail.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    flags, words = _parse_flags(arguments)
    typed, settings, problems = _split(words, schema)
    problems += _check_settings(settings, sweeps=sweeps)
    if flags.multirun and not sweeps:
        problems.append("-m is an option of python -m pipeline.train only")
    settings = {} if problems else settings
    saved, hydra = _compose(settings)
    is_sweep = flags.multirun or str(hydra.mode).endswith("MULTIRUN")
    for key in {LAUNCHER, N_JOBS} & settings.keys():
        if not is_sweep:
            problems.append(f"{key} is an option of sweeps: add -m")
        elif key == N_JOBS and "n_jobs" not in hydra.launcher:
            problems.append(f"{key} has no effect without {LAUNCHER}=joblib")
    n_jobs = str(settings.get(N_JOBS, hydra.launcher.get("n_jobs", 1)))
    if not re.fullmatch("-1|[1-9][0-9]*", n_jobs):
        rule = "must be a number of processes, or -1 for all cores"
        problems.append(f"{N_JOBS} {rule}, got {n_jobs!r}")
    texts, values, swept = saved | typed, {**defaults()}, {}
    for key, text in texts.items():
        try:
            values[key] = _parse_value(key, text, schema, sweep=is_sweep)
        except ConfigError as error:
            problems.append(str(error))
        if isinstance(values.get(key), SweepValues):
            swept[key] = values[key]
    refused = schema.no_sweep if is_sweep else {}
    problems += [f"{key} {rule}" for key, rule in refused.items() if values[key]]
    invalid, every = _check_values(schema, values, swept, given=texts)
    if problems + invalid:
        problems += invalid + every
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    asked = [each for each in arguments if each not in (*words, "-m", "--multirun")]
    shown = settings | {key: _quote(values[key]) for key in typed} if asked else {}
    information = [*asked, *(f"{key}={text}" for key, text in shown.items())]
    return Command(values, swept, is_sweep, int(n_jobs), flags.cfg, information)


def _check_values(
    schema: type[StageConfig],
    values: dict[str, Any],
    swept: Mapping[str, list[Any]],
    *,
    given: Iterable[str],
) -> tuple[list[str], list[str]]:
    """Select a valid value of each swept key.

    Returns:
        The problems of the selected values, and those of all swept values.
    """

    def check(values: Mapping[str, Any]) -> list[str]:
        try:
            validate(schema, values, given=given)
        except ConfigError as error:
            return str(error).split("\n")
        return []

    invalid: list[str] = []
    for key, options in swept.items():
        lines = [check(values | {key: option}) for option in options]
        failures = [[x for x in part if x.split()[0] == key] for part in lines]
        values[key] = options[failures.index([]) if [] in failures else 0]
        invalid += itertools.chain(*failures)
    return check(values), invalid


def _parse_flags(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split a command line into the allowed flags of Hydra and all other words."""
    parser = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False
    )
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=["job", "hydra", "all"])
    parser.add_argument("-i", "--info", nargs="?", const="all")
    for flag in ("--resolve", "--hydra-help", "--version"):
        parser.add_argument(flag, action="store_true")
    try:
        flags, words = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError(one_line(error)) from None
    if flags.resolve and not flags.cfg:
        raise ConfigError("--resolve has no effect without --cfg")
    if unknown := [word for word in words if word.startswith("-")]:
        lines = (f"unknown flag {flag}: --help lists the options" for flag in unknown)
        raise ConfigError("\n".join(lines))
    return flags, words


def _split(
    words: Sequence[str], schema: type[StageConfig]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Split key=value pairs into options of the stage and settings of Hydra."""
    pairs, settings, problems = {}, {}, []
    for word in words:
        key, equals, text = word.partition("=")
        name = re.sub(r"^\+\+?", "", key)  # every key exists, so + and ++ add nothing
        if re.match("hydra[./]|experiment$", name):
            settings[name] = text
        elif name.lstrip("~") in schema.model_fields and (not equals or "~" in key):
            problems.append(f"{word} has no value: write {name.lstrip('~')}=value")
        elif not equals:
            hint = f"did you mean {schema.main_key}={word}?"
            problems.append(f"{word!r} is not of the form key=value; {hint}")
        elif name in pairs:
            problems.append(f"{name} is given more than once: write {name}=a,b")
        else:
            pairs[name] = text
    return pairs, settings, problems


def _check_settings(settings: Mapping[str, str], *, sweeps: bool) -> list[str]:
    problems = []
    names = {"experiment": [*experiments()], LAUNCHER: ["basic", "joblib"]}
    for key, value in settings.items():
        if key == "experiment" and not sweeps:
            problems.append(f"{key} is an option of python -m pipeline.train only")
        elif key in names and value not in names[key]:
            problems.append(f"{key} must be {' or '.join(names[key])}, got {value!r}")
        elif key not in (*names, N_JOBS):
            reason = next(REFUSED[words] for words in REFUSED if re.match(words, key))
            problems.append(f"{key} cannot be set: {reason}")
    return problems


def experiments() -> dict[str, Path]:
    """Return the files in conf/experiment, by name."""
    return {path.stem: path for path in sorted(conf_dir().glob("experiment/*.yaml"))}


def _compose(settings: Mapping[str, str]) -> tuple[dict[str, str], Any]:
    """Compose conf/ with an experiment and a launcher.

    Returns:
        The values of the experiment as they would be typed, and Hydra's settings.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    keys = {"experiment", LAUNCHER} & settings.keys()
    overrides = [f"{key}={settings[key]}" for key in keys]
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = compose("hydra", overrides, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"cannot read {conf_dir()}: {one_line(error)}") from None
    hydra, values = config.hydra, to_dict(config)
    del values["hydra"]
    if name := settings.get("experiment"):
        path = experiments()[name]
        written = parse_yaml(path.read_text("utf-8"), path).get("hydra", {})
        names = {*written, *written.get("sweeper", {})}
        if other := names - {"mode", "sweeper", "launcher", "params"}:
            rule = "contains settings of Hydra that have no effect: remove"
            raise ConfigError(f"experiment={name} {rule} {', '.join(sorted(other))}")
    saved = {key: v for key, v in values.items() if v != defaults().get(key)}
    saved |= hydra.sweeper.params or {}
    return {str(key): as_text(value) for key, value in saved.items()}, hydra


def _parse_value(
    key: str, text: str, schema: type[StageConfig], *, sweep: bool
) -> object:
    """Parse the value of a key; return `SweepValues` if there are several.

    Text keeps its brackets and dollar signs, but not its quotes; in a sweep, commas
    separate values unless the whole text is the path of a folder.

    Raises:
        ConfigError: If it cannot be parsed, has too many values, or is not an option.
    """
    if key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(key, schema))
    varies = key in HYPERPARAMETERS and "seed" in schema.model_fields
    if text == "null" and defaults()[key] is None:
        return None
    annotation = schema.model_fields[key].annotation
    if contains(annotation, list):
        return _parse_list(key, text)
    parse_text = _parse_texts if varies else _unquote
    is_text = contains(annotation, str)
    value: object = parse_text(text) if is_text else _parse_with_hydra(key, text)
    if isinstance(value, SweepValues) and not (sweep and varies):
        remedy = "add -m to train each" if varies else "give only one"
        raise ConfigError(f"{key}={_shorten(text)} has several values: {remedy}")
    return value


def _parse_list(key: str, text: str) -> list[str] | None:
    inner = text[1:-1] if text[:1] + text[-1:] == "[]" else text
    items = [item for item in _split_text(inner) if item not in ("", "null")]
    if not items and "," in inner:
        raise _unreadable(key, text)
    return items or None


def _parse_texts(text: str) -> str | SweepValues:
    choice = re.fullmatch(r"choice\((.*)\)", text, re.DOTALL)
    items = _split_text(choice[1] if choice else text)
    return SweepValues(items) if choice or len(items) > 1 else items[0]


def _split_text(text: str) -> list[str]:
    """Split text at commas outside quotes, unless it is the path of a folder."""
    if os.path.isdir(os.path.expanduser(_unquote(text))):
        return [_unquote(text)]
    items = re.findall(r"""\s*("[^"]*"|'[^']*'|[^,]*)\s*,""", f"{text},")
    return [_unquote(item.strip()) for item in items]


def _unquote(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted and not os.path.lexists(text) else text


def _parse_with_hydra(key: str, text: str) -> object:
    """Parse a number, a switch, a range or a word."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if "${" in text:
        raise ConfigError(f"{key}={_shorten(text)} refers to a key: write its value")
    if text.startswith(("interval(", "glob(")):
        raise ConfigError(f"{key}={_shorten(text)} lists no values: write {key}=a,b")
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
        is_sweep = override.is_sweep_override()
        found = [*override.sweep_iterator()] if is_sweep else [override.value()]
    except (HydraException, NotImplementedError, ValueError):
        # Python raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
        raise _unreadable(key, text) from None
    values = SweepValues(getattr(value, "text", value) for value in found)
    if not values:  # range(3,1)
        raise _unreadable(key, text)
    return values if is_sweep else values[0]


def _quote(value: object) -> str:
    """Return a value in Hydra's syntax, in which ${ would refer to another key."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if isinstance(value, list):
        return f"[{','.join(map(_quote, value))}]"
    if not isinstance(value, str):
        return as_text(value)
    return QuotedString(value.replace("${", r"\${"), Quote.single).with_quotes()


def _shorten(text: str) -> str:
    return text if len(text) < 80 else f"{text[:80]}..."


def _unreadable(key: str, text: str) -> ConfigError:
    rule = f"has an invalid value {_shorten(text)!r}"
    return ConfigError(f"{key} {rule} ({describe_default(key)})")
