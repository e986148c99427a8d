"""Files that are whole or absent, and the lock that orders those who write them."""

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


@contextmanager
def lock(path: Path, *, waiting: str) -> Iterator[None]:
    """Hold the lock file at path; where another process holds it, say so and wait.

    The system lets go of the lock when its holder ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    try:
        held.acquire(timeout=0.2)
    except Timeout:
        print(waiting, file=sys.stderr)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def hold(path: Path) -> FileLock:
    """Take the lock at path, which must be free, until its holder lets go or ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    held.acquire(timeout=0)
    return held


def is_held(path: Path) -> bool:
    """Say whether a living process holds the lock at path."""
    if not path.exists():
        return False
    try:
        FileLock(path).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which becomes `path` once it is whole and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    written = Path(name)
    try:
        yield written
        _to_disk(written)
        written.chmod(0o644)
        written.replace(path)
        _tidy(path)
    finally:
        written.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill, which takes the place of `path` as one.

    Whoever reads under `reading(path)` sees the files of one writer, never of two. A
    process that is killed between the two renames leaves the earlier folder under
    another name, from which the next reader or writer brings it back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    filled = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield filled
        for written in filled.iterdir():
            _to_disk(written)
        filled.chmod(0o755)
        with read_lock(path):
            _tidy(path)
            if path.exists():
                path.rename(_earlier(path))
            filled.rename(path)
            shutil.rmtree(_earlier(path), ignore_errors=True)
    finally:
        shutil.rmtree(filled, ignore_errors=True)


@contextmanager
def read_lock(path: Path) -> Iterator[None]:
    """Keep the folder at path as it is for as long as it is read."""
    waiting = f"waiting for another process to finish with {path}"
    with lock(path.parent / f".{path.name}.lock", waiting=waiting):
        if _earlier(path).exists():
            if path.exists():
                shutil.rmtree(_earlier(path))
            else:
                _earlier(path).rename(path)
        yield


def _tidy(path: Path) -> None:
    """Remove what processes that were killed a day ago or more were writing."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'?' * 8}"):
        with suppress(FileNotFoundError):  # another process tidies as well
            if left.stat().st_mtime > time.time() - 86_400:
                continue
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()


def _earlier(path: Path) -> Path:
    return path.parent / f".{path.name}.earlier"


def _to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def printable(text: Path | str) -> str:
    """Return text as one line without what a terminal would obey.

    It is for what others chose: names of files and folders, the words of a server.
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in str(text))


FORMULAS = {*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"}  # = + - @, wide too


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
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
