"""Parses the text of a value: a number, a Boolean, text, a list, or several values.

Several values are a sweep; an interval is for a search. Numbers are in Hydra's grammar.
Text is taken as it is typed.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from types import NoneType

from pipeline import ConfigError
from pipeline.base.paths import user_path
from pipeline.base.text import alternatives, shortened
from pipeline.cli.command import Interval, Several
from pipeline.cli.hydra_internals import (
    PARSE_ERRORS,
    IntervalSweep,
    has_range,
    parse_names,
    parse_values,
)
from pipeline.cli.schema import Schema, contains
from pipeline.cli.validation import describe_default
from pipeline.cli.yaml_files import NO_LIST, reject_resolver
from pipeline.records.params import NO_OPTION

MAX_VALUES = 100_000  # the maximum number of combinations of a sweep
MAX_FLOAT = 2**53  # floats represent all integers below this number
INTERVAL_START = re.compile(r"(tag\(.*|int\(|float\()?interval\(")


def parse_value(key: str, text: str, schema: Schema) -> object:
    """Parse one value, several values (`Several`) or an interval (`Interval`).

    Text keeps its brackets and dollar signs, but not its quotes. If a sweep can vary
    the key, commas separate values unless the whole text is the path of a folder.
    """
    annotation = schema.model_fields[key].annotation
    is_varied = key in schema.can_vary
    if text == "null" and contains(annotation, NoneType):
        return None
    if contains(annotation, list):
        return _parse_list(key, text)
    if is_varied and annotation not in (int, float) and INTERVAL_START.match(text):
        raise ConfigError(f"{key} cannot be an interval: use {key}=a,b")
    if contains(annotation, str):
        return _parse_texts(key, text) if is_varied else _unquote(text)
    value = _parse_with_hydra(key, text, integer=contains(annotation, int))
    if isinstance(value, list) and is_varied and not isinstance(value, Several):
        raise ConfigError(
            f"{shortened(f'{key}={text}')} is a list: "
            f"for a sweep, leave out the brackets: -m {key}={Several(value)}"
        )
    if isinstance(value, Several | Interval) and not is_varied:
        raise ConfigError(f"{key}={shortened(text)} has several values: give only one")
    return value


def parse_options(argument: str, names: Sequence[str]) -> list[str]:
    """Return an override for each option of a group in an override.

    The result is team=a and team=b for team=a,b, and contains all options for
    team=glob(*). Without an option, the override is ~team, or "" if + would add one.

    Args:
        argument: The override.
        names: The names of the files of the group.

    Raises:
        ConfigError: If Hydra cannot parse the override, or a file does not exist.
    """
    key, _, text = argument.partition("=")
    try:
        found = parse_names(argument, names)
    except PARSE_ERRORS:
        raise ConfigError(
            f"{shortened(argument)} cannot be read: write {key}=a or {key}=a,b"
        ) from None
    if argument.startswith("~"):
        return [argument]
    for name in found or [text]:
        if name.startswith("["):
            raise ConfigError(f"{shortened(argument)} {NO_LIST}")
        if name not in (*names, NO_OPTION):
            raise ConfigError(f"{key} must be {alternatives(names)}, got {name!r}")
    nothing = "" if key.startswith("+") else f"~{key}"
    return [nothing if name == NO_OPTION else f"{key}={name}" for name in found]


def _parse_list(key: str, text: str) -> list[str] | None:
    if (text[:1] == "[") != (text[-1:] == "]"):
        missing = "]" if text[:1] == "[" else "["
        raise ConfigError(
            f"{shortened(f'{key}={text}')} has no {missing}: "
            f'write "{key}=[a,b]" or {key}=a,b'
        )
    inner = text[1:-1] if text[:1] + text[-1:] == "[]" else text
    items = _split_text(inner)
    if len(items) > 1 and "" in items:  # a list such as mnist,
        raise _unreadable(key, text)
    return [item for item in items if item not in ("", "null")] or None


def _parse_texts(key: str, text: str) -> str | Several:
    choice = re.fullmatch(r"choice\((.*)\)", text, re.DOTALL)
    items = _split_text(choice[1] if choice else text)
    if not choice and len(items) == 1:
        return items[0]
    if "" in items:  # values such as mnist,
        raise _unreadable(key, text)
    return Several(items)


def _split_text(text: str) -> list[str]:
    """Split text at commas outside quotes, unless it is the path of a folder."""
    path = _unquote(text)
    with suppress(ConfigError):  # text that cannot be a path
        if os.path.isdir(user_path(path, key="path")):
            return [path]
    items = re.findall(r"""\s*("[^"]*"|'[^']*'|[^,]*)\s*,""", f"{text},")
    return [_unquote(item.strip()) for item in items]


def _unquote(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted and not os.path.lexists(text) else text


def _parse_with_hydra(key: str, text: str, *, integer: bool) -> object:
    """Parse a number, a Boolean, a range, an interval, text or a reference."""
    reject_resolver(key, text)
    try:
        values, is_sweep = parse_values(f"{key}={text}", MAX_VALUES + 1)
    except PARSE_ERRORS:
        raise _unreadable(key, text) from None
    if not values:  # range(3,1)
        raise _unreadable(key, text)
    if isinstance(values[0], IntervalSweep) and len(values) == 1:
        return _interval(key, text, values[0], integer=integer)
    if has_range(values):
        raise ConfigError(
            f"{key} cannot combine an interval or a range with other values: "
            "use only one of them"
        )
    return Several(values) if is_sweep else values[0]


def _interval(key: str, text: str, sweep: IntervalSweep, *, integer: bool) -> Interval:
    ends = float(sweep.start or 0), float(sweep.end or 0)
    # Hydra has converted the numbers of interval(4,128) to float.
    if integer and max(map(abs, ends)) >= MAX_FLOAT:
        raise ConfigError(
            f"{key} must have an interval of numbers below {MAX_FLOAT:,}, "
            f"got {shortened(text)}"
        )
    low, high = (int(x) if integer and x.is_integer() else x for x in ends)
    if low < high and (not sweep.tags or (sweep.tags == {"log"} and low > 0)):
        return Interval(low, high, log=bool(sweep.tags))
    raise ConfigError(
        f"{key} must be interval(low,high) with low < high, "
        f"and low > 0 for tag(log,...), got {shortened(text)}"
    )


def _unreadable(key: str, text: str) -> ConfigError:
    """Return the error for a text that is not a value."""
    default = describe_default(key)
    return ConfigError(f"{key} has an invalid value {shortened(text)!r} ({default})")
