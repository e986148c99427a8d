"""Reads a whole command line, and validates it before anything runs.

Hydra composes the settings once. Only some of its flags and settings are allowed,
because others name classes to call or files to unpickle.
"""

import itertools
import os
import re
from argparse import ArgumentError, ArgumentParser, Namespace
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

Schema = type[StageConfig]
Values = Mapping[str, Any]  # by key
Texts = dict[str, str]  # values as typed
TRAIN_ONLY = "is an option of python -m pipeline.train only"
REFUSED = {  # why settings of Hydra are rejected; the keys match the start of a setting
    r"hydra\.(run|sweep)\b": "results are written to outputs/, or to PIPELINE_OUTPUTS",
    r"hydra[./]sweeper\b": "all combinations of the values are trained",
    r"hydra\.mode\b": "add -m for a sweep",
    r"hydra[./]launcher\b": "workers= and executor= say where a sweep trains",
    "": "settings of Hydra itself can run code",
}


class SweepValues(list[Any]):
    """The values of a key that a sweep varies."""


@dataclass(frozen=True)
class Command:
    """A valid command line."""

    values: dict[str, Any]  # of all keys, validated; in a sweep, of a valid job
    swept: Mapping[str, list[Any]]  # the values of each key that a sweep varies
    is_sweep: bool = False
    cfg: str | None = None  # what --cfg prints: job, hydra or all
    information: list[str] = field(default_factory=list)  # for Hydra, which prints it


def parse(arguments: Sequence[str], schema: Schema, *, sweeps: bool = False) -> Command:
    """Parse and validate the command line of a stage with this schema.

    If only some values of a sweep are invalid, they are kept, and their jobs fail.

    Raises:
        ConfigError: If it is invalid; the message has one line per problem.
    """
    flags, words = _parse_flags(arguments, sweeps=sweeps)
    typed, settings, problems = _split(words, schema)
    problems += _check_settings(settings, sweeps=sweeps)
    settings = {} if problems else settings
    saved, mode = _compose(settings)
    is_sweep = flags.multirun or mode.endswith("MULTIRUN")
    texts = saved | typed
    values, unreadable = _parse_values(texts, schema, sweep=is_sweep)
    swept = {key: x for key, x in values.items() if isinstance(x, SweepValues)}
    given = {*texts} - {*(schema.only_sweeps if is_sweep else ())}
    selected, rejected = _select_values(schema, values, swept, given)
    problems += unreadable + _check_values(schema, selected, given)
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems + rejected)))
    information = [x for x in arguments if x not in (*words, "-m", "--multirun")]
    if information:
        texts = settings | {key: _quote(selected[key]) for key in typed}
        information += [f"{key}={text}" for key, text in texts.items()]
    return Command(selected, swept, is_sweep, flags.cfg, information)


def _check_values(schema: Schema, values: Values, given: Iterable[str]) -> list[str]:
    try:
        validate(schema, values, given=given)
    except ConfigError as error:
        return str(error).split("\n")
    return []


def _select_values(
    schema: Schema, values: Values, swept: Values, given: Iterable[str]
) -> tuple[dict[str, Any], list[str]]:
    """Select a valid value of each swept key, if it has one; return all problems."""
    selected, problems = {**values}, list[str]()
    for key, options in swept.items():
        jobs = (selected | {key: option} for option in options)
        lines = (_check_values(schema, job, given) for job in jobs)
        failures = [[x for x in part if x.split()[0] == key] for part in lines]
        selected[key] = options[failures.index([]) if [] in failures else 0]
        problems += itertools.chain(*failures)
    return selected, problems


