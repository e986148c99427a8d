"""Terminal output: paragraphs, commands to type, errors, bars and status lines.

The module `text` makes tables, and `console` shows progress bars. Status lines appear
only on a terminal. All other output is plain text.
"""

import io
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipeline import UserError
from pipeline.base.printing import say
from pipeline.base.text import WIDTH, printable

STDERR = 2  # the file descriptor


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
            message = f"cannot write to the standard output: {reason}"
            raise UserError(message) from None


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


def wrap(text: str, *, indent: int = 2, start: str = "") -> str:
    """Wrap a paragraph at words to 80 columns; the first line begins with `start`.

    All other lines are indented by `indent` spaces. Line breaks in the text become
    spaces. Several spaces in sequence are kept, because a file name can contain them.
    """
    return textwrap.fill(
        " ".join(filter(None, map(str.strip, text.split("\n")))),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def counted(number: int, noun: str) -> str:
    """Return a number with a noun: `1 image`, `10,000 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def command_line(stage: str, *settings: str, **others: str | None) -> str:
    """Return a command to type, with `settings` and each of `others` with a value."""
    settings += tuple(f"{key}={value}" for key, value in others.items() if value)
    return shlex.join(["python", "-m", f"pipeline.{stage}", *settings])


def next_steps(commands: Mapping[str, str]) -> str:
    """Return lines that suggest commands and say what each command does."""
    width = max(map(len, commands))
    lines = [f"{name:{width}}   {does}" for name, does in commands.items()]
    indent = "next   "
    if len(indent) + max(map(len, lines)) > WIDTH:
        lines = [line for item in commands.items() for line in item]
        lines[1::2] = [f"  {does}" for does in lines[1::2]]
    return indent + f"\n{' ' * len(indent)}".join(lines)


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


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show a status line on a terminal during a step that prints nothing.

    The line then disappears. The step must not show another status line or a progress
    bar.
    """
    # The import takes 25 ms, which --help saves.
    from pipeline.base.console import escape, is_live, new_console

    console = new_console()
    if not is_live(console):
        yield
        return
    with console.status(escape(printable(text))):
        yield
