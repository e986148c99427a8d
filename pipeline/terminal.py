"""Terminal output: tables, bars, progress bars and status lines.

Progress bars and status lines appear only on a terminal; everything else is plain text.
"""

import io
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.files import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")
WIDTH = 80  # columns of help and of tables that are not printed on a terminal


class _Output(io.FileIO):
    """An output file that discards everything after its reader has closed the pipe."""

    def write(self, content: Any) -> int:  # noqa: ANN401
        try:
            return super().write(content)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(content)


def ignore_broken_pipe() -> None:
    """Continue this process after its reader has closed the pipe, as `| head` does.

    Characters that the encoding of the terminal lacks are replaced.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.flush()  # a caller may have printed something
            raw = io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False))
            lines = stream.line_buffering or stream.write_through
            encoding = stream.encoding
            wrapped = io.TextIOWrapper(raw, encoding, "replace", line_buffering=lines)
            setattr(sys, name, wrapped)


def wrap(text: str, *, indent: int = 2, start: str = "") -> str:
    """Wrap a paragraph at words to 80 columns; the first line begins with `start`.

    All other lines are indented by `indent` spaces.
    """
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def command_line(stage: str, *options: str, **others: str | None) -> str:
    """Return a command to type, with `options` and the `others` that have a value."""
    options += tuple(f"{key}={value}" for key, value in others.items() if value)
    return shlex.join(["python", "-m", f"pipeline.{stage}", *options])


def next_steps(commands: Mapping[str, str]) -> str:
    """Return lines that suggest commands, and say what each of them does."""
    width = max(map(len, commands))
    lines = [f"{name:{width}}   {does}" for name, does in commands.items()]
    indent = "next   "
    if len(indent) + max(map(len, lines)) > WIDTH:
        lines = [line for item in commands.items() for line in item]
        lines[1::2] = [f"  {does}" for does in lines[1::2]]
    return indent + f"\n{' ' * len(indent)}".join(lines)


def print_error(message: str) -> None:
    """Print lines to stderr; on a terminal, they wrap at words."""
    lines = [printable(line) for line in message.split("\n")]
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = [
            textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False)
            for line in lines
        ]
    print("\n".join(lines), file=sys.stderr)


def new_console(**options: Any) -> "Console":  # noqa: ANN401
    """Return a console that prints plain text in a notebook.

    By default, Rich would display HTML there and write nothing to `file`.
    """
    from rich.console import Console

    in_notebook = Console().is_jupyter
    return Console(
        **options,
        force_jupyter=False,
        force_terminal=False if in_notebook else None,
    )


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show a line on a terminal during a step that prints nothing; then remove it.

    The step must not show another status line or a progress bar.
    """
    from rich.text import Text

    console = new_console()
    if not console.is_terminal:
        yield
        return
    with console.status(Text(printable(text))):
        yield


def progress(description: str) -> Callable[..., Iterable[Any]]:
    """Return a function that iterates over items and shows a progress bar.

    It takes the items and, if they have no length, their number.
    """
    from rich.markup import escape

    def track(items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
        text = escape(printable(description))
        with progress_bar(new_console()) as bar:
            yield from bar.track(items, total=total, description=text)

    return track


def progress_bar(console: "Console") -> "Progress":
    """Return a progress bar below all other output, which disappears at the end.

    It is disabled if the console is not a terminal.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def probability_bars(probabilities: Sequence[float], labels: Sequence[str]) -> str:
    """Return a line with a bar for the probability of each class, in [0, 1]."""
    width = max(map(len, labels))
    lines = [
        f"  {label:<{width}}  {probability:8.3%}  {'█' * round(40 * probability)}"
        for label, probability in zip(labels, probabilities, strict=True)
    ]
    return "\n".join(line.rstrip() for line in lines)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()
) -> str:
    """Return a table as plain text, as wide as its content.

    If it is wider than 80 columns, its gaps are narrower, and the columns that are
    aligned `left` wrap; all others are aligned right.
    """
    cells = [[*columns], *map(list, rows)]
    lines = _grid(cells, left, gap=3)
    if max(map(len, lines)) > WIDTH:
        lines = _grid(cells, left, gap=2, width=WIDTH)
    return "\n".join(lines)


def _grid(
    cells: list[list[str]], left: Sequence[str], *, gap: int, width: int = 10_000
) -> list[str]:
    """Return the lines of a table; it exceeds the width rather than cut numbers."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    minimum = -gap
    for column in zip(*cells, strict=True):
        least = max(map(len, column))
        if column[0] in left:
            grid.add_column(column[0], overflow="fold")
            least = min(least, 12)
        else:
            grid.add_column(column[0], justify="right", no_wrap=True)
        minimum += least + gap
    for row in cells[1:]:
        grid.add_row(*map(Text, row))
    text = io.StringIO()
    new_console(file=text, width=max(width, minimum), color_system=None).print(grid)
    return [line.rstrip() for line in text.getvalue().splitlines()]
