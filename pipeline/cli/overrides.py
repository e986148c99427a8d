"""Parses one key=value argument, and translates values for Hydra.

Text is taken as typed; Hydra's own parser reads numbers, switches and ranges.
"""

import json
import os
import re
from collections.abc import Iterable
from typing import Any

from pipeline.cli.config import (
    ConfigError,
    defaults,
    describe_default,
    explain_unknown_key,
)
from pipeline.cli.schema import HYPERPARAMETERS, LIST_KEYS, TEXT_KEYS, StageConfig


class SweepValues(list[Any]):
    """The values of a key that a sweep varies."""


def parse_value(argument: str, schema: type[StageConfig], *, sweep: bool) -> object:
    """Parse a key=value argument.

    Text keeps its brackets, dollar signs and non-ASCII letters; in a sweep, commas
    separate values unless the whole text is the path of a folder.

    Returns:
        The value, or `SweepValues` if there are several.

    Raises:
        ConfigError: If the key is not an option of the stage, or the value cannot be
            parsed, or there are several where only one is allowed.
    """
    key, equals, text = argument.partition("=")
    if not equals or key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(argument, schema))
    if key in LIST_KEYS:
        return _parse_list(key, text)
    value: object = text
    if key not in TEXT_KEYS:
        value = _parse_with_hydra(argument)
    elif text == "null" and defaults()[key] is None:
        value = None
    elif sweep and "," in text and not os.path.isdir(os.path.expanduser(text)):
        value = SweepValues(text.split(","))
    if isinstance(value, SweepValues) and not (sweep and key in HYPERPARAMETERS):
        remedy = "add -m to train each" if key in HYPERPARAMETERS else "give only one"
        raise ConfigError(f"{argument} has several values: {remedy}")
    return value


def _parse_list(key: str, text: str) -> list[str] | None:
    inner = text[1:-1] if text[:1] + text[-1:] == "[]" else text
    items = [inner] if os.path.isdir(inner) else inner.split(",")
    items = [item.strip() for item in items if item.strip() not in ("", "null")]
    if not items and "," in inner:
        raise _unreadable(key, text)
    return items or None


def _parse_with_hydra(argument: str) -> object:
    """Parse a number, a switch, a range or a word with Hydra's parser.

    Raises:
        ConfigError: If Hydra cannot parse it, or if it does not list values, such as
            interval(0,1).
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    def unquote(value: object) -> object:
        return getattr(value, "text", value)

    key, _, text = argument.partition("=")
    try:
        override = OverridesParser.create().parse_override(argument)
        if not override.is_sweep_override():
            return unquote(override.value())
        values = SweepValues(map(unquote, override.sweep_iterator()))
    except (HydraException, NotImplementedError, ValueError):
        # Python raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
        raise _unreadable(key, text) from None
    if not values:  # range(3,1)
        raise _unreadable(key, text)
    return values


def _unreadable(key: str, text: str) -> ConfigError:
    text = text if len(text) < 80 else f"{text[:80]}..."
    return ConfigError(f"{key} has an invalid value {text!r} ({describe_default(key)})")


def make_override(key: str, values: Iterable[Any]) -> str:
    """Return the override for Hydra that gives a key these values, one per job."""
    return f"{key}={','.join(dict.fromkeys(map(_literal, values)))}"


def _literal(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(quote, value))}]"
    return quote(value) if isinstance(value, str) else json.dumps(value)


def quote(text: str) -> str:
    r"""Quote text so that Hydra and OmegaConf return it unchanged.

    Inside quotes Hydra reads a backslash as itself except before a quote, and OmegaConf
    reads ${...} as an interpolation unless a backslash precedes it.
    """
    text = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)
    text = re.sub(r'(\\*)"', lambda match: match[1] * 2 + r"\"", text)
    text = re.sub(r"(\\+)\Z", lambda match: match[1] * 2, text)
    return f'"{text}"'
