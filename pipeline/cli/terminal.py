"""What people see on a terminal: text that can do no harm, and bars for long work."""

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.files import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")


class _Output(io.FileIO):
    """A file that takes what is written also when whoever read it has gone."""

    def write(self, content: Any) -> int:  # noqa: ANN401
        try:
            return super().write(content)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(content)


def ignore_broken_pipe() -> None:
    """Let this process end its work though nobody reads on, as after `| head`.

    Letters that the terminal doesn't have are replaced; a bar is worth no failure.
    """
    for name in ("stdout", "stderr"):
        before = getattr(sys, name)
        if isinstance(before, io.TextIOWrapper):
            raw = _Output(before.fileno(), "w", closefd=False)
            after = io.TextIOWrapper(
                raw if before.write_through else io.BufferedWriter(raw),
                before.encoding,
                "replace",
                line_buffering=before.line_buffering,
                write_through=before.write_through,
            )
            setattr(sys, name, after)


def progress(told: str) -> Callable[[Sequence[Item]], Iterable[Item]]:
    """Return what passes items on and shows, on a terminal, how far they have come."""
    from rich.console import Console
    from rich.markup import escape

    def pass_on(items: Sequence[Item]) -> Iterator[Item]:
        with progress_bar(Console()) as shown:
            yield from shown.track(items, description=escape(printable(told)))

    return pass_on


def progress_bar(screen: "Console") -> "Progress":
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


def probability_bars(probabilities: Sequence[float]) -> list[str]:
    """Draw the probability of each class, in [0, 1], as a line with a bar."""
    return [
        f"  {label}  {probability:8.3%}  {'█' * round(40 * probability)}".rstrip()
        for label, probability in enumerate(probabilities)
    ]


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()
) -> str:
    """Lay out cells as a table in plain text, as wide as its content.

    Args:
        columns: The headings.
        rows: The cells; each row has one for each column.
        left: The columns that are aligned left; numbers read best on the right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        grid.add_column(column, justify="left" if column in left else "right")
    for row in rows:
        grid.add_row(*map(Text, row))
    text = io.StringIO()
    Console(file=text, width=10_000, color_system=None).print(grid)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