def _parse_flags(
    arguments: Sequence[str], *, sweeps: bool
) -> tuple[Namespace, list[str]]:
    """Split a command line into the allowed flags of Hydra and all other words."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--cfg", choices=["job", "hydra", "all"])
    parser.add_argument("-i", "--info", nargs="?", const="all")
    for flag in ("--resolve", "--hydra-help", "--version"):
        parser.add_argument(flag, action="store_true")
    try:
        flags, words = parser.parse_known_args(arguments)
    except ArgumentError as error:
        raise ConfigError(one_line(error)) from None
    if flags.multirun and not sweeps:
        raise ConfigError(f"-m {TRAIN_ONLY}")
    if flags.resolve and not flags.cfg:
        raise ConfigError("--resolve has no effect without --cfg")
    if unknown := [word for word in words if word.startswith("-")]:
        lines = (f"unknown flag {flag}: --help lists the options" for flag in unknown)
        raise ConfigError("\n".join(lines))
    return flags, words


def _split(words: Sequence[str], schema: Schema) -> tuple[Texts, Texts, list[str]]:
    """Split key=value pairs into options of the stage and settings of Hydra."""
    pairs, settings, problems = Texts(), Texts(), list[str]()
    for word in words:
        key, equals, text = word.partition("=")
        name = re.sub(r"^\+\+?", "", key)  # every key exists, so + and ++ add nothing
        is_setting = re.match("hydra[./]|experiment$", name)
        option, target = name.lstrip("~"), settings if is_setting else pairs
        if name in target:
            several = name in ("sets", "images") or _can_vary(name, schema)
            remedy = f"write {name}=a,b" if several else "give it once"
            problems.append(f"{name} is given more than once: {remedy}")
        elif option in schema.model_fields and not (equals and option == name):
            problems.append(f"{word} has no value: write {option}=value")
        elif not (equals or is_setting):
            hint = f"did you mean {schema.main_key}={word}?"
            problems.append(f"{word!r} is not of the form key=value; {hint}")
        else:
            target[name] = text
    return pairs, settings, problems


def _can_vary(key: str, schema: Schema) -> bool:
    return key in HYPERPARAMETERS and "seed" in schema.model_fields


def _check_settings(settings: Texts, *, sweeps: bool) -> list[str]:
    problems = []
    for key, value in settings.items():
        if key == "experiment" and not sweeps:
            problems.append(f"{key} {TRAIN_ONLY}")
        elif key == "experiment" and value not in experiments():
            names = " or ".join(experiments())
            problems.append(f"{key} must be {names}, got {value!r}")
        elif key != "experiment":
            reason = next(REFUSED[words] for words in REFUSED if re.match(words, key))
            problems.append(f"{key} cannot be set: {reason}")
    return problems


def experiments() -> dict[str, Path]:
    """Return the files in conf/experiment, by name."""
    return {path.stem: path for path in sorted(conf_dir().glob("experiment/*.yaml"))}


def _compose(settings: Texts) -> tuple[Texts, str]:
    """Return the values of an experiment as typed, and Hydra's mode."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    overrides = [f"{key}={x}" for key, x in settings.items()]
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
        if other := names - {"mode", "sweeper", "params"}:
            rule = "contains settings of Hydra that have no effect: remove"
            raise ConfigError(f"experiment={name} {rule} {', '.join(sorted(other))}")
    saved = {key: v for key, v in values.items() if v != defaults().get(key)}
    saved |= hydra.sweeper.params or {}
    return {str(key): as_text(value) for key, value in saved.items()}, str(hydra.mode)


def _parse_values(
    texts: Texts, schema: Schema, *, sweep: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the values of all keys, with defaults, and the problems."""
    values, problems = {**defaults()}, []
    for key, text in texts.items():
        try:
            values[key] = _parse_value(key, text, schema, sweep=sweep)
        except ConfigError as error:
            problems.append(str(error))
    refused = schema.no_sweep if sweep else {}
    keys = [key for key in refused if values[key] not in (None, True)]
    problems += [f"{key} {refused[key]}" for key in keys]
    return values, problems


def _parse_value(key: str, text: str, schema: Schema, *, sweep: bool) -> object:
    """Parse the value of a key; return `SweepValues` if there are several.

    Text keeps its brackets and dollar signs, but not its quotes; in a sweep, commas
    separate values unless the whole text is the path of a folder.
    """
    if key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(key, schema))
    varies = _can_vary(key, schema)
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
        parsed = [*override.sweep_iterator()] if is_sweep else [override.value()]
    except (HydraException, NotImplementedError, ValueError):
        # Python raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
        raise _unreadable(key, text) from None
    values = SweepValues(getattr(value, "text", value) for value in parsed)
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
    default = describe_default(key)
    return ConfigError(f"{key} has an invalid value {_shorten(text)!r} ({default})")
