"""CSV files: the tables of users, and the tables of results."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.base.files import reading
from pipeline.base.text import printable, readable, shortened

MAX_TABLE_BYTES = 2**24
MAX_TABLE_ROWS = 100_000
# Characters that start a formula in a spreadsheet, including full-width = + - @.
# Source: OWASP, CSV injection.
FORMULA_STARTS = {*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"}


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a table that a user has made, with titles in its first line.

    Columns are separated by commas, semicolons or tabs. Missing cells are empty. A
    line `sep=;` before the titles, which Excel understands, contains the separator.

    Returns:
        The titles in lower case without spaces, and the line number and the cells of
        each row that is not empty.

    Raises:
        UserError: If the table cannot be read or is too large, or if two columns have
            the same title.
    """
    name = printable(path)
    titles, lines = _read_lines(path)
    if len(lines) > MAX_TABLE_ROWS:
        raise UserError(f"{name} must have at most {MAX_TABLE_ROWS:,} rows")
    if repeated := [x for x, count in Counter(titles).items() if x and count > 1]:
        raise UserError(
            f"{name} has several columns with the title "
            f"{shortened(printable(repeated[0]))}: rename all but one of them"
        )
    empty = dict.fromkeys(titles, "")
    rows = [
        (number, empty | dict(zip(titles, cells, strict=False)))
        for number, cells in lines
        if any(map(str.strip, cells))
    ]
    return titles, rows


def _read_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the titles of a table, and the number and the cells of each line below.

    At most `MAX_TABLE_ROWS` + 1 lines are read.
    """
    name = printable(path)
    try:
        with reading(path):
            if path.stat().st_size > MAX_TABLE_BYTES or not path.is_file():
                raise UserError(
                    f"{name} must be a regular file of "
                    f"at most {MAX_TABLE_BYTES:,} bytes"
                )
            with path.open(encoding="utf-8-sig", newline="") as stream:
                first = stream.readline()
                named = re.fullmatch(r"sep=([,;\t])\s*", first, re.IGNORECASE)
                separator = named[1] if named else max(",;\t", key=first.count)
                if not named:
                    stream.seek(0)
                reader = csv.reader(stream, delimiter=separator)
                titles = ["".join(x.lower().split()) for x in next(reader, [])]
                limited = itertools.islice(reader, MAX_TABLE_ROWS + 1)
                before = 1 if named else 0  # lines that `reader` does not read
                return titles, [(before + reader.line_num, x) for x in limited]
    except UnicodeError:
        raise UserError(f"{name} is not UTF-8: save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{name} cannot be read: {error}") from None


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
    columns = columns or [*rows[0]]
    with path.open(
        "w", encoding="utf-8", errors="backslashreplace", newline=""
    ) as stream:
        # Quote all text of a table with a carriage return, which would end a record,
        # or with a character that ends a cell in some programs.
        text = "".join(str(x) for row in rows for x in row.values())
        table = csv.DictWriter(
            stream,
            columns,
            lineterminator="\n",
            quoting=csv.QUOTE_NONNUMERIC if {*"\r;\t"} & {*text} else csv.QUOTE_MINIMAL,
        )
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
