"""The undocumented parts of Hydra that this project uses, and texts of its messages.

If a new version of Hydra changes these parts, only this module needs to change.
"""

import itertools
import re
from collections.abc import Sequence
from threading import Lock
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, RangeSweep, Sweep
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigSource
from hydra.version import VersionBase
from packaging.version import Version
from yaml import MarkedYAMLError

VERSION = Version("1.3")  # the version of Hydra's rules
# The parser raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
PARSE_ERRORS = (HydraException, NotImplementedError, ValueError)


_LOCK = Lock()  # all threads share the version base of Hydra


class DefaultsCycle(Exception):
    """The defaults lists of some files form a cycle."""


def list_files(
    root: str, overrides: Sequence[str], source: ConfigSource
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return each file that Hydra composes, with its package, and options of groups.

    All names are names in `source`, and `root` is the first file. Hydra's own
    settings are not read, because no file can change them. Hydra has one version base
    for all threads; this function restores the version base of a caller.

    Raises:
        HydraException: If a file is missing or the options are invalid.
        DefaultsCycle: If defaults lists form a cycle.
    """
    parsed = OverridesParser.create().parse_overrides([*overrides])
    repository = _Repository(source)
    version = VersionBase.instance()
    with _LOCK:
        before, version.version_base = version.version_base, VERSION
        try:
            found = create_defaults_list(
                repository, root, parsed, prepend_hydra=False, skip_missing=False
            )
        except RecursionError:
            raise DefaultsCycle from None
        finally:
            version.version_base = before
    listed = [(each.config_path or "", each.package or "") for each in found.defaults]
    # Hydra records the same options as hydra.runtime.choices.
    known = found.overrides.known_choices.items()
    return listed, {key.partition("@")[0]: choice for key, choice in known if choice}


class _Repository(ConfigRepository):
    """The files of one source."""

    def __init__(self, source: ConfigSource) -> None:
        self.sources = [source]


def parse_names(argument: str, names: Sequence[str]) -> list[str]:
    """Return the options of a group in an override.

    As in Hydra, glob selects some of the names, but searches no subfolder.

    Raises:
        HydraException, NotImplementedError, ValueError: If Hydra cannot parse the
            override.
    """
    override = OverridesParser.create().parse_override(argument)
    value = override.value()
    if isinstance(value, Glob):
        return value.filter([name for name in names if "/" not in name])
    if override.is_sweep_override():
        return [*override.sweep_string_iterator()]
    return [argument.partition("=")[2]]


def parse_values(argument: str, limit: int) -> tuple[list[Any], bool]:
    """Return the first `limit` values of an override, and whether they are a sweep.

    An interval is an `IntervalSweep`, with `start`, `end` and `tags`. Hydra does not
    list the numbers of a range together with other values; see `has_range`.

    Raises:
        HydraException, NotImplementedError, ValueError: If Hydra cannot parse the
            override.
    """
    override = OverridesParser.create().parse_override(argument)
    value, is_sweep = override.value(), override.is_sweep_override()
    if isinstance(value, RangeSweep):
        value.shuffle = False  # true lists all numbers of the range
    several = is_sweep and not isinstance(value, IntervalSweep)
    values = override.sweep_iterator() if several else iter([value])
    parsed = [*itertools.islice(values, limit)]
    return [getattr(each, "text", each) for each in parsed], is_sweep


def has_range(value: object) -> bool:
    """Return whether a parsed value is or contains an interval, a range or similar."""
    if isinstance(value, list):
        return any(map(has_range, value))
    return isinstance(value, Sweep | Glob)


def one_line(error: Exception) -> str:
    """Return the message of an error of Hydra, OmegaConf or YAML in one line."""
    if isinstance(error, MarkedYAMLError) and (mark := error.problem_mark):
        what = ", ".join(filter(None, [error.context, error.problem]))
        return f"line {mark.line + 1}, column {mark.column + 1}: {what}"
    text = str(error) or str(error.__cause__ or type(error).__name__)
    message, *_ = re.split(r"(?:Config s|S)earch path:|\n\s+full_key:", text)
    return " ".join(message.split())


def is_listed_twice(group: str, message: str) -> bool:
    """Return whether a message says that defaults lists have a group twice."""
    return f"Multiple values for {group}." in message


def split_message(message: str) -> tuple[list[str], str]:
    """Return the names in a message that can be files, and the text after the first."""
    names = re.findall(r"\b[Ii]n '?([^':\s]+)", message)
    return names, re.sub("^In '?[^':]+'?: ", "", message)
