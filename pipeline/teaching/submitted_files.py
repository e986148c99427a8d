"""Finds the files of a submission, which is not trusted, and reads them as data.

A submission is a folder, which may contain zip files, a zip file, or, from Canvas,
several files. Nothing is unpacked to the disk, executed or imported, and links are not
followed. Everything that is read has a limit, so no submission can use up the memory or
the time.
"""

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PureWindowsPath
from typing import IO

from pipeline import UserError
from pipeline.model.storage import MAX_NETWORK_BYTES
from pipeline.records.file_names import MODEL_FILE
from pipeline.teaching import answers

QUESTIONS_FILE = "questions.md"
REQUIRED = {answers.FILE, MODEL_FILE}
# What programs add to the name of a file: a browser adds a number after an earlier
# download, and an editor adds .txt, which Windows hides.
ADDED = re.compile(r"(?: ?\(\d+\)|-\d+)(?=(\.\w+){1,2}\Z)|\.txt\Z", re.ASCII)
# Other names, such as answers_1.json.
SIMILAR = re.compile(r"(answers|model).*\.(json|safetensors|txt)", re.IGNORECASE)
# A file that Canvas has renamed, such as ruizana_501_9001_answers.json, in two parts:
# ruizana_501, which is the same for all files of a student, and the name of the file.
SINGLE = re.compile(r"(.*?_\d+)_\d+_(.+)")
LIMITS = {  # bytes
    answers.FILE: answers.MAX_BYTES,
    MODEL_FILE: MAX_NETWORK_BYTES,
    QUESTIONS_FILE: 1_000_000,
}
MAX_ENTRIES = 2_000  # files and folders in a submission, with those in its zip files
MAX_BYTES = 200_000_000  # everything that is read of a submission
MAX_ZIP_BYTES = 100_000_000
MAX_LEVEL = 3  # a zip file in a zip file in a zip file
# Bytes of a zip file that are read at once. The largest such part is the list of its
# files: a million of them would take a gigabyte of memory.
MAX_READ = 1_000_000
CHUNK = 65_536  # bytes
# Python expands other methods without a limit.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
ENCRYPTED = 0x1  # a flag of a file in a zip file
# Errors that Python raises for damaged zip files.
DAMAGED: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,  # includes NotImplementedError
    ValueError,
)


@dataclass(frozen=True)
class SubmittedFile:
    """A file with one of the names in `LIMITS`, or with a similar name."""

    path: PurePath  # in the submission; in a zip file, below the path of the zip file
    content: bytes  # empty if the name is only similar

    @property
    def name(self) -> str:
        """The `original_name` of the file."""
        return original_name(self.path)


@dataclass(frozen=True)
class _Entry:
    """A file in a folder or in a zip file."""

    path: PurePath  # relative to the folder or to the zip file
    open: Callable[[], IO[bytes]]


def find_files(paths: Sequence[Path]) -> list[SubmittedFile]:
    """Return all files of a submission that have the name of a submitted file.

    The submission is a folder, a zip file, or several `SINGLE` files.

    Files with a similar name are included. Folders and zip files with the same files
    count once.

    If the files next to a zip file are complete, the zip file is ignored if it cannot
    be read or contains copies of these files.

    Raises:
        UserError: If a file is a link or a device, or a zip file is damaged or contains
            paths outside it, or if there are too many files or bytes.
    """
    limits = _Limits()
    try:
        found = [x for path in paths for x in _entries_of(path, limits)]
        return _distinct(_read(found, PurePath(), limits, level=0))
    except OSError as error:
        raise UserError(f"it cannot be read: {error.strerror or error}") from None


def top_names(path: Path) -> set[str]:
    """Return the names in a folder or a zip file; none if it cannot be read."""
    with suppress(UserError, *DAMAGED):
        if not path.is_file():
            return {*os.listdir(path)}
        with io.FileIO(path) as file, zipfile.ZipFile(_SmallReads(file)) as archive:
            return {name.split("/")[0] for name in archive.namelist()}
    return set()


def _distinct(files: list[SubmittedFile]) -> list[SubmittedFile]:
    """Return the files, without the files of folders that are copies."""
    folders = defaultdict[PurePath, dict[str, bytes]](dict)
    for file in files:
        folders[file.path.parent][file.path.name] = file.content
    first = {tuple(sorted(x.items())): path for path, x in reversed(folders.items())}
    return [file for file in files if file.path.parent in first.values()]


class _Limits:
    """Counts the entries and bytes that are read of a submission."""

    def __init__(self) -> None:
        self.entries = self.bytes = 0

    def count_entry(self) -> None:
        """Raise a UserError if there are too many files."""
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise UserError(f"it has more than {MAX_ENTRIES:,} files")

    def read(self, entry: _Entry, limit: int) -> bytes:
        """Read a file; raise a UserError if the file is too long."""
        content = io.BytesIO()  # `getvalue` does not copy the bytes
        with entry.open() as stream:
            while chunk := stream.read(CHUNK):
                content.write(chunk)
                self.bytes += len(chunk)
                if content.tell() > limit:
                    raise UserError(f"{entry.path.name} has more than {limit:,} bytes")
                if self.bytes > MAX_BYTES:
                    raise UserError(f"its files have more than {MAX_BYTES:,} bytes")
        return content.getvalue()


