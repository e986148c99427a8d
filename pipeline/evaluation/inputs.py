"""Single images for the network: a test image by its index, a file, or a folder.

Labelled sets, which are scored as a whole, are read by `test_sets`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline.datasets import Dataset
from pipeline.images import (
    ImageListing,
    list_images,
    preprocess,
    read_image,
    relative_name,
    resize_only,
)


@dataclass(frozen=True)
class InputImage:
    """An image that is ready for the network."""

    name: str  # of the file, or "mnist test image 0"
    label: int | None  # None if it is unknown
    label_from_name: bool  # the label is the first digit of the file's name
    image: UInt8[np.ndarray, "28 28"]
    digit_count: int  # digits found side by side; 0 for a blank image
    drawn: bool  # whether a pen can have drawn the shape
    steps: dict[str, UInt8[np.ndarray, "_ _"]]  # the result of each step, in order


@dataclass(frozen=True)
class Inputs:
    """The images that an argument names; each is read when the iterator reaches it."""

    count: int  # including the images that cannot be read
    label_source: str  # where the labels come from
    images: Iterator[InputImage]
    problems: list[str]  # a line for each unreadable image; grows with the iteration


def read_inputs(source: str, dataset: Dataset, *, prepare: bool) -> Inputs:
    """Find the images of the key `images`.

    Args:
        source: The index of a test image, an image file, or a folder.
        dataset: The data set of the network.
        prepare: Whether to preprocess image files as in MNIST, or only to resize them.

    Raises:
        ValueError: If the file, the folder or the test image does not exist.
    """
    if _is_index(source):
        image = _test_image(source, dataset, key="images", others="a file or folder")
        return Inputs(1, "", iter([image]), [])
    listing = list_images(Path(source).expanduser())
    images = _read_files(listing, source, prepare=prepare)
    return Inputs(len(listing.entries), listing.label_source, images, listing.problems)


def read_input(source: str, dataset: Dataset, *, prepare: bool) -> InputImage:
    """Read the image of the key `image`: the index of a test image, or a file.

    Raises:
        ValueError: If it cannot be read; the message says why.
    """
    if _is_index(source):
        return _test_image(source, dataset, key="image", others="a file")
    path = Path(source).expanduser()
    return _read_file(path, source, label=None, prepare=prepare)


def _is_index(source: str) -> bool:
    return re.fullmatch("-?[0-9]+", source) is not None


def _test_image(source: str, dataset: Dataset, *, key: str, others: str) -> InputImage:
    row, test = int(source), dataset.test
    if not 0 <= row < len(test):
        raise ValueError(
            f"{key} must be 0 to {len(test) - 1}, the index of a test image of "
            f"{dataset.name}, or {others}, got {row}"
        )
    return InputImage(
        name=f"{dataset.name} test image {row}",
        label=int(test.labels[row]),
        label_from_name=False,
        image=test.images[row],
        digit_count=1,
        drawn=True,
        steps={"test image": test.images[row]},
    )


def _read_files(
    listing: ImageListing, source: str, *, prepare: bool
) -> Iterator[InputImage]:
    for entry in listing.entries:
        try:
            yield _read_file(
                entry.path,
                relative_name(entry.path, source),
                label=entry.label,
                label_from_name=listing.labels_from_names,
                prepare=prepare,
            )
        except ValueError as error:
            listing.problems.append(str(error))


def _read_file(
    path: Path,
    name: str,
    *,
    label: int | None,
    label_from_name: bool = False,
    prepare: bool,
) -> InputImage:
    levels = read_image(path)
    prepared = preprocess(levels) if prepare else resize_only(levels)
    return InputImage(
        name=name,
        label=label,
        label_from_name=label_from_name,
        image=prepared.image,
        digit_count=prepared.digit_count,
        drawn=prepared.drawn,
        steps=prepared.steps,
    )
