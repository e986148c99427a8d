"""Prints plain text on the terminal, with warnings and errors.

Whether a call is quiet, and its warnings, are stored per thread, so that calls in
several threads do not disturb each other.
"""

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TextIO

from pipeline import UserError
from pipeline.base.text import printable, wrap

STDERR = 2  # the file descriptor


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
            _add_warning(text)


def say(
    *values: object, end: str = "\n", file: TextIO | None = None, flush: bool = False
) -> None:
    """Print values as `print` does, unless the call is quiet."""
    if not is_quiet():
        print(*values, end=end, file=file, flush=flush)


def is_quiet() -> bool:
    """Return whether this call prints nothing."""
    current = _output.get()
    return current is not None and current.is_quiet


def warn(message: str, *, remedy: str) -> None:
    """Print "warning: ", a message, and a command as its remedy; see `output`."""
    _add_warning(f"{wrap(f'warning: {message}')}\n  {remedy}")


def _add_warning(text: str) -> None:
    current = _output.get()
    if current is None:
        sys.stdout.flush()  # the warning is last if both outputs are a file
        print(text, file=sys.stderr)
    elif not current.is_quiet:
        current.warnings.append(text)


def print_error(message: str) -> None:
    """Print lines to stderr; on a terminal, long lines wrap at words."""
    lines = [printable(line) for line in message.split("\n")]
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = [
            textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False)
            for line in lines
        ]
    say("\n".join(lines), file=sys.stderr)


class _SafeFile(io.FileIO):
    """An output file that discards all further output after a write has failed.

    A failed write to the standard output raises a `UserError`, unless the reader has
    closed the pipe.
    """

    def write(self, content: Any) -> int:  # noqa: ANN401
        try:
            return super().write(content)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if isinstance(error, BrokenPipeError) or self.fileno() == STDERR:
                return len(content)
            reason = str(error.strerror).lower()
            raise UserError(f"cannot write to the standard output: {reason}") from None


def check_output() -> None:
    """Treat a failure to write output as an error of the user; see `_SafeFile`.

    If the reader closes the pipe, as `| head` does, the process continues. Characters
    that are not in the encoding of the terminal are replaced.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.flush()  # a caller may have printed something
            raw = io.BufferedWriter(_SafeFile(stream.fileno(), "w", closefd=False))
            lines = stream.line_buffering or stream.write_through
            encoding = stream.encoding
            wrapped = io.TextIOWrapper(raw, encoding, "replace", line_buffering=lines)
            setattr(sys, name, wrapped)
