"""Atomic writes, hashes, JSON and CSV files for all packages.

What `atomic_file` and `atomic_folder` write is complete or absent, even if the process
is killed or the power fails: content is flushed to the disk before the rename. After a
power failure, the previous content can reappear, because the rename may be lost.
"""

import csv
import glob
import hashlib
import itertools
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pipeline import UserError
from pipeline.base.locking import Level, lock
from pipeline.base.text import printable, readable

DAY = 86_400  # seconds; older temporary files of killed processes are removed
# In the names of hidden files next to a result: no user's file has such a name.
TEMPORARY, PREVIOUS = "pipeline-new-", "pipeline-old"
MAX_TABLE_BYTES = 2**24
MAX_TABLE_ROWS = 100_000
# Characters that start a formula in a spreadsheet; = + - @ also in full width.
# Source: OWASP, CSV injection.
FORMULA_STARTS = {*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"}


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block succeeds, rename the file to `path`."""
    temporary = _temporary(path)
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _remove_leftovers(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file that is complete or absent, even if the process is killed."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary folder; when the block succeeds, it replaces the folder `path`.

    If `path` is a link, it stays, and the folder that it names is replaced.

    A process that reads under `folder_lock(path)` sees the files of a single writer. If
    this process is killed between its two renames, the next reader or writer restores
    the previous folder.

    Raises:
        UserError: If there is a file at `path`, or a mount point, which has no rename.
        OSError: If the folder is not empty and `replace` is false.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: delete it or move it")
    path = Path(os.path.realpath(path))
    if path.is_mount():
        rule = f"{path} is a mount point, which cannot be replaced"
        raise UserError(f"{rule}: link to a folder in it")
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        with folder_lock(path):
            _remove_leftovers(path)
            if replace and path.exists():
                path.rename(_previous(path))
            temporary.rename(path)  # also onto an empty folder
            shutil.rmtree(_previous(path), ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold the lock of the folder `path`, so that no other process replaces it."""
    waiting = f"waiting for another process to finish with {path}"
    path = Path(os.path.realpath(path))  # all links to a folder share its lock
    file = path.parent / f".{path.name}.lock"
    with lock(file, Level.FOLDER, waiting=waiting):
        if _previous(path).exists():
            if path.exists():
                shutil.rmtree(_previous(path))
            else:
                _previous(path).rename(path)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)  # a user's folder may be next to it


def _temporary(path: Path) -> Path:
    """Return a new path next to `path`, whose folder is created if necessary.

    The module tempfile would ignore the umask: only the user could read its files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{TEMPORARY}{secrets.token_hex(4)}")


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that killed processes left a day ago."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{TEMPORARY}*"):
        with suppress(FileNotFoundError):  # another process may have removed it
            if leftover.stat().st_mtime > time.time() - DAY:
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def _previous(path: Path) -> Path:
    return path.parent / f".{path.name}.{PREVIOUS}"


def _flush(path: Path) -> None:
    """Write a file to the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_sha256(content: object) -> str:
    """Return the sha256 of a value as JSON, with sorted keys, in hexadecimal."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def as_json(content: object) -> str:
    """Return a list or dict as indented JSON."""
    return json.dumps(content, indent=1) + "\n"


def write_json(path: Path, content: object) -> None:
    """Write a list or dict as indented JSON."""
    path.write_text(as_json(content))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error that a file or folder of the user causes into a `UserError`."""
    try:
        yield
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise UserError(f"{printable(path)} {reason}") from None


def list_folder(folder: Path) -> list[Path]:
    """Return the paths in a folder that a user named, sorted by name.

    Raises:
        UserError: If the folder cannot be read.
    """
    with reading(folder):
        return sorted(folder.iterdir())


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a table that a user has made, with titles in its first line.

    Columns are separated by commas, semicolons or tabs. Missing cells are empty.

    Returns:
        The titles in lower case without spaces, and the line number and the cells of
        each row that is not empty.

    Raises:
        UserError: If it cannot be read, or is too large.
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
    # Quote all text if it contains a carriage return, which would end the record, or a
    # character that ends a cell in some programs.
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


def _escape(value: object) -> object:
    formula = isinstance(value, str) and value[:1] in FORMULA_STARTS
    return f"'{value}" if formula else value
