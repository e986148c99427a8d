"""Tables, and progress bars with Rich.

Progress bars appear only on a terminal; tables are plain text.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from itertools import zip_longest
from typing import Any, BinaryIO, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    TimeRemainingColumn,
    wrap_file,
)

from pipeline.call import is_quiet
from pipeline.files import printable
from pipeline.terminal import WIDTH

MIN_TEXT = 12  # columns of text in a table that is too wide

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

    The columns in `left` are text and aligned left; all others are aligned right. If
    the table is wider than 80 columns, its gaps are narrower, and text wraps at words.
    A name that is still too long for the first column gets a line of its own. Numbers
    are never cut; if they do not fit, the table is wider.
    """
    cells = [[*columns], *map(list, rows)]
    texts = [index for index, column in enumerate(columns) if column in left]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    gap = 3
    if _excess(widths, gap) > 0:
        gap = 2
        _narrow(widths, cells, texts, gap)
    return "\n".join(line for row in cells for line in _lines(row, widths, texts, gap))


def _excess(widths: Sequence[int], gap: int) -> int:
    """Return by how many columns a table is too wide."""
    return sum(widths) + gap * (len(widths) - 1) - WIDTH


def _narrow(
    widths: list[int], cells: list[list[str]], texts: Sequence[int], gap: int
) -> None:
    """Narrow the columns with text until the table fits, first to whole words."""
    words = {i: [word for row in cells for word in row[i].split()] for i in texts}
    longest = {i: max(map(len, words[i]), default=0) for i in texts}
    for least in (longest, dict.fromkeys(texts, MIN_TEXT)):
        for i in sorted(texts, key=lambda i: -widths[i]):
            fitting = widths[i] - max(0, _excess(widths, gap))
            widths[i] = max(fitting, min(widths[i], least[i]))


def _lines(
    row: Sequence[str], widths: Sequence[int], texts: Sequence[int], gap: int
) -> Iterator[str]:
    """Yield the lines of a row; a long name in the first column has its own."""
    name, *others = row
    if 0 in texts and max(map(len, name.split()), default=0) > widths[0]:
        yield name
        row = ["", *others]
    wrapped = [
        textwrap.wrap(cell, width, break_on_hyphens=False)
        if index in texts and len(cell) > width
        else [cell]
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    for parts in zip_longest(*wrapped, fillvalue=""):
        aligned = (
            f"{part:{'<' if index in texts else '>'}{width}}"
            for index, (part, width) in enumerate(zip(parts, widths, strict=True))
        )
        yield (" " * gap).join(aligned).rstrip()
