"""Atomic writes, hashes and JSON files for all packages.

The results of `atomic_file` and `atomic_folder` are complete or absent, even if the
process is killed or the power fails: content is flushed to the disk before the rename.
After a power failure, the previous content can reappear, because the rename may be
lost.
"""

import errno
import glob
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.base.locking import Level, lock
from pipeline.base.text import printable

DAY = 86_400  # seconds; temporary files that are older are removed
# Substrings of the names of hidden files next to a result; no file of a user has them.
TEMPORARY, PREVIOUS = "pipeline-new-", "pipeline-old"


@contextmanager
def atomic_file(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """Yield a temporary path; when the block succeeds, rename the file to `path`.

    Without `flush`, which takes milliseconds, a file can be empty after a power
    failure.
    """
    temporary = _temporary(path)
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        if flush:
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
    """Yield a temporary folder, which replaces the folder `path` if the block succeeds.

    If `path` is a link, the link is kept, and its target folder is replaced.

    A process that reads under `folder_lock(path)` sees the files of a single writer. If
    this process is killed between its two renames, the next reader or writer restores
    the previous folder.

    Raises:
        UserError: If `path` is a file, or a mount point, which cannot be renamed.
        FileExistsError: If the folder is not empty and `replace` is false.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: delete it or move it")
    path = Path(os.path.realpath(path))
    if path.is_mount():
        raise UserError(
            f"{path} is a mount point, which cannot be replaced: "
            "move the mount point, and link to a folder in it"
        )
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        for each in (*temporary.rglob("*"), temporary):
            _flush(each)
        with folder_lock(path):
            _remove_leftovers(path)
            if replace and path.exists():
                path.rename(_previous(path))
            elif path.exists() and any(path.iterdir()):
                text = "not empty, because another program has written files to it"
                raise FileExistsError(errno.EEXIST, text, str(path))
            temporary.rename(path)  # also replaces an empty folder
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
            file.unlink(missing_ok=True)  # the parent may be a user's folder


def _temporary(path: Path) -> Path:
    """Return a new path next to `path`; create the folder of both if necessary.

    The module tempfile is not used: it ignores the umask, and creates files that only
    the user can read.
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
    """Write a file, or the names of the files in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 hash of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_sha256(content: object) -> str:
    """Return the SHA-256 hash of a value as JSON, with sorted keys, in hexadecimal."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def as_json(content: object) -> str:
    """Return a list or dict as indented JSON."""
    return json.dumps(content, indent=1) + "\n"


def as_yaml(values: Mapping[str, Any]) -> str:
    """Return settings in the format of conf/config.yaml."""
    import yaml  # no other function of this module needs it

    return str(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def write_json(path: Path, content: object) -> None:
    """Write a list or dict as indented JSON."""
    path.write_text(as_json(content))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error that a user's file or folder causes into a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{printable(path)} cannot be read: {error.strerror or error}"
        ) from None


def read_utf8(path: Path) -> str:
    """Return the text of a user's file, without a byte order mark at its start.

    Raises:
        UserError: If the file cannot be read, or is not text in UTF-8.
    """
    with reading(path):
        try:
            return path.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise UserError(f"{printable(path)} must be text in UTF-8") from None


def list_folder(folder: Path) -> list[Path]:
    """Return the paths in a folder that a user named, sorted by name.

    Raises:
        UserError: If the folder cannot be read.
    """
    with reading(folder):
        return sorted(folder.iterdir())
