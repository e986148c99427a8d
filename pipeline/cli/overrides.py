"""Parses the value of one key=value argument, in Hydra's syntax.

Text is taken as typed; Hydra's own parser reads numbers, switches and ranges.
"""

import os
import re
from typing import Any

from pipeline import ConfigError
from pipeline.cli.config import defaults, describe_default, explain_unknown_key
from pipeline.cli.schema import HYPERPARAMETERS, LIST_KEYS, TEXT_KEYS, StageConfig


class SweepValues(list[Any]):
    """The values of a key that a sweep varies."""


def parse_value(
    key: str, text: str, schema: type[StageConfig], *, sweep: bool
) -> object:
    """Parse the value of a key; return `SweepValues` if there are several.

    Text keeps its brackets and dollar signs, but not its quotes; in a sweep, commas
    separate values unless the whole text is the path of a folder.

    Raises:
        ConfigError: If it cannot be parsed, has too many values, or is no option.
    """
    if key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(key, schema))
    swept = sweep and key in HYPERPARAMETERS
    if text == "null" and defaults()[key] is None:
        return None
    if key in LIST_KEYS:
        return _parse_list(key, text)
    if key in TEXT_KEYS:
        return _parse_texts(text) if swept else _unquote(text)
    value = _parse_with_hydra(key, text)
    if isinstance(value, SweepValues) and not swept:
        remedy = "add -m to train each" if key in HYPERPARAMETERS else "give only one"
        raise ConfigError(f"{key}={_shorten(text)} has several values: {remedy}")
    return value


def _parse_list(key: str, text: str) -> list[str] | None:
    inner = text[1:-1] if text[:1] + text[-1:] == "[]" else text
    items = [item for item in _split(inner) if item not in ("", "null")]
    if not items and "," in inner:
        raise _unreadable(key, text)
    return items or None


def _parse_texts(text: str) -> str | SweepValues:
    if choice := re.fullmatch(r"choice\((.*)\)", text, re.DOTALL):
        return SweepValues(_split(choice[1]))
    items = _split(text)
    return SweepValues(items) if len(items) > 1 else items[0]


def _split(text: str) -> list[str]:
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
        if not override.is_sweep_override():
            return _plain(override.value())
        values = SweepValues(map(_plain, override.sweep_iterator()))
    except (HydraException, NotImplementedError, ValueError):
        # Python raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
        raise _unreadable(key, text) from None
    if not values:  # range(3,1)
        raise _unreadable(key, text)
    return values


def _plain(value: object) -> object:
    return getattr(value, "text", value)  # of quoted text


def _shorten(text: str) -> str:
    return text if len(text) < 80 else f"{text[:80]}..."


def _unreadable(key: str, text: str) -> ConfigError:
    rule = f"has an invalid value {_shorten(text)!r}"
    return ConfigError(f"{key} {rule} ({describe_default(key)})")
