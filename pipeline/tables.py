"""CSV files of which a spreadsheet runs nothing, whatever the names in them hold."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

FORMULAS = {*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"}  # = + - @, wide too


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    r"""Write rows with the same keys, the keys first.

    Text that a spreadsheet would take for a formula gets a ' before it; bytes of a file
    name that are no text are written as \udc...

    Source: OWASP, CSV injection, names the characters that begin a formula.
    """
    # Else a carriage return in a name would stand unquoted, and end the record; a
    # semicolon or a tab would end the cell where these separate.
    values = (str(value) for row in rows for value in row.values())
    odd = any({*"\r;\t"} & {*value} for value in values)
    quoting: Literal[0, 2]
    quoting = csv.QUOTE_NONNUMERIC if odd else csv.QUOTE_MINIMAL
    with path.open("w", newline="", errors="backslashreplace") as stream:
        table = csv.DictWriter(
            stream, list(rows[0]), lineterminator="\n", quoting=quoting
        )
        table.writeheader()
        for row in rows:
            table.writerow({key: _plain(value) for key, value in row.items()})


def _plain(value: object) -> object:
    runs = isinstance(value, str) and value != "" and value[0] in FORMULAS
    return f"'{value}" if runs else value
