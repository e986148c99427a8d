"""Progress bars of Rich, which appear only on a terminal.

The import takes 25 ms, so `busy`, which every command uses, is in `terminal`.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from typing import Any, BinaryIO, TypeVar

from pipeline.base.terminal import is_quiet
from pipeline.base.text import printable

_state = random.getstate()
try:  # Rich draws random numbers, but a caller may have seeded the generator
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        MofNCompleteColumn,
        Progress,
        TimeRemainingColumn,
        wrap_file,
    )
finally:
    random.setstate(_state)

Item = TypeVar("Item")


def new_console(**options: Any) -> Console:  # noqa: ANN401
    """Return a console that prints plain text in a notebook.

    By default, Rich would display HTML in a notebook and write nothing to `file`.
    """
    in_notebook = Console().is_jupyter
    options.setdefault("quiet", is_quiet())
    return Console(
        **options,
        force_jupyter=False,
        force_terminal=False if in_notebook else None,
    )


def is_live(console: Console) -> bool:
    """Return whether progress bars and status lines appear on a console."""
    return console.is_terminal and not console.quiet


def progress(description: str) -> Callable[..., Iterable[Any]]:
    """Return a function that iterates over items and shows a progress bar.

    The function takes the items and, if the items have no length, their number.
    """

    def track(items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
        text = escape(printable(description))
        with progress_bar(new_console()) as bar:
            yield from bar.track(items, total=total, description=text)

    return track


def progress_bar(console: Console) -> Progress:
    """Return a progress bar below all other output; the bar disappears at the end.

    The bar is disabled if the console is not a terminal.
    """
    return Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not is_live(console),
        transient=True,
    )


def show_reading(response: HTTPResponse, size: int) -> AbstractContextManager[BinaryIO]:
    """Return a stream of `size` bytes that shows a progress bar on stderr."""
    console = new_console(stderr=True)
    return wrap_file(response, size, console=console, disable=not is_live(console))
