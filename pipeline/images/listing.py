"""Find the image files of a folder and their labels, without opening the images.

Labels come from a `labels.csv`, from folders named 0..9, or from file names.
"""

import csv
import itertools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import UserError
from pipeline.files import printable
from pipeline.images.ink import Levels
from pipeline.images.reading import FORMAT_NAMES

EXTENSIONS = {".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".tif", ".tiff"}
EXTENSIONS |= {".webp", ".ppm", ".pgm", ".pbm", ".pnm"}
# Listed too, so that `read_image` can say why they are not read.
EXTENSIONS |= {".svg", ".pdf", ".eps", ".ps", ".heic", ".heif", ".avif", ".psd", ".raw"}
MAX_TABLE_BYTES = 2**24
MAX_TABLE_ROWS = 100_000


@dataclass(frozen=True)
class ImageEntry:
    """An image that is not preprocessed yet."""

    name: str  # of a file: relative to the folder that was listed
    label: int | None
    source: Path | Levels


@dataclass
class ImageListing:
    """Images, and a description such as where their labels come from."""

    description: str
    entries: list[ImageEntry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # a line for each unusable image


def list_images(source: Path, *, labelled_only: bool = False) -> ImageListing:
    """List the image files of a folder, or a single file, with the known labels.

    A file's name determines its label if its first number has one digit: 7_a.png is
    a 7, IMG_2026.png has no label. With `labelled_only`, images that labels.csv or the
    folders 0 to 9 do not label are skipped, and a row without a valid label is a
    problem. A folder 0 to 9 that cannot be read is a problem in both cases.

    Raises:
        UserError: If the folder contains no image or cannot be read, or its labels.csv
            is invalid. Whether a single file exists is not checked.
    """
    if not os.path.isdir(source):  # also if it cannot be read: `read_image` says why
        return _list_by_names([source])
    try:
        paths = _image_paths(source)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise UserError(f"{printable(source)} {reason}") from None
    if os.path.lexists(source / "labels.csv"):
        listing = _list_table(source / "labels.csv", labelled_only)
    elif any(os.path.isdir(source / str(digit)) for digit in range(10)):
        listing = _list_digit_folders(source)
    else:
        listing = _list_by_names(paths)
    labelled = {entry.source for entry in listing.entries}
    others = [path for path in paths if path not in labelled]
    if not labelled_only:
        listing.entries += [ImageEntry(path.name, None, path) for path in others]
    elif others:
        text = f" ({len(others)} other images without a label are skipped)"
        listing.description += text
    if not listing.entries and not listing.problems:
        raise UserError(f"{printable(source)} contains no images ({FORMAT_NAMES})")
    return listing


def _list_by_names(paths: list[Path]) -> ImageListing:
    """Take the label of each file from the first number of its name."""
    listing = ImageListing("labels from the first digit of each file's name")
    for path in paths:
        number = re.search("[0-9]+", path.stem)
        label = int(number[0]) if number and len(number[0]) == 1 else None
        listing.entries.append(ImageEntry(path.name, label, path))
    if all(entry.label is None for entry in listing.entries):
        listing.description = "the names of the files contain no labels"
    return listing


def _list_digit_folders(parent: Path) -> ImageListing:
    listing = ImageListing("labels from the folders 0 to 9")
    for digit in range(10):
        folder = parent / str(digit)
        try:
            paths = _image_paths(folder) if folder.is_dir() else []
        except OSError as error:
            problem = f"{printable(folder)} cannot be read: {error.strerror}"
            listing.problems.append(problem)
            continue
        listing.entries += [
            ImageEntry(f"{digit}/{path.name}", digit, path) for path in paths
        ]
    return listing


def _list_table(table: Path, labelled_only: bool) -> ImageListing:
    listing = ImageListing("labels from labels.csv")
    seen: set[str] = set()
    for number, file, label in _read_table(table):
        if not os.path.lexists(table.parent / file):
            file = file.strip()
        file = os.path.normpath(file) if file else ""
        path, name = table.parent / file, printable(file)
        problem, is_digit = "", re.fullmatch("[0-9]", label)
        if labelled_only and not is_digit:
            problem = f"label {printable(label)!r} is not 0..9"
        elif not file or ".." in Path(file).parts or Path(file).is_absolute():
            problem = f"{name!r} is not a file in the folder"
        elif not os.path.lexists(path):
            problem = f"{name} is missing"
        elif file in seen:
            problem = f"{name} is listed twice; list each file once"
        if problem:
            listing.problems.append(f"{printable(table)}, line {number}: {problem}")
        else:
            entry = ImageEntry(file, int(label) if is_digit else None, path)
            listing.entries.append(entry)
        seen.add(file)
    return listing


def _read_table(table: Path) -> list[tuple[int, str, str]]:
    """Return the line number, the file and the label of each row of a labels.csv."""
    name = printable(table)
    try:
        if not table.is_file() or table.stat().st_size > MAX_TABLE_BYTES:
            raise UserError(
                f"{name} is not a regular file of at most {MAX_TABLE_BYTES:,} bytes"
            )
        with table.open(encoding="utf-8-sig", newline="") as stream:
            separator = max(",;\t", key=stream.readline().count)
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=separator)
            columns = [column.strip().lower() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            limited = itertools.islice(reader, MAX_TABLE_ROWS + 1)
            rows = [(reader.line_num, row) for row in limited]
    except UnicodeError:
        raise UserError(f"{name} is not UTF-8: save it as CSV in UTF-8") from None
    except (OSError, csv.Error) as error:
        raise UserError(f"{name} cannot be read: {error}") from None
    files = [c for c in columns if c in ("file", "path", "filename", "image")]
    labels = [c for c in columns if c in ("label", "digit", "class")]
    if not files or not labels:
        header = printable(", ".join(columns)[:80]) or "nothing"
        raise UserError(f"{name} needs a header with file and label, has {header}")
    if not 0 < len(rows) <= MAX_TABLE_ROWS:
        count = "more" if rows else "none"
        raise UserError(f"{name} needs 1 to {MAX_TABLE_ROWS:,} rows, has {count}")
    return [(n, row[files[0]] or "", (row[labels[0]] or "").strip()) for n, row in rows]


def _image_paths(folder: Path) -> list[Path]:
    """Return the files that have the extension of an image, sorted by name."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    ]
