"""Reads what a user gives: arguments of a command line, or keywords of a call."""

import itertools
import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, SupportsFloat, SupportsIndex

from pipeline import ConfigError
from pipeline.base.text import shortened
from pipeline.cli.command import Interval
from pipeline.cli.config import as_text, describe_default, explain_unknown_key
from pipeline.cli.folders import ConfigFolders
from pipeline.cli.problems import located
from pipeline.cli.schema import KEYS, TEXT_KEYS, Schema, contains
from pipeline.cli.settings import Setting
from pipeline.cli.source import describe_hydra
from pipeline.cli.values import (
    MAX_VALUES,
    GroupOverrides,
    SweepValues,
    parse_group,
    parse_value,
)

MAX_BITS = 1000  # limit for a number; Python prints at most 4,300 digits
# Arguments whose value is the next argument, such as --hidden, hidden= and `hidden =`,
# and a list that ends with a comma, such as hidden=5,
UNFINISHED = re.compile(r"-[\w-]+|[\w-]+ ?=|\w+=.*,")
VALUE = re.compile("[^=-][^=]*")  # 20, but not =20, -m or seed=1
# Other forms of hidden=20, which are rejected: --hidden 20, hidden = 20, hidden:20
OTHER_FORM = re.compile(r"(?:--)?(?P<key>\w+) ?[=:]? ?(?P<value>.*)", re.DOTALL)
OTHER_START = re.compile(r"--|\w+:")  # the start of such a form without spaces


@dataclass(frozen=True)
class Given:
    """The input of a user: values of keys, and options of config groups."""

    settings: Mapping[str, Setting]  # by key
    groups: Mapping[str, GroupOverrides]  # by group
    problems: Sequence[str]  # a line for each item that cannot be read


def read_arguments(
    arguments: Iterable[str], schema: Schema, folders: ConfigFolders
) -> Given:
    """Read the arguments of a command line, without its flags."""
    joined = _join_spaced(arguments)
    return _read_each(partial(_read_argument, each, schema, folders) for each in joined)


def read_keywords(
    keywords: Mapping[str, Any], schema: Schema, folders: ConfigFolders
) -> Given:
    """Read the keywords of a call from Python."""
    items = keywords.items()
    return _read_each(partial(_read_keyword, each, schema, folders) for each in items)


def _read_each(readers: Iterable[Callable[[], tuple[str, object]]]) -> Given:
    """Read each item. As in Hydra, the last value of a key counts."""
    settings, groups = dict[str, Setting](), dict[str, GroupOverrides]()
    problems: list[str] = []
    for read in readers:
        try:
            name, value = read()
        except ConfigError as error:
            problems.append(located(str(error), None))
            continue
        if isinstance(value, GroupOverrides):
            groups[name] = value
        else:
            settings[name] = Setting(value)
    return Given(settings, groups, problems)


def _join_spaced(arguments: Iterable[str]) -> list[list[str]]:
    """Return each argument in a list, but those of `hidden = 20` in a single list.

    A value belongs to the argument before it if this argument is a key or a flag, or if
    it ends with an equals sign or a comma.
    """
    joined: list[list[str]] = []
    for argument in arguments:
        before = " ".join(joined[-1]) if joined else ""
        lacks_value = before in KEYS or UNFINISHED.fullmatch(before)
        is_key = argument in KEYS and not before.startswith("-")
        is_value = VALUE.fullmatch(argument) and not is_key
        if before and (argument.startswith("=") or (lacks_value and is_value)):
            joined[-1].append(argument)
        else:
            joined.append([argument])
    return joined


