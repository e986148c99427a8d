"""Prints the text of a call or a command, and its warnings at the end.

The state of this module belongs to the thread of a call, so that calls in several
threads do not disturb each other.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class _Output:
    """The output of a call or a command."""

    is_quiet: bool = False
    warnings: list[str] = field(default_factory=list)


_output: ContextVar[_Output | None] = ContextVar("output", default=None)


@contextmanager
def output(*, quiet: bool = False) -> Iterator[None]:
    """Print the warnings of a block at its end, where a user sees them.

    If `quiet`, nothing is printed in the block.
    """
    started = _Output(quiet)
    token = _output.set(started)
    try:
        yield
    finally:
        _output.reset(token)
        for text in started.warnings:
            warn(text)


def say(*values: object, **options: Any) -> None:  # noqa: ANN401
    """Print values as `print` does, unless the call is quiet."""
    if not is_quiet():
        print(*values, **options)


def is_quiet() -> bool:
    """Return whether this call prints nothing."""
    current = _output.get()
    return current is not None and current.is_quiet


def warn(text: str) -> None:
    """Print a warning, which begins with "warning: ", at the end; see `output`."""
    current = _output.get()
    if current is None:
        sys.stdout.flush()  # the warning is last if both outputs are a file
        print(text, file=sys.stderr)
    elif not current.is_quiet:
        current.warnings.append(text)
