"""CSV files of which a spreadsheet runs nothing, whatever the names in them hold."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    r"""Write rows with the same keys, the keys first.

    Text that a spreadsheet would take for a formula gets a ' before it; bytes of a file
    name that are no text are written as \x...

    Source: OWASP, CSV injection, names the six characters that begin a formula.
    """
    with path.open("w", newline="", errors="backslashreplace") as stream:
        table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({key: _plain(value) for key, value in row.items()})


def _plain(value: object) -> object:
    runs = isinstance(value, str) and value[:1] in set("=+-@\t\r") and value != ""
    return f"'{value}" if runs else value
