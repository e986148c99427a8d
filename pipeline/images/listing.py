"""Finds the image files of a folder and their labels, without opening the images.

Labels come from a `labels.csv`, from folders named 0..9, or from file names.
"""

import csv
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, UInt8

from pipeline import UserError
from pipeline.base.files import list_folder
from pipeline.base.terminal import counted
from pipeline.base.text import printable
from pipeline.images.reading import FORMAT_NAMES

EXTENSIONS = {".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".tif", ".tiff"}
EXTENSIONS |= {".webp", ".ppm", ".pgm", ".pbm", ".pnm"}
# Listed too, so that `read_image` can say why they are not read.
EXTENSIONS |= {".svg", ".pdf", ".eps", ".ps", ".heic", ".heif", ".avif", ".psd", ".raw"}
NO_IMAGES = f"contains no images ({FORMAT_NAMES}): only subfolders 0 to 9 are searched"
MAX_TABLE_BYTES = 2**24
MAX_TABLE_ROWS = 100_000


Labels = dict[Path, int | None]  # by file, in order; None if unknown
# raw: of any size; prepared as the data set of the network was, such as photographs.
# ready: 28x28 pixels in the form of MNIST, from another data set or from Python.
# own: images of the network's data set, which are its input.
Kind = Literal["raw", "ready", "own"]


@dataclass(frozen=True, eq=False)  # arrays cannot be compared as a whole
class ImageSet:
    """What was found: images of any size, with their names and labels.

    Files are opened when they are prepared, because all at once may need much memory.
    """

    name: str
    description: str  # such as where the labels come from
    files: Sequence[str]  # the name of each image; of a file, relative to its folder
    labels: Sequence[int | None]  # None if it is unknown
    images: Sequence[Path] | UInt8[np.ndarray, "n height width"]
    kind: Kind  # what they need to become the input of the network
    class_names: Sequence[str] | None = None  # None: as in the network
    problems: Sequence[str] = ()  # a line for each unusable image

    @property
    def known_labels(self) -> Int[np.ndarray, " n"]:
        """The labels of a set that can be scored.

        Raises:
            ValueError: If an image has no label.
        """
        if missing := self.labels.count(None):
            number = counted(missing, "image")
            raise ValueError(f"{self.name} cannot be scored: {number} without a label")
        return np.array(self.labels, np.int64)

    def pick(self, rows: Sequence[int], *, problems: Sequence[str]) -> "ImageSet":
        """Return some of the images, with the problems of all of them."""
        if len(rows) == len(self.images):
            return replace(self, problems=problems)
        images: Any = self.images
        is_array = isinstance(images, np.ndarray)
        chosen = images[[*rows]] if is_array else [images[row] for row in rows]
        return replace(
            self,
            files=[self.files[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            images=chosen,
            problems=problems,
        )


def list_images(
    source: Path, *, name: str = "images", labeled_only: bool = False
) -> ImageSet:
    """List the image files of a folder, or a single file, with the known labels.

    A file's name determines its label if its first number has one digit: 7_a.png is
    a 7, IMG_2026.png has no label.

    Args:
        source: The folder or the file; whether a file exists is not checked.
        name: The name of the set.
        labeled_only: Whether an image without a label is a problem, and also a row of
            labels.csv without a valid label. Files that labels.csv or the folders 0 to
            9 do not name are then skipped.

    Raises:
        UserError: If the folder contains no image or cannot be read, or its labels.csv
            is invalid.
    """
    # What is not a folder, or in one that cannot be read, is rejected by `read_image`.
    is_folder = os.path.isdir(source)
    paths = _image_paths(source) if is_folder else [source]
    labels, problems, description = _find_labels(source, paths, labeled_only)
    others = [path for path in paths if path not in labels]
    if not labeled_only:
        labels |= dict.fromkeys(others)
    elif others:
        number = counted(len(others), "other image")
        verb = "is" if len(others) == 1 else "are"
        description += f" ({number} without a label {verb} skipped)"
    if not labels and not problems:
        raise UserError(f"{printable(source)} {NO_IMAGES}")
    if labeled_only:
        problems += _missing_labels(source, labels)
        labels = {path: label for path, label in labels.items() if label is not None}
    folder = source if is_folder else source.parent
    return ImageSet(
        name=name,
        description=description,
        files=[str(path.relative_to(folder)) for path in labels],
        labels=[*labels.values()],
        images=[*labels],
        kind="raw",
        problems=problems,
    )


def _find_labels(
    source: Path, paths: Sequence[Path], labeled_only: bool
) -> tuple[Labels, list[str], str]:
    """Return the labels, a line for each problem, and where the labels are from."""
    if os.path.lexists(source / "labels.csv"):
        table = _labels_of_table(source / "labels.csv", labeled_only)
        return *table, "labels from labels.csv"
    if any(os.path.isdir(source / str(digit)) for digit in range(10)):
        return *_labels_of_folders(source), "labels from the folders 0 to 9"
    labels = {path: _label_of_name(path) for path in paths}
    if all(label is None for label in labels.values()):
        return labels, [], "the names of the files contain no labels"
    rule = "labels from the first number in each file name, if it has one digit"
    return labels, [], rule


def _missing_labels(source: Path, labels: Labels) -> list[str]:
    """Return a line for each image without a label; one image must have a label."""
    missing = [path for path, label in labels.items() if label is None]
    if missing and len(missing) == len(labels):
        raise UserError(
            f"{printable(source)} has no image with a label: give the images names "
            "such as 7_a.png, or use predict, which needs no labels"
        )
    rule = "has no label: give the image a name such as 7_a.png"
    return [f"{printable(path)} {rule}" for path in missing]


def _label_of_name(path: Path) -> int | None:
    number = re.search("[0-9]+", path.stem)
    return int(number[0]) if number and len(number[0]) == 1 else None


def _labels_of_folders(parent: Path) -> tuple[Labels, list[str]]:
    """Return the labels, and a line for each folder that cannot be read."""
    labels: Labels = {}
    problems = []
    for digit in range(10):
        folder = parent / str(digit)
        try:
            paths = _image_paths(folder) if folder.is_dir() else []
        except (UserError, OSError) as error:
            problems.append(str(error))
            continue
        labels |= dict.fromkeys(paths, digit)
    return labels, problems


def _labels_of_table(table: Path, labeled_only: bool) -> tuple[Labels, list[str]]:
    """Return the labels in a labels.csv, and a line for each bad row."""
    labels: Labels = {}
    problems = []
    for number, file, label in _read_table(table):
        if not os.path.lexists(table.parent / file):
            file = file.strip()
        file = os.path.normpath(file) if file else ""
        path, name = table.parent / file, printable(file)
        problem, is_digit = "", re.fullmatch("[0-9]", label)
        if labeled_only and not is_digit:
            problem = f"the label must be 0 to 9, got {printable(label)!r}"
        elif not file or ".." in Path(file).parts or Path(file).is_absolute():
            problem = f"the file must be in the folder, got {name!r}"
        elif not os.path.lexists(path):
            problem = f"{name} is missing"
        elif path in labels:
            problem = f"{name} is listed twice: list each file once"
        else:
            labels[path] = int(label) if is_digit else None
        if problem:
            problems.append(f"{printable(table)}, line {number}: {problem}")
    return labels, problems


def _read_table(table: Path) -> list[tuple[int, str, str]]:
    """Return the line number, the file and the label of each row of a labels.csv."""
    name = printable(table)
    try:
        if not table.is_file() or table.stat().st_size > MAX_TABLE_BYTES:
            raise UserError(
                f"{name} must be a regular file of at most {MAX_TABLE_BYTES:,} bytes"
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
        rule = f"{name} must have a header with file and label"
        raise UserError(f"{rule}, got {header}")
    if not 0 < len(rows) <= MAX_TABLE_ROWS:
        count = "more" if rows else "none"
        raise UserError(f"{name} must have 1 to {MAX_TABLE_ROWS:,} rows, got {count}")
    return [(n, row[files[0]] or "", (row[labels[0]] or "").strip()) for n, row in rows]


def _image_paths(folder: Path) -> list[Path]:
    """Return the files that have the extension of an image, sorted by name.

    Raises:
        UserError: If the folder cannot be read.
    """
    return [
        path
        for path in list_folder(folder)
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    ]
