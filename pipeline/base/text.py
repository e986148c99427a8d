"""Plain text: characters that can be printed, rounded numbers, and tables."""

import hashlib
import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

WIDTH = 80  # columns of help, of paragraphs and of tables
MAX_FILE_NAME = 100  # bytes of `as_file_name`
# The characters that `as_file_name` keeps, for Python's regular expressions. Pydantic
# uses Rust's regular expressions, in which \w matches different characters.
NAME_CHARACTERS = r"\w-"
MIN_TEXT = 12  # columns of text in a table that is too wide


def printable(text: Path | str) -> str:
    """Replace control characters in text of unknown origin, such as file names."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(text))


def shortened(text: str, length: int = WIDTH) -> str:
    """Return at most `length` characters: a long text loses its middle part.

    The label of an image can be at the start of its name or at the end.
    """
    if len(text) <= length:
        return text
    start = (length - 1) // 2
    return f"{text[:start]}…{text[start + 1 - length :]}"


def alternatives(names: Sequence[str]) -> str:
    """Return names for a rule, such as "a, b or c"."""
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def broken_rule(message: str) -> str:
    """Reword a message of pydantic like our own, such as "must be a number"."""
    if message.startswith("Value error, "):  # our own message
        return message.removeprefix("Value error, ")
    rule = re.sub("'(\\w+)'", r"\1", message)  # 'local' or 'ray'
    rule = rule.replace("Field required", "is missing")
    rule = rule.replace("Input should be", "must be")
    rule = rule.replace("a valid boolean", "true or false")
    rule = rule.replace("a valid integer", "an integer").replace("a valid ", "a ")
    rule = rule.replace("greater than or equal to", "at least")
    rule = rule.replace("less than or equal to", "at most")
    rule = rule.replace("String should have at least 1 character", "must not be empty")
    return rule.replace("String should", "must")


def as_file_name(text: str, *, allowed: str = "") -> str:
    """Return text as a part of a file name, shortened to 100 bytes.

    Only letters, digits, `_`, `-` and the characters in `allowed` are kept. Callers can
    add an ending and a hash, because file systems allow names of 255 bytes.
    """
    safe = re.sub(rf"[^{allowed}{NAME_CHARACTERS}]+", "_", text)
    return safe.encode()[:MAX_FILE_NAME].decode(errors="ignore")


def distinct_file_name(text: str, *, allowed: str) -> str:
    """Return `as_file_name` of a text, with a hash of the text if it was changed."""
    safe = as_file_name(text, allowed=allowed)
    if safe != text:
        safe += "-" + hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
    return safe


def readable(value: Any) -> Any:  # noqa: ANN401
    """Round a float to four significant digits; return any other value unchanged."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def format_bytes(size: int) -> str:
    """Return a number of bytes in MB or GB, such as "24 MB" or "3.2 GB"."""
    return f"{size / 1e6:,.0f} MB" if size < 999.5e6 else f"{size / 1e9:,.1f} GB"


def short_repr(item: object, /, **values: object) -> str:
    """Return the representation of a result with these values, for a notebook."""
    texts = (f"{key}={readable(value)!r}" for key, value in values.items())
    return f"{type(item).__name__}({', '.join(texts)})"


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()
) -> str:
    """Return a table as plain text, as wide as its content.

    The columns in `left` are text and aligned left; all others are aligned right. If
    the table would be wider than 80 characters, the gaps are narrower, and text wraps
    at words. A name that is still too long for the first column gets a line of its own.
    Numbers are never cut, so a table with many numbers can be wider.
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
    """Return by how many characters a table is too wide."""
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
    """Yield the lines of a row; a long name in the first column has its own line."""
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
