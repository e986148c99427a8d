"""Reads what a user gives: arguments of a command line, or keywords of a call."""

import itertools
import operator
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsFloat, SupportsIndex

from pipeline import ConfigError
from pipeline.base.text import shortened
from pipeline.cli.command import Interval, Setting, Several
from pipeline.cli.flags import ConfigFolders
from pipeline.cli.problems import as_text, collected
from pipeline.cli.schema import KEYS, TEXT_KEYS, Schema, contains
from pipeline.cli.validation import describe_default, explain_unknown_key
from pipeline.cli.values import MAX_VALUES, parse_group, parse_value
from pipeline.cli.yaml_files import describe_hydra

MAX_BITS = 1000  # limit for a number; Python prints at most 4,300 digits
PREFIX = re.compile(r"^(\+\+|\+|~)")  # of a key or a group
# Other forms of hidden=20, which are rejected: --hidden 20, hidden = 20, hidden:20
OTHER_FORM = re.compile(r"(?:--)?(?P<key>\w+) ?[=:]? ?(?P<value>.*)", re.DOTALL)
OTHER_START = re.compile(r"--|\w+[ :]")  # the start of such a form in one argument


def read_arguments(
    arguments: Iterable[str], schema: Schema, folders: ConfigFolders
) -> tuple[dict[str, Setting], list[str]]:
    """Read the arguments of a command line, without its flags.

    As in Hydra, the last value of a key counts.

    Returns:
        A setting for each key and config group, and the problems of the arguments that
        cannot be read.
    """
    settings, problems = dict[str, Setting](), list[str]()
    for words in _join_spaced(arguments):
        with collected(problems):
            argument = _check_form(words, schema, folders)
            name, equals, text = argument.partition("=")
            key = PREFIX.sub("", name)
            names = folders.files_of_group(key.partition("@")[0])
            if names is None:
                _check_key(argument, key, schema, folders)
            if not equals and not name.startswith("~"):
                raise ConfigError(f"{key} has no value: write {key}=value")
            if names is None:
                settings[key] = Setting(parse_value(key, text, schema))
            else:
                settings[key] = Setting(parse_group(argument, names))
    return settings, problems


def read_keywords(
    keywords: Mapping[str, Any], schema: Schema, folders: ConfigFolders
) -> tuple[dict[str, Setting], list[str]]:
    """Read the keywords of a call from Python, like `read_arguments`."""
    settings, problems = dict[str, Setting](), list[str]()
    for key, value in keywords.items():
        with collected(problems):
            names = folders.files_of_group(key)
            if names is not None:
                options = value if _is_list(value) else [value]
                argument = f"{key}={','.join(map(as_text, options))}"
                settings[key] = Setting(parse_group(argument, names))
            elif key in schema.model_fields:
                settings[key] = Setting(_read_keyword(key, value, schema))
            else:
                raise ConfigError(explain_unknown_key(key, schema, folders.groups))
    return settings, problems


def _join_spaced(arguments: Iterable[str]) -> list[list[str]]:
    """Group the arguments that form one setting, such as `hidden`, `=` and `20`.

    An argument without an equals sign belongs to the one before it if that one is a key
    or a flag, or ends with an equals sign or a comma, as in `hidden=5, 10`.
    """
    joined: list[list[str]] = []
    for argument in arguments:
        before = joined[-1][-1] if joined else ""
        is_flag = before.startswith("-") and "=" not in before
        lacks_value = is_flag or before in KEYS or before.endswith(("=", ","))
        is_value = "=" not in argument and not argument.startswith("-")
        if joined and (argument.startswith("=") or (lacks_value and is_value)):
            joined[-1].append(argument)
        else:
            joined.append([argument])
    return joined


def _check_form(words: Sequence[str], schema: Schema, folders: ConfigFolders) -> str:
    """Return an argument of the form key=value; several words are always rejected.

    Raises:
        ConfigError: If this is a key and a value in another form, a flag, or a setting
            of Hydra.
    """
    argument = " ".join(words)
    name = argument.partition("=")[0]
    is_other = len(words) > 1 or OTHER_START.match(argument)
    form = OTHER_FORM.fullmatch(argument)
    if is_other and form and form["key"] in {*schema.model_fields, *folders.groups}:
        rule = f"{argument!r} is not of the form key=value"
        value = form["value"].replace(", ", ",") or "value"
        raise ConfigError(f"{rule}: write {form['key']}={value}")
    if argument.startswith("-"):
        raise ConfigError(f"unknown flag {argument}: --help lists the settings")
    key, _, package = PREFIX.sub("", name).partition("@")
    if re.match("hydra([./]|$)", key) or re.match("hydra([.:]|$)", package):
        raise ConfigError(describe_hydra(PREFIX.sub("", name)))
    return argument


def _check_key(argument: str, key: str, schema: Schema, folders: ConfigFolders) -> None:
    """Check that an argument sets a key of the stage."""
    name, equals, _ = argument.partition("=")
    if name.startswith("~") and key in KEYS:
        rule = f"~{key} would delete a setting, but every setting needs a value"
        raise ConfigError(f"{rule}: leave out ~{key} ({describe_default(key)})")
    if not equals and name == key and key not in schema.model_fields:
        is_size = argument.isdigit() and "hidden" in schema.model_fields
        meant = "hidden" if is_size else schema.main_key
        rule = f"{shortened(argument)!r} is not of the form key=value"
        raise ConfigError(f"{rule}: did you mean {meant}={shortened(argument)}?")
    if key not in schema.model_fields:
        unknown = key.strip()  # the first of several words
        raise ConfigError(explain_unknown_key(unknown, schema, folders.groups))


def _read_keyword(key: str, value: Any, schema: Schema) -> object:  # noqa: ANN401
    """Return the value of a key: one value, `Several` values, or an `Interval`."""
    value = _builtin(value)  # an array without axes cannot be iterated
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
        return _without_arrays(_builtin(item))
    value = parse_value(key, item, schema)
    if isinstance(value, Several | Interval):
        raise ConfigError(f"{key} has a list with several values in {item!r}: use one")
    return value


def _without_arrays(value: Any) -> Any:  # noqa: ANN401
    """Convert an array to a list: an array cannot be compared with a value."""
    return value.tolist() if hasattr(value, "tolist") else value


def _builtin(value: Any) -> Any:  # noqa: ANN401
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
            raise ConfigError(f"{value!r:.40} cannot be converted to a float") from None
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ConfigError(f"a number must have at most {MAX_BITS:,} bits")
    if getattr(value, "ndim", None) != 0:
        return value
    number, kind = value.item(), str(value.dtype).removeprefix("torch.")
    if kind in ("float16", "float32"):
        import numpy as np  # already imported by the caller, who has the value

        return float(str(np.dtype(kind).type(number)))  # 0.001 and not 0.00100000005
    return number
