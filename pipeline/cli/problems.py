"""Reports all problems of a command at once.

Each function raises a ConfigError; this is the only place that collects them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import ConfigError
from pipeline.paths import displayed


class Problems:
    """The errors of several steps: `collected` takes them, `raise_all` joins them."""

    def __init__(self) -> None:
        """Begin without a problem."""
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        """Return whether there is a problem."""
        return bool(self._lines)

    @contextmanager
    def collected(self, path: Path | None = None) -> Iterator[None]:
        """Take the error of a block, which concerns a file if there is a path."""
        try:
            yield
        except ConfigError as error:
            self._lines += (located(line, path) for line in str(error).split("\n"))

    def raise_all(self) -> None:
        """Raise a ConfigError with a line for each problem, if there is one."""
        refuse(self._lines)


def located(message: str, path: Path | None) -> str:
    """Return the message of a problem, with the file that it is in, if any."""
    return f"{displayed(path)}: {message}" if path else message


def refuse(problems: Iterable[str]) -> None:
    """Raise a ConfigError with a line for each problem, if there is one."""
    if lines := [*dict.fromkeys(problems)]:
        raise ConfigError("\n".join(lines))
