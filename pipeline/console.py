"""Tables and progress bars, with Rich.

Progress bars appear only on a terminal; tables are plain text.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from typing import Any, BinaryIO, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    TimeRemainingColumn,
    wrap_file,
)
from rich.table import Table
from rich.text import Text

from pipeline.call import is_quiet
from pipeline.files import printable
from pipeline.terminal import WIDTH

Item = TypeVar("Item")


def new_console(**options: Any) -> Console:  # noqa: ANN401
    """Return a console that prints plain text in a notebook.

    By default, Rich would display HTML there and write nothing to `file`.
    """
    in_notebook = Console().is_jupyter
    options.setdefault("quiet", is_quiet())
    return Console(
        **options,
        force_jupyter=False,
        force_terminal=False if in_notebook else None,
    )


def progress(description: str) -> Callable[..., Iterable[Any]]:
    """Return a function that iterates over items and shows a progress bar.

    It takes the items and, if they have no length, their number.
    """

    def track(items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
        text = escape(printable(description))
        with progress_bar(new_console()) as bar:
            yield from bar.track(items, total=total, description=text)

    return track


def progress_bar(console: Console) -> Progress:
    """Return a progress bar below all other output, which disappears at the end.

    It is disabled if the console is not a terminal.
    """
    return Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal or console.quiet,
        transient=True,
    )


def show_reading(response: HTTPResponse, size: int) -> AbstractContextManager[BinaryIO]:
    """Return a stream of `size` bytes that shows a progress bar on stderr."""
    console = new_console(stderr=True)
    disable = not console.is_terminal or console.quiet
    return wrap_file(response, size, console=console, disable=disable)


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
    size = max(width, minimum)
    new_console(quiet=False, file=text, width=size, color_system=None).print(grid)
    return [line.rstrip() for line in text.getvalue().splitlines()]
