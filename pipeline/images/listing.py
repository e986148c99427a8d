"""Finds the image files of a folder and their labels, without opening the images.

Labels come from a `labels.csv`, from folders named 0..9, or from file names.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, UInt8

from pipeline import UserError
from pipeline.base.csv_files import read_csv
from pipeline.base.files import list_folder
from pipeline.base.text import counted, printable
from pipeline.images.reading import FORMAT_NAMES

EXTENSIONS = {".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".tif", ".tiff"}
EXTENSIONS |= {".webp", ".ppm", ".pgm", ".pbm", ".pnm"}
# Files of other formats are listed too, so that `read_image` can reject each one.
EXTENSIONS |= {".svg", ".pdf", ".eps", ".ps", ".heic", ".heif", ".avif", ".psd", ".raw"}
NO_IMAGES = f"contains no images ({FORMAT_NAMES}): only subfolders 0 to 9 are searched"


Labels = dict[Path, int | None]  # by file, in order; None if unknown
# raw: images of any size, such as photographs. They are preprocessed like the images of
#   the network's data set.
# preprocessed: images of 28x28 pixels in the form of MNIST, from another data set or
#   Python.
# own: images of the network's data set, which are the input of the network.
ImageKind = Literal["raw", "preprocessed", "own"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images that were found, of any size, with their names and labels.

    A file is opened when its image is preprocessed, because all images at once may need
    too much memory.
    """

    name: str
    description: str  # for example, where the labels come from
    files: Sequence[str]  # the name of each image; for a file, relative to its folder
    labels: Sequence[int | None]  # None for an unknown label
    images: Sequence[Path] | UInt8[np.ndarray, "n height width"]
    kind: ImageKind  # how the images become the input of the network
    class_names: Sequence[str] | None = None  # None: the class names of the network
    problems: Sequence[str] = ()  # a line for each unusable image
    # A line for each image that should have a label, but has none. A file that is not
    # in labels.csv or in the folders 0 to 9 needs no label.
    label_problems: Sequence[str] = ()

    @property
    def has_files(self) -> bool:
        """Whether the images are files, not arrays in memory."""
        return not isinstance(self.images, np.ndarray)

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
        """Return some of the images, with the problems of all images."""
        if [*rows] == [*range(len(self.images))]:  # without a copy
            return replace(self, problems=problems)
        images: Any = self.images
        chosen = [images[row] for row in rows] if self.has_files else images[[*rows]]
        return replace(
            self,
            files=[self.files[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            images=chosen,
            problems=problems,
        )


def list_images(source: Path, *, name: str = "images") -> ImageSet:
    """List the image files of a folder, or a single file, with the known labels.

    A file's name determines its label if the first number in the name has one digit:
    7_a.png is a 7, and IMG_2026.png has no label.

    Args:
        source: The folder or the file; whether a file exists is not checked.
        name: The name of the set.

    Raises:
        UserError: If the folder contains no image or cannot be read, or its labels.csv
            is invalid.
    """
    # `read_image` rejects other paths, and files in folders that cannot be read.
    is_folder = os.path.isdir(source)
    paths = _image_paths(source) if is_folder else [source]
    labels, problems, label_problems, description = _find_labels(source, paths)
    labels |= dict.fromkeys(path for path in paths if path not in labels)
    if not labels and not problems:
        raise UserError(f"{printable(source)} {NO_IMAGES}")
    folder = source if is_folder else source.parent
    return ImageSet(
        name=name,
        description=description,
        files=[str(path.relative_to(folder)) for path in labels],
        labels=[*labels.values()],
        images=[*labels],
        kind="raw",
        problems=problems,
        label_problems=label_problems,
    )


def _find_labels(
    source: Path, paths: Sequence[Path]
) -> tuple[Labels, list[str], list[str], str]:
    """Return the labels, both kinds of problems, and where the labels come from."""
    if os.path.lexists(source / "labels.csv"):
        return *_labels_of_table(source / "labels.csv"), "labels from labels.csv"
    if any(os.path.isdir(source / str(digit)) for digit in range(10)):
        return *_labels_of_folders(source), [], "labels from the folders 0 to 9"
    labels = {path: _label_of_name(path) for path in paths}
    missing = [path for path, label in labels.items() if label is None]
    if len(missing) == len(labels):
        return labels, [], [], "the names of the files contain no labels"
    label_problems = [
        f"{printable(path)} has no label: give the image a name such as 7_a.png"
        for path in missing
    ]
    text = "labels from the first number in each file name, if it has one digit"
    return labels, [], label_problems, text


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


def _labels_of_table(table: Path) -> tuple[Labels, list[str], list[str]]:
    """Return the labels in a labels.csv, and a line for each bad file or label."""
    labels: Labels = {}
    problems, label_problems = list[str](), list[str]()
    for number, file, label in _read_table(table):
        if not os.path.lexists(table.parent / file):
            file = file.strip()
        file = os.path.normpath(file) if file else ""
        path, name = table.parent / file, printable(file)
        place, problem = f"{printable(table)}, line {number}", ""
        if not file or ".." in Path(file).parts or Path(file).is_absolute():
            problem = f"the file must be in the folder, got {name!r}"
        elif not os.path.lexists(path):
            problem = f"{name} is missing"
        elif path in labels:
            problem = f"{name} is listed twice: list each file once"
        elif re.fullmatch("[0-9]", label):
            labels[path] = int(label)
        else:
            labels[path] = None
            label_problems.append(
                f"{place}: the label must be 0 to 9, got {printable(label)!r}"
            )
        if problem:
            problems.append(f"{place}: {problem}")
    return labels, problems, label_problems


def _read_table(table: Path) -> list[tuple[int, str, str]]:
    """Return the line number, the file and the label of each row of a labels.csv."""
    titles, rows = read_csv(table)
    files = [x for x in titles if x in ("file", "path", "filename", "image")]
    labels = [x for x in titles if x in ("label", "digit", "class")]
    if not files or not labels:
        header = printable(", ".join(titles)[:80]) or "nothing"
        raise UserError(
            f"{printable(table)} must have a header with file and label, got {header}"
        )
    if not rows:
        raise UserError(f"{printable(table)} must have a row for each image, got none")
    return [(number, row[files[0]], row[labels[0]].strip()) for number, row in rows]


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
