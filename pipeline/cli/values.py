"""Parses the text of a value: a number, a switch, text, a list, or several values.

Several values are a sweep, or an interval for a search; numbers are in Hydra's grammar.
"""

import os
import re
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Command:
    """A valid command line."""

    values: Mapping[str, Any]  # of all keys; in a sweep, of a valid setting
    settings: Sequence[Mapping[str, Any]]  # of a sweep; some can be invalid
    varied: Sequence[str]  # the keys whose values differ between settings
    intervals: Mapping[str, Interval]  # of each key that a search varies
    given: frozenset[str] = frozenset()  # the keys that must have an effect
    is_sweep: bool = False
    prints: bool = False  # --cfg job: only print the values


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
        from pipeline.cli.composition import parse_number  # Hydra takes 0.05 s

        value = parse_number(key, text, integer=contains(annotation, int))
    else:
        value = _parse_texts(text) if varies else _unquote(text)
    if isinstance(value, SweepValues | Interval) and not (sweep and varies):
        remedy = "add -m to run all of them" if varies else "give only one"
        raise ConfigError(f"{key}={shorten(text)} has several values: {remedy}")
    return value


def _parse_list(key: str, text: str) -> list[str] | None:
    inner = text[1:-1] if text[:1] + text[-1:] == "[]" else text
    items = [item for item in _split_text(inner) if item not in ("", "null")]
    if not items and "," in inner:
        raise unreadable(key, text)
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


def shorten(text: str) -> str:
    """Return at most the first 80 characters of a text, for a message."""
    return text if len(text) < 80 else f"{text[:80]}..."


def unreadable(key: str, text: str) -> ConfigError:
    """Return the error for a text that is no value."""
    default = describe_default(key)
    return ConfigError(f"{key} has an invalid value {shorten(text)!r} ({default})")
