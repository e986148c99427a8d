"""Atomic writes, locks, CSV files and safe file names for all packages.

A file or folder written here is complete or absent, even if the process is killed.
"""

import csv
import glob
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

DAY = 86_400  # seconds, after which the files of a killed process are removed
# The first characters of a spreadsheet's formula, = + - @ also in full width.
# Source: OWASP, CSV injection.
FORMULA_STARTS = {*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"}


@contextmanager
def lock(path: Path, *, waiting: str) -> Iterator[None]:
    """Hold the lock file at `path`; if another process holds it, print why, and wait.

    The operating system releases the lock when the process ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file_lock = FileLock(path)
    try:
        file_lock.acquire(timeout=0.2)
    except Timeout:
        print(waiting, file=sys.stderr)
        file_lock.acquire()
    try:
        yield
    finally:
        file_lock.release()


def hold(path: Path) -> FileLock:
    """Take the lock file at `path`, which nobody holds; the caller releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file_lock = FileLock(path)
    file_lock.acquire(timeout=0)
    return file_lock


def is_held(path: Path) -> bool:
    """Return whether a running process holds the lock file at `path`."""
    if not path.exists():
        return False
    try:
        FileLock(path).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and rename it to `path` when it is written to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
        _remove_leftovers(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder, and replace the folder `path` by it.

    A process that reads under `read_lock(path)` sees the files of a single writer. If
    this process is killed between its two renames, the next reader or writer restores
    the previous folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        for file in temporary.iterdir():
            _flush(file)
        temporary.chmod(0o755)
        with read_lock(path):
            _remove_leftovers(path)
            if path.exists():
                path.rename(_previous(path))
            temporary.rename(path)
            shutil.rmtree(_previous(path), ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def read_lock(path: Path) -> Iterator[None]:
    """Prevent that the folder `path` is replaced while it is read."""
    waiting = f"waiting for another process to finish with {path}"
    with lock(path.parent / f".{path.name}.lock", waiting=waiting):
        if _previous(path).exists():
            if path.exists():
                shutil.rmtree(_previous(path))
            else:
                _previous(path).rename(path)
        yield


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that a killed process left a day ago."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'?' * 8}"):
        with suppress(FileNotFoundError):  # another process removes them as well
            if left.stat().st_mtime > time.time() - DAY:
                continue
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()


def _previous(path: Path) -> Path:
    return path.parent / f".{path.name}.earlier"


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def printable(text: Path | str) -> str:
    """Replace control characters in text of unknown origin, such as file names."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(text))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    r"""Write rows, which have the same keys, below a line with the keys.

    A ' is written before text that a spreadsheet would take for a formula. Bytes of a
    file name that are not UTF-8 are written as \udc...
    """
    # Quote all text if it contains a carriage return, which would end the record, or a
    # character that ends a cell in some programs.
    values = (str(value) for row in rows for value in row.values())
    special = any({*"\r;\t"} & {*value} for value in values)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if special else csv.QUOTE_MINIMAL
    with path.open("w", newline="", errors="backslashreplace") as stream:
        columns = [*rows[0]]
        table = csv.DictWriter(stream, columns, lineterminator="\n", quoting=quoting)
        table.writeheader()
        table.writerows({k: _escape(value) for k, value in row.items()} for row in rows)


def _escape(value: object) -> object:
    formula = isinstance(value, str) and value[:1] in FORMULA_STARTS
    return f"'{value}" if formula else value