def _read_argument(
    arguments: Sequence[str], schema: Schema, folders: ConfigFolders
) -> tuple[str, object]:
    """Return a key and its parsed value, or a group and its `GroupOverrides`.

    Raises:
        ConfigError: If the arguments are neither. Several are always rejected.
    """
    argument = " ".join(arguments)
    name, equals, text = argument.partition("=")
    is_spaced = len(arguments) > 1 or name != name.strip()  # a quoted "hidden = 20"
    _check_form(argument, schema, folders, is_spaced=is_spaced)
    key = re.sub(r"^(\+\+|\+|~)", "", name)
    group, _, package = key.partition("@")
    if re.match("hydra([./]|$)", group) or re.match("hydra([.:]|$)", package):
        raise ConfigError(describe_hydra(key))
    names = folders.files_of_group(group)
    if names is not None:
        if not equals and not name.startswith("~"):
            raise ConfigError(f"{key} has no value: write {key}=value")
        return key, parse_group(argument, names)
    if name.startswith("~") and key in KEYS:
        rule = f"~{key} would delete a setting, but every setting needs a value"
        raise ConfigError(f"{rule}: leave out ~{key} ({describe_default(key)})")
    if key in schema.model_fields and not equals:
        raise ConfigError(f"{key} has no value: write {key}=value")
    if not equals and name == key:
        is_size = argument.isdigit() and "hidden" in schema.model_fields
        meant = "hidden" if is_size else schema.main_key
        hint = f"did you mean {meant}={shortened(argument)}?"
        raise ConfigError(
            f"{shortened(argument)!r} is not of the form key=value: {hint}"
        )
    if key not in schema.model_fields:
        unknown = key.strip()  # the first of several arguments
        raise ConfigError(explain_unknown_key(unknown, schema, groups=folders.groups))
    return key, parse_value(key, text, schema)


def _check_form(
    argument: str, schema: Schema, folders: ConfigFolders, *, is_spaced: bool
) -> None:
    """Check that this is neither a key and a value in another form, nor a flag."""
    keys = {*schema.model_fields, *folders.groups}
    form = OTHER_FORM.fullmatch(argument)
    is_other = is_spaced or OTHER_START.match(argument)
    if is_other and form and form["key"] in keys:
        rule = f"{argument!r} is not of the form key=value"
        value = form["value"].replace(", ", ",") or "value"
        raise ConfigError(f"{rule}: write {form['key']}={value}")
    if argument.startswith("-"):
        raise ConfigError(f"unknown flag {argument}: --help lists the settings")


def _read_keyword(
    keyword: tuple[str, Any], schema: Schema, folders: ConfigFolders
) -> tuple[str, object]:
    """Return a key and its parsed value, or a group and its `GroupOverrides`.

    Raises:
        ConfigError: If the keyword is neither a key nor a group.
    """
    key, value = keyword
    names = folders.files_of_group(key)
    if names is not None:
        argument = (
            f"{key}={','.join(map(as_text, value if _is_list(value) else [value]))}"
        )
        return key, parse_group(argument, names)
    if key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(key, schema, groups=folders.groups))
    value = _builtin(value)  # an array without axes cannot be iterated
    has_list = contains(schema.model_fields[key].annotation, list)
    has_several = has_list or key in schema.can_vary
    if isinstance(value, str) and (has_several or key not in TEXT_KEYS):
        return key, parse_value(key, value, schema)  # as on a command line
    if not has_several or not _is_list(value):
        return key, value
    items = itertools.islice(value, MAX_VALUES + 1)
    values = [_read_item(key, item, schema) for item in items]
    if not values and not has_list:
        raise ConfigError(f"{key} has no value: give at least one")
    return key, values if has_list else SweepValues(values)


def _is_list(value: object) -> bool:
    """Return whether a value is a list, a range, an array or similar."""
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _read_item(key: str, item: Any, schema: Schema) -> object:  # noqa: ANN401
    """Return a value of a list; the text of a number is parsed like a single value."""
    if not isinstance(item, str) or key in TEXT_KEYS:
        return _builtin(item)
    value = parse_value(key, item, schema)
    if isinstance(value, SweepValues | Interval):
        raise ConfigError(f"{key} has a list with several values in {item!r}: use one")
    return value


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
