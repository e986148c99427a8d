"""Problems of settings, which a `ConfigError` contains."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.base.text import printable


class WrongType(ConfigError):
    """A value that is missing, or whose type is wrong for its key, like hidden=abc.

    A reference to another key that cannot be resolved, such as ${nokey}, is included.
    """


def as_text(value: object) -> str:
    """Return a value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def located(message: str, path: Path | None) -> str:
    """Return the message of a problem, with the file that contains it, if any.

    The result is one line, regardless of what a key or a value contains.
    """
    return printable(f"{displayed(path)}: {message}" if path else message)


@contextmanager
def collected(problems: list[str], path: Path | None = None) -> Iterator[None]:
    """Add the problems of an error in the block to a list, instead of raising it.

    `path` is the file that contains the problems, if any.
    """
    try:
        yield
    except ConfigError as error:
        problems += (located(each, path) for each in error.problems)


def reject(problems: Iterable[str]) -> None:
    """Raise a ConfigError with a line for each problem, if there is one."""
    if lines := [*problems]:
        raise ConfigError(*lines)
