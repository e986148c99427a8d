"""Reads what a user gives: arguments of a command line, or keywords of a call."""

import itertools
import operator
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex

from pipeline import ConfigError
from pipeline.base.text import shortened
from pipeline.cli.command import Interval, Overrides, Setting, Several
from pipeline.cli.flags import Flags
from pipeline.cli.problems import as_text, collected
from pipeline.cli.schema import TEXT_KEYS, Schema, contains
from pipeline.cli.validation import describe_default, explain_unknown_key
from pipeline.cli.values import MAX_VALUES, parse_options, parse_value
from pipeline.cli.yaml_files import describe_hydra

MAX_BITS = 1000  # limit for a number; Python prints at most 4,300 digits
PREFIX = re.compile(r"^(\+\+|\+|~)")  # the prefix of a key or group
FORM = "is not of the form key=value"


def read_arguments(
    arguments: Iterable[str], schema: Schema, flags: Flags, path: Path | None = None
) -> Overrides:
    """Read the arguments of a command line without its flags, or of a saved sweep.

    As in Hydra, the last value of a key takes precedence. `path` is the file of a
    saved sweep.
    """
    given = Overrides({}, {}, [])
    for argument in arguments:
        with collected(given.problems, path):
            if argument.startswith("-"):
                raise ConfigError(
                    f"unknown flag {argument}: "
                    "settings have no dashes, and --help lists all flags"
                )
            name, equals, text = argument.partition("=")
            key = PREFIX.sub("", name)
            group, _, package = key.partition("@")
            if re.match("hydra([./]|$)", group) or re.match("hydra([.:]|$)", package):
                raise ConfigError(describe_hydra(key))
            options = flags.files_of_group(group)
            if options is None:
                _check_key(argument, key, given, schema, flags)
            if not equals and not name.startswith("~"):
                raise ConfigError(f"{key} has no value: write {key}=value")
            if options is None:
                given.settings[key] = Setting(parse_value(key, text, schema), path)
            else:
                given.groups[key] = parse_options(argument, options)
    return given


def read_keywords(
    keywords: Mapping[str, Any], schema: Schema, flags: Flags
) -> Overrides:
    """Read the keywords of a call from Python, like `read_arguments`."""
    given = Overrides({}, {}, [])
    for key, value in keywords.items():
        with collected(given.problems):
            options = flags.files_of_group(key)
            if options is not None:
                names = value if _is_list(value) else [value]
                argument = f"{key}={','.join(map(as_text, names))}"
                given.groups[key] = parse_options(argument, options)
            elif key in schema.model_fields:
                given.settings[key] = Setting(_read_keyword(key, value, schema))
            else:
                raise ConfigError(explain_unknown_key(key, schema, flags.groups))
    return given


def _check_key(
    argument: str, key: str, given: Overrides, schema: Schema, flags: Flags
) -> None:
    """Check that an argument sets a key of the stage; `given` is what precedes it."""
    is_setting = key in schema.model_fields
    if argument.startswith("~") and is_setting:
        raise ConfigError(
            f"~{key} would delete a setting, but every setting needs a value: "
            f"leave out ~{key} ({describe_default(key)})"
        )
    if not key:
        raise ConfigError(f"{argument!r} {FORM}: leave out spaces, as in hidden=20")
    if argument == key and not is_setting:
        is_size = argument.isdigit() and "hidden" in schema.model_fields
        meant = "hidden" if is_size else schema.main_key
        shown = shortened(argument)
        remedy = f"did you mean {meant}={shown}?"
        if meant in given.settings:  # homework student=a b
            remedy = "quote a value that contains spaces"
        last = next(reversed(given.settings), "")
        if last and given.settings[last].value == "":  # hidden= 40
            remedy = f"remove the space after {last}="
        elif shown.endswith("]"):  # evaluate sets=[mnist, digits]
            remedy = "remove the spaces in the list"
        raise ConfigError(f"{shown!r} {FORM}: {remedy}")
    if not is_setting:
        raise ConfigError(explain_unknown_key(key, schema, flags.groups))


def _read_keyword(key: str, value: Any, schema: Schema) -> object:  # noqa: ANN401
    """Return the value of a key: one value, `Several` values, or an `Interval`."""
    value = _builtin(key, value)  # an array without axes cannot be iterated
    has_list = contains(schema.model_fields[key].annotation, list)
    has_several = has_list or key in schema.can_vary
    if isinstance(value, str) and (has_several or key not in TEXT_KEYS):
        return parse_value(key, value, schema)  # as on a command line
    if not has_several or not _is_list(value):
        return _without_arrays(value)
    items = itertools.islice(value, MAX_VALUES + 1)
    values = [_read_item(key, item, schema) for item in items]
    if not values and not has_list:
        raise ConfigError(f"{key} has no value: give at least one")
    return values if has_list else Several(values)


def _is_list(value: object) -> bool:
    """Return whether a value is a list, a range, an array or similar."""
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _read_item(key: str, item: Any, schema: Schema) -> object:  # noqa: ANN401
    """Return a value of a list; the text of a number is parsed like a single value."""
    if not isinstance(item, str) or key in TEXT_KEYS:
        return _without_arrays(_builtin(key, item))
    value = parse_value(key, item, schema)
    if isinstance(value, Several | Interval):
        raise ConfigError(f"{key} has a list with several values in {item!r}: use one")
    return value


def _without_arrays(value: Any) -> Any:  # noqa: ANN401
    """Convert an array to a list: an array cannot be compared with a value."""
    return value.tolist() if hasattr(value, "tolist") else value


def _builtin(key: str, value: Any) -> Any:  # noqa: ANN401
    """Convert a path to text, and a number of another type to int or float."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, int) and not hasattr(value, "ndim"):
        try:
            if isinstance(value, SupportsIndex):
                value = operator.index(value)
            elif isinstance(value, SupportsFloat):
                value = float(value)
        except (ArithmeticError, ValueError):  # such as Fraction(10**400)
            raise ConfigError(
                f"{key} cannot be converted to a float, "
                f"got a {type(value).__name__}"  # Python may refuse to print the digits
            ) from None
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ConfigError(f"{key} must have at most {MAX_BITS:,} bits")
    if getattr(value, "ndim", None) != 0:
        return value
    number, kind = value.item(), str(value.dtype).removeprefix("torch.")
    if kind in ("float16", "float32"):
        import numpy as np  # already imported by the caller, who has the value

        return float(str(np.dtype(kind).type(number)))  # 0.001 and not 0.00100000005
    return number
