"""What a call or a command prints: text, and its warnings at the end.

The values belong to the thread of the call, so that calls in several threads do not
disturb each other. A command uses the default values.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_is_quiet: ContextVar[bool] = ContextVar("is_quiet", default=False)
_said: ContextVar[list[str] | None] = ContextVar("said", default=None)
_warnings: ContextVar[list[str]] = ContextVar("warnings")


@contextmanager
def output_of_call(*, quiet: bool) -> Iterator[None]:
    """Print nothing in a block if `quiet`; keep what it says, for `said`."""
    tokens = _is_quiet.set(quiet), _said.set([])
    try:
        with warnings_last():
            yield
    finally:
        _is_quiet.reset(tokens[0])
        _said.reset(tokens[1])


def say(*values: object, sep: str = " ", end: str = "\n", **options: Any) -> None:  # noqa: ANN401
    """Print values as `print` does, unless the call is quiet."""
    if (texts := _said.get()) is not None and "file" not in options:
        texts.append(sep.join(map(str, values)) + end)
    if not is_quiet():
        print(*values, sep=sep, end=end, **options)


def said() -> str:
    """Return what this call has passed to `say` so far; "" in a command."""
    return "".join(_said.get() or ())


def is_quiet() -> bool:
    """Return whether this call prints nothing."""
    return _is_quiet.get()


@contextmanager
def warnings_last() -> Iterator[None]:
    """Print the warnings of a block at its end, where a user sees them."""
    warnings: list[str] = []
    token = _warnings.set(warnings)
    try:
        yield
    finally:
        _warnings.reset(token)
        for text in warnings:
            warn(text)


def warn(text: str) -> None:
    """Print a warning at the end of this call or command; see `warnings_last`.

    It begins with "warning: ".
    """
    warnings = _warnings.get(None)
    if is_quiet():
        return
    if warnings is not None:
        warnings.append(text)
    else:
        sys.stdout.flush()  # in a file with both, the warning is last
        print(text, file=sys.stderr)
