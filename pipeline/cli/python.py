"""Makes a valid configuration from the keywords of a call from Python."""

import itertools
import os
from collections.abc import Mapping
from typing import Any

from pipeline import ConfigError
from pipeline.cli.command import Command, Flags, Interval
from pipeline.cli.config import as_text, explain_unknown_key
from pipeline.cli.default_values import defaults
from pipeline.cli.schema import KEYS, TEXT_KEYS, ConfigT, Schema, contains

MAX_BITS = 1000  # of a number; Python prints at most 4,300 digits


def from_python(schema: type[ConfigT], settings: Mapping[str, Any]) -> ConfigT:
    """Check settings that were passed as keywords; all others have their defaults.

    They can be paths, and numbers of NumPy or PyTorch.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
    """
    command = _command(schema, settings, is_sweep=False)
    if command.is_sweep:
        chosen = (f"{k}={x}" for k, x in settings.items() if k not in KEYS)
        starts = " ".join(chosen) or "conf/hydra.yaml"
        raise ConfigError(f"{starts} starts a sweep: call sweep()")
    return command.config


def sweep_from_python(
    schema: type[ConfigT], settings: Mapping[str, Any]
) -> Command[ConfigT]:
    """Return the command of a sweep for settings that were passed as keywords.

    A list, tuple, range or array has several values; so has text such as "4,5" or
    "interval(4,128)", as on a command line. The keyword of a group, such as experiment,
    has one choice or several.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
    """
    return _command(schema, settings, is_sweep=True)


def _command(
    schema: type[ConfigT], settings: Mapping[str, Any], *, is_sweep: bool
) -> Command[ConfigT]:
    # Hydra takes 0.1 s, which `--help` saves.
    from pipeline.cli.arguments import command_of

    return command_of(settings.items(), _read, schema, Flags(is_sweep=is_sweep))


def _read(item: tuple[str, Any], schema: Schema, flags: Flags) -> tuple[str, object]:
    """Return a key and its value; text is parsed as on a command line.

    Only text that is one value is taken as it is, such as `run_name="a,b"`.
    """
    from pipeline.cli.values import (
        MAX_VALUES,
        SweepValues,
        parse_choices,
        parse_value,
        shorten,
    )

    key, value = item
    given = value
    names = flags.choices(key)
    if names is not None:
        is_one = isinstance(value, str) or not hasattr(value, "__iter__")
        text = ",".join(map(as_text, [value] if is_one else value))
        instead = None if flags.is_sweep else _remedy(key, value, schema)
        return key, parse_choices(f"{key}={text}", names, remedy=instead)
    if key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(key, schema, groups=flags.groups))
    value = _builtin(value)  # an array without axes cannot be iterated
    is_text = isinstance(value, str | bytes)
    is_list = contains(schema.model_fields[key].annotation, list)
    is_varied = key in schema.varied
    if isinstance(value, str) and (is_list or is_varied or key not in TEXT_KEYS):
        value = parse_value(key, value, schema)
    elif is_list and not is_text and hasattr(value, "__iter__"):
        value = [*map(_builtin, value)]
    elif is_varied and not is_text and hasattr(value, "__iter__"):
        items = itertools.islice(value, MAX_VALUES + 1)
        value = SweepValues(_read_item(key, item, schema) for item in items)
        if not value:
            raise ConfigError(f"{key} has no value: give at least one")
    if not flags.is_sweep and isinstance(value, SweepValues | Interval):
        rule = f"{shorten(f'{key}={value}')} has several values"
        if isinstance(value, SweepValues) and len(value) == 1:
            rule = f"{shorten(f'{key}=[{value}]')} is a list"
        raise ConfigError(f"{rule}: {_remedy(key, given, schema)}")
    is_of_sweeps = schema.has_experiments and key in schema.only_sweeps
    if is_of_sweeps and not flags.is_sweep and value != defaults()[key]:
        raise ConfigError(f"{key} is a setting of sweeps: call sweep()")
    return key, value


def _remedy(key: str, value: object, schema: Schema) -> str:
    """Return what to do instead of giving several values to a single run."""
    from pipeline.cli.values import shorten

    if not schema.has_experiments:
        return "give only one"
    return f"call sweep({shorten(f'{key}={value!r}')})"


def _read_item(key: str, item: Any, schema: Schema) -> object:  # noqa: ANN401
    """Return a value of a list; text for a number is parsed as if it were alone."""
    from pipeline.cli.values import SweepValues, parse_value

    if not isinstance(item, str) or key in TEXT_KEYS:
        return _builtin(item)
    value = parse_value(key, item, schema)
    if isinstance(value, SweepValues | Interval):
        raise ConfigError(f"{key} has a list with several values in {item!r}: use one")
    return value


def _builtin(value: Any) -> Any:  # noqa: ANN401
    """Convert a path to text, and a number of NumPy or PyTorch to one of Python."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ConfigError(f"a number must have at most {MAX_BITS:,} bits")
    if getattr(value, "ndim", None) != 0:
        return value
    number = value.item()
    if isinstance(number, float) and value.dtype.itemsize == 4:
        from numpy import float32  # already imported, because it made the value

        return float(str(float32(number)))  # 0.001, not 0.0010000000474974513
    return number
