"""Checks the settings of a call from Python."""

import os
from collections.abc import Mapping
from typing import Any

from pipeline.cli.config import validate
from pipeline.cli.schema import ConfigT, Schema
from pipeline.cli.values import Command


def from_python(schema: type[ConfigT], settings: Mapping[str, Any]) -> ConfigT:
    """Check settings that were passed as arguments; all others have their defaults.

    They can be paths, and numbers of NumPy or PyTorch.

    Raises:
        ConfigError: If settings are invalid; see `check`.
    """
    from pipeline.cli.composition import compose  # Hydra takes 0.1 s

    settings = {key: _builtin(value) for key, value in settings.items()}
    composed = compose()
    (values,) = composed.settings()
    values |= settings
    files = {k: path for k, path in composed.files.items() if k not in settings}
    return validate(schema, values, given=settings, files=files)


def sweep_from_python(schema: Schema, settings: Mapping[str, Any]) -> Command:
    """Return the command of a sweep for settings that were passed as arguments.

    A list, tuple, range or array has several values; text such as interval(4,128) is
    parsed.

    Raises:
        ConfigError: If settings are invalid; see `check`.
    """
    from pipeline.cli.arguments import sweep_of  # Hydra takes 0.1 s

    values = {
        key: [_builtin(each) for each in value]
        if key in schema.varied
        and not isinstance(value, str | bytes | os.PathLike)
        and hasattr(value, "__iter__")
        else _builtin(value)
        for key, value in settings.items()
    }
    return sweep_of(schema, values)


def _builtin(value: Any) -> Any:  # noqa: ANN401
    """Convert a path to text, and a number of NumPy or PyTorch to one of Python."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) != 0:
        return value
    number = value.item()
    if isinstance(number, float) and value.dtype.itemsize == 4:
        from numpy import float32  # which made the value, or PyTorch, which imports it

        return float(str(float32(number)))  # 0.001, not 0.0010000000474974513
    return number
