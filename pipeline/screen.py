"""What people see on a terminal: text that can do no harm, and bars for long work."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")


def printable(text: Path | str) -> str:
    """Return text as one line without what a terminal would obey.

    It is for what others chose: names of files and folders, the words of a server.
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in str(text))


def progress(told: str) -> Callable[[Sequence[Item]], Iterable[Item]]:
    """Return what passes items on and shows, on a terminal, how far they have come."""
    from rich.console import Console
    from rich.markup import escape

    def pass_on(items: Sequence[Item]) -> Iterator[Item]:
        with bar(Console()) as shown:
            yield from shown.track(items, description=escape(printable(told)))

    return pass_on


def bar(screen: "Console") -> "Progress":
    """Return a bar that shows below all else how far long work has come.

    It goes when the work is done, and never comes where the screen is no terminal.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        disable=not screen.is_terminal,
        transient=True,
    )
