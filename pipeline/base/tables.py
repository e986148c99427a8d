"""Tables as plain text."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len, chop_cells

from pipeline.base.text import WIDTH

MIN_TEXT = 12  # columns of text in a table that is too wide


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()
) -> str:
    """Return a table as plain text, as wide as its content.

    The columns in `left` are text and aligned left; all others are aligned right. If
    the table would be wider than 80 columns, the gaps are narrower, and text wraps
    at words. A name that is still too long for the first column gets a line of its own.
    Numbers are never cut, so a table with many numbers can be wider.
    """
    cells = [[*columns], *map(list, rows)]
    texts = [index for index, column in enumerate(columns) if column in left]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    gap = 3
    if _excess(widths, gap) > 0:
        gap = 2
        _narrow(widths, cells, texts, gap)
    return "\n".join(line for row in cells for line in _lines(row, widths, texts, gap))


def _excess(widths: Sequence[int], gap: int) -> int:
    """Return the excess width of a table, in columns of the terminal."""
    return sum(widths) + gap * (len(widths) - 1) - WIDTH


def _narrow(
    widths: list[int], cells: list[list[str]], texts: Sequence[int], gap: int
) -> None:
    """Narrow the columns with text until the table fits, first to whole words."""
    words = {i: [word for row in cells for word in row[i].split()] for i in texts}
    longest = {i: max(map(cell_len, words[i]), default=0) for i in texts}
    for least in (longest, dict.fromkeys(texts, MIN_TEXT)):
        for i in sorted(texts, key=lambda i: -widths[i]):
            fitting = widths[i] - max(0, _excess(widths, gap))
            widths[i] = max(fitting, min(widths[i], least[i]))


def _lines(
    row: Sequence[str], widths: Sequence[int], texts: Sequence[int], gap: int
) -> Iterator[str]:
    """Yield the lines of a row; a long name in the first column has its own line."""
    name, *others = row
    if 0 in texts and max(map(cell_len, name.split()), default=0) > widths[0]:
        yield name
        row = ["", *others]
    wrapped = [
        _wrapped(cell, width) if index in texts and cell_len(cell) > width else [cell]
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    for parts in itertools.zip_longest(*wrapped, fillvalue=""):
        aligned = (
            _aligned(part, width, left=index in texts)
            for index, (part, width) in enumerate(zip(parts, widths, strict=True))
        )
        yield (" " * gap).join(aligned).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """Wrap text at words to lines of at most `width` columns; cut longer words."""
    lines = [""]
    for word in text.split():
        line = f"{lines[-1]} {word}".lstrip()
        if cell_len(line) <= width:
            lines[-1] = line
        elif cell_len(word) <= width:
            lines.append(word)
        else:
            lines[-1:] = map(str.strip, chop_cells(line, width))
    return lines


def _aligned(text: str, width: int, *, left: bool) -> str:
    padding = " " * (width - cell_len(text))
    return text + padding if left else padding + text
