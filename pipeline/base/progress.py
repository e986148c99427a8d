"""Progress bars and status lines of Rich, which appear only on a terminal."""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from http.client import HTTPResponse
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from pipeline.base.terminal import is_quiet
from pipeline.base.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")


@cache  # save and restore the random state only for the first import
def _rich() -> ModuleType:
    """Import Rich on demand, because --help does not need it.

    Rich draws random numbers, but a caller may have seeded the generator.
    """
    state = random.getstate()
    try:
        import rich.console
        import rich.markup
        import rich.progress
    finally:
        random.setstate(state)
    return rich


def new_console(**keywords: Any) -> "Console":  # noqa: ANN401
    """Return a console that prints plain text in a notebook.

    By default, Rich would display HTML in a notebook and write nothing to `file`.
    """
    new = _rich().console.Console
    in_notebook = new().is_jupyter
    keywords.setdefault("quiet", is_quiet())
    console: Console = new(
        **keywords,
        force_jupyter=False,
        force_terminal=False if in_notebook else None,
    )
    return console


def is_live(console: "Console") -> bool:
    """Return whether progress bars and status lines appear on a console."""
    return console.is_terminal and not console.quiet


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show a status line on a terminal during a step that prints nothing.

    The line then disappears. The step must not show another status line or a progress
    bar.
    """
    console = new_console()
    if not is_live(console):
        yield
        return
    with console.status(_as_markup(text)):
        yield


def _as_markup(text: str) -> str:
    """Return text of unknown origin in a form in which Rich prints it unchanged."""
    return str(_rich().markup.escape(printable(text)))


def progress(description: str) -> Callable[..., Iterable[Any]]:
    """Return a function that iterates over items and shows a progress bar.

    The function takes the items and, if the items have no length, their number.
    """

    def track(items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
        text = _as_markup(description)
        with progress_bar(new_console()) as bar:
            yield from bar.track(items, total=total, description=text)

    return track


def progress_bar(console: "Console") -> "Progress":
    """Return a progress bar below all other output; the bar disappears at the end.

    The bar is disabled if the console is not a terminal.
    """
    parts = _rich().progress
    default = parts.Progress.get_default_columns()[:2]
    return _bar(
        console, *default, parts.MofNCompleteColumn(), parts.TimeRemainingColumn()
    )


def text_bar(console: "Console") -> "Progress":
    """Return a wide `progress_bar`, with the text of the field `text` of its task."""
    parts = _rich().progress
    text = parts.TextColumn("{task.fields[text]}", markup=False)  # calls `str`
    return _bar(console, parts.BarColumn(None), text, expand=True, refresh_per_second=4)


def _bar(console: "Console", *columns: Any, **keywords: Any) -> "Progress":  # noqa: ANN401
    new: type[Progress] = _rich().progress.Progress
    is_off = not is_live(console)
    return new(*columns, console=console, disable=is_off, transient=True, **keywords)


def show_reading(response: HTTPResponse, size: int) -> AbstractContextManager[BinaryIO]:
    """Return a stream of `size` bytes that shows a progress bar on stderr."""
    console = new_console(stderr=True)
    stream: AbstractContextManager[BinaryIO] = _rich().progress.wrap_file(
        response, size, console=console, disable=not is_live(console)
    )
    return stream
