"""Tables: as plain text, and as CSV files of users and of results."""

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline import UserError
from pipeline.base.files import reading
from pipeline.base.text import WIDTH, columns_of, printable, readable

MIN_TEXT = 12  # columns of text in a table that is too wide
MAX_TABLE_BYTES = 2**24
MAX_TABLE_ROWS = 100_000
# Characters that start a formula in a spreadsheet, including full-width = + - @.
# Source: OWASP, CSV injection.
FORMULA_STARTS = {*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"}


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
    widths = [max(map(columns_of, column)) for column in zip(*cells, strict=True)]
    gap = 3
    if _excess(widths, gap) > 0:
        gap = 2
        _narrow(widths, cells, texts, gap)
    return "\n".join(line for row in cells for line in _lines(row, widths, texts, gap))


def _excess(widths: Sequence[int], gap: int) -> int:
    """Return by how many columns of the terminal a table is too wide."""
    return sum(widths) + gap * (len(widths) - 1) - WIDTH


def _narrow(
    widths: list[int], cells: list[list[str]], texts: Sequence[int], gap: int
) -> None:
    """Narrow the columns with text until the table fits, first to whole words."""
    words = {i: [word for row in cells for word in row[i].split()] for i in texts}
    longest = {i: max(map(columns_of, words[i]), default=0) for i in texts}
    for least in (longest, dict.fromkeys(texts, MIN_TEXT)):
        for i in sorted(texts, key=lambda i: -widths[i]):
            fitting = widths[i] - max(0, _excess(widths, gap))
            widths[i] = max(fitting, min(widths[i], least[i]))


def _lines(
    row: Sequence[str], widths: Sequence[int], texts: Sequence[int], gap: int
) -> Iterator[str]:
    """Yield the lines of a row; a long name in the first column has its own line."""
    name, *others = row
    if 0 in texts and max(map(columns_of, name.split()), default=0) > widths[0]:
        yield name
        row = ["", *others]
    wrapped = [
        _wrapped(cell, width) if index in texts and columns_of(cell) > width else [cell]
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
        if columns_of(line) > width >= columns_of(word):
            lines.append(word)
            continue
        while columns_of(line) > width:
            end = max(n for n in range(width + 1) if columns_of(line[:n]) <= width)
            lines[-1:] = [line[:end], ""]
            line = line[end:].lstrip()
        lines[-1] = line
    return lines


def _aligned(text: str, width: int, *, left: bool) -> str:
    padding = " " * (width - columns_of(text))
    return text + padding if left else padding + text


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a table that a user has made, with titles in its first line.

    Columns are separated by commas, semicolons or tabs. Missing cells are empty.

    Returns:
        The titles in lower case without spaces, and the line number and the cells of
        each row that is not empty.

    Raises:
        UserError: If the table cannot be read, or is too large.
    """
    name = printable(path)
    try:
        with reading(path):
            if path.stat().st_size > MAX_TABLE_BYTES or not path.is_file():
                rule = f"a regular file of at most {MAX_TABLE_BYTES:,} bytes"
                raise UserError(f"{name} must be {rule}")
            with path.open(encoding="utf-8-sig", newline="") as stream:
                separator = max(",;\t", key=stream.readline().count)
                stream.seek(0)
                reader = csv.reader(stream, delimiter=separator)
                titles = ["".join(x.lower().split()) for x in next(reader, [])]
                limited = itertools.islice(reader, MAX_TABLE_ROWS + 1)
                lines = [(reader.line_num, cells) for cells in limited]
    except UnicodeError:
        raise UserError(f"{name} is not UTF-8: save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{name} cannot be read: {error}") from None
    if len(lines) > MAX_TABLE_ROWS:
        raise UserError(f"{name} must have at most {MAX_TABLE_ROWS:,} rows")
    empty = dict.fromkeys(titles, "")
    rows = [
        (number, empty | dict(zip(titles, cells, strict=False)))
        for number, cells in lines
        if any(map(str.strip, cells))
    ]
    return titles, rows


def write_csv(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] = (),
    *,
    exact: bool = True,
) -> None:
    r"""Write rows below a header line: `columns`, by default the keys of the first row.

    Without columns, there must be at least one row. If not `exact`, floats are rounded;
    see `readable`. Text that a spreadsheet would read as a formula is prefixed with '.
    Bytes of a file name that are not UTF-8 are written as \udc...
    """
    # Quote all text if a value contains a carriage return, which would end the record,
    # or a character that ends a cell in some programs.
    values = (str(value) for row in rows for value in row.values())
    special = any({*"\r;\t"} & {*value} for value in values)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if special else csv.QUOTE_MINIMAL
    with path.open(
        "w", encoding="utf-8", errors="backslashreplace", newline=""
    ) as stream:
        columns = columns or [*rows[0]]
        table = csv.DictWriter(stream, columns, lineterminator="\n", quoting=quoting)
        table.writeheader()
        for row in rows:
            cells = row if exact else {key: readable(x) for key, x in row.items()}
            table.writerow({key: _escape(value) for key, value in cells.items()})


def to_rows(columns: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table whose columns are given."""
    values = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _escape(value: object) -> object:
    formula = isinstance(value, str) and value[:1] in FORMULA_STARTS
    return f"'{value}" if formula else value
