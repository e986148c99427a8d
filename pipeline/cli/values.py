"""Parses the text of a value: a number, a switch, text, a list, or several values.

Several values are a sweep, or an interval for a search; numbers are in Hydra's grammar.
"""

import itertools
import os
import re
from dataclasses import dataclass
from typing import Any

from pipeline import ConfigError
from pipeline.cli.config import defaults, describe_default, explain_unknown_key
from pipeline.cli.schema import Schema, contains

MAX_VALUES = 100_000  # the settings of a sweep
INTERVAL = re.compile(r"(tag\(.*|int\(|float\()?interval\(")


class SweepValues(list[Any]):
    """The values of a key that a sweep varies."""


@dataclass(frozen=True)
class Interval:
    """The numbers from which a search suggests a value of a key."""

    low: int | float  # int if the values are integers
    high: int | float  # included
    log: bool  # whether the logarithm is distributed uniformly


def parse_value(key: str, text: str, schema: Schema, *, sweep: bool) -> object:
    """Parse the value of a key; return `SweepValues` or an `Interval` of several.

    Text keeps its brackets and dollar signs, but not its quotes; in a sweep, commas
    separate values unless the whole text is the path of a folder.
    """
    if key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(key, schema))
    if text == "null" and defaults()[key] is None:
        return None
    annotation, varies = schema.model_fields[key].annotation, key in schema.varied
    if contains(annotation, list):
        return _parse_list(key, text)
    if varies and annotation not in (int, float) and INTERVAL.match(text):
        raise ConfigError(f"{key} cannot be an interval: use {key}=a,b")
    if not contains(annotation, str):
        value = _parse_with_hydra(key, text, integer=contains(annotation, int))
    else:
        value = _parse_texts(text) if varies else _unquote(text)
    if isinstance(value, SweepValues | Interval) and not (sweep and varies):
        remedy = "add -m to run all of them" if varies else "give only one"
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


def _parse_with_hydra(key: str, text: str, *, integer: bool) -> object:
    """Parse a number, a switch, a range, an interval or a word."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep
    from hydra.errors import HydraException

    if "${" in text:
        raise ConfigError(f"{key}={_shorten(text)} refers to a key: write its value")
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
        value, is_sweep = override.value(), override.is_sweep_override()
        if isinstance(value, RangeSweep):
            value.shuffle = False  # it would list all numbers of the range
        several = is_sweep and not isinstance(value, IntervalSweep)
        options = override.sweep_iterator() if several else iter([value])
        parsed = [*itertools.islice(options, MAX_VALUES + 1)]
    except (HydraException, NotImplementedError, ValueError):
        # Python raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
        raise _unreadable(key, text) from None
    if isinstance(value, IntervalSweep):
        ends = float(value.start or 0), float(value.end or 0)
        # Hydra has converted the numbers of interval(4,128) to float.
        low, high = (int(x) if integer and x.is_integer() else x for x in ends)
        if low < high and (not value.tags or (value.tags == {"log"} and low > 0)):
            return Interval(low, high, log=bool(value.tags))
        rule = "must be interval(low,high), low < high, or tag(log,...) with 0 < low"
        raise ConfigError(f"{key} {rule}, got {_shorten(text)}")
    values = SweepValues(getattr(value, "text", value) for value in parsed)
    if not values:  # range(3,1)
        raise _unreadable(key, text)
    return values if is_sweep else values[0]


def _shorten(text: str) -> str:
    return text if len(text) < 80 else f"{text[:80]}..."


def _unreadable(key: str, text: str) -> ConfigError:
    default = describe_default(key)
    return ConfigError(f"{key} has an invalid value {_shorten(text)!r} ({default})")