def _read(
    entries: Iterable[_Entry], place: PurePath, limits: _Limits, *, level: int
) -> list[SubmittedFile]:
    """Return the files among entries and in their zip files."""
    files, zips = list[SubmittedFile](), list[_Entry]()
    for entry in entries:
        if limit := LIMITS.get(original_name(entry.path)):
            content = limits.read(entry, limit)
            files.append(SubmittedFile(place / entry.path, content))
        elif _is_zip(entry.path):
            zips.append(entry)
        else:
            files.append(SubmittedFile(place / entry.path, b""))
    loose = {(file.name, file.content) for file in files if file.name in REQUIRED}
    is_complete = {name for name, _ in loose} == REQUIRED
    for entry in sorted(zips, key=lambda entry: entry.path):
        try:
            inside = _read_zip(entry, place / entry.path, limits, level=level + 1)
        except UserError:
            if is_complete:
                continue
            raise
        packed = {(file.name, file.content) for file in inside if file.name in REQUIRED}
        if not is_complete or not packed <= loose:
            files += inside
    return files


def _read_zip(
    entry: _Entry, place: PurePath, limits: _Limits, *, level: int
) -> list[SubmittedFile]:
    """Return the files in a zip file, or raise a UserError."""
    if level > MAX_LEVEL:
        raise UserError(f"its zip files are nested more than {MAX_LEVEL} deep")
    reads = _SmallReads(io.BytesIO(limits.read(entry, MAX_ZIP_BYTES)))
    try:
        with zipfile.ZipFile(reads) as archive:
            if not archive.infolist():
                raise UserError(
                    f"{entry.path.name} is an empty zip file, as Python writes it if "
                    "the name of the folder is wrong"
                )
            inside = _entries_of_zip(archive, limits)
            return _read(inside, place, limits, level=level)
    except DAMAGED as error:
        raise UserError(f"{entry.path.name} is a damaged zip file: {error}") from None


def _entries_of(path: Path, limits: _Limits) -> Iterator[_Entry]:
    """Yield the files of a folder, or a zip file or a `SINGLE` file itself."""
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        yield from _entries_of_folder(path, limits)
        return
    _check_kind("it", mode)
    single = None if _is_zip(path) else SINGLE.match(path.name)
    name = PurePath(single[2] if single else path.name)
    if not (single or _is_zip(path)):
        raise UserError("it is neither a folder nor a zip file")
    limits.count_entry()
    if not single or _is_read(name):
        yield _Entry(name, partial(_open, path))


def _entries_of_folder(top: Path, limits: _Limits) -> Iterator[_Entry]:
    """Yield the files of a folder that are read."""
    folders = [top]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                limits.count_entry()
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif _is_read(path):
                    _check_kind(path.name, entry.stat(follow_symlinks=False).st_mode)
                    yield _Entry(path.relative_to(top), partial(_open, path))


def _entries_of_zip(archive: zipfile.ZipFile, limits: _Limits) -> Iterator[_Entry]:
    """Yield the files of a zip file that are read."""
    for info in archive.infolist():
        limits.count_entry()
        path = PureWindowsPath(info.filename)  # some programs write \ instead of /
        if path.drive or path.root or ".." in path.parts:
            # Such a path would do no harm, because nothing is unpacked, but it shows
            # that the file was manipulated.
            raise UserError(f"it contains the path {info.filename}")
        if info.is_dir() or not _is_read(path):
            continue
        _check_kind(path.name, info.external_attr >> 16)
        if info.flag_bits & ENCRYPTED:
            raise UserError(f"{path.name} is encrypted")
        if info.compress_type not in METHODS:
            raise UserError(
                f"{path.name} uses an unsupported compression method: zip it again"
            )
        yield _Entry(PurePath(path.as_posix()), partial(archive.open, info))


def _is_zip(path: PurePath) -> bool:
    return path.suffix.lower() == ".zip"


def _is_read(path: PurePath) -> bool:
    """Return whether a file is read; macOS adds hidden files such as ._a.zip."""
    if _is_zip(path):
        return not path.name.startswith(".")
    return original_name(path) in LIMITS or bool(SIMILAR.fullmatch(path.name))


def original_name(path: PurePath) -> str:
    """Return the name of a file without what a browser or an editor has added."""
    return ADDED.sub("", path.name)


def _check_kind(name: str, mode: int) -> None:
    """Raise a UserError unless a file is regular. An unknown `mode` is 0."""
    if stat.S_ISLNK(mode):
        raise UserError(f"{name} is a link")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise UserError(f"{name} is a device or another special file")


def _open(path: Path) -> IO[bytes]:
    """Open a file; raise an OSError if a link or a device has replaced the file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return open(os.open(path, flags), "rb")


class _SmallReads(io.BufferedReader):
    """A zip file of which at most `MAX_READ` bytes are read at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes; raise a UserError instead of reading more."""
        wanted = MAX_READ + 1 if size is None or size < 0 else size
        content = super().read(min(wanted, MAX_READ + 1))
        if len(content) > MAX_READ:
            raise UserError("it has too many files")
        return content
