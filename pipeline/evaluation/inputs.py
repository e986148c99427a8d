"""Inputs of the network: test images by index, an image file, a folder or arrays.

`test_sets` reads sets of labeled images, which are evaluated as a whole.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline import UserError, images
from pipeline.core.dataset import Dataset
from pipeline.datasets import DatasetSpec
from pipeline.files import printable
from pipeline.images import ImageEntry, ImageListing, Levels, PreparedImage

INDEX = "-?[0-9]{1,9}"


@dataclass(frozen=True)
class InputImage:
    """A prepared image with its origin and label."""

    name: str  # of the file, or "mnist test image 0"
    label: int | None  # None if it is unknown
    prepared: PreparedImage

    def describe(self, spec: DatasetSpec) -> str:
        """Return the name and the label.

        Without a label, the text says how the image was prepared, and whether it is
        blank, contains several digits or does not look like one. `spec` is the data set
        of the network.
        """
        if self.label is not None:
            return f"{self.name}, label {spec.class_names[self.label]}"
        as_mnist, resized = "preprocessed as in MNIST", "resized to 28x28"
        how = as_mnist if spec.prepared_as_mnist else resized
        text = f"{printable(self.name)}, {how}"
        if self.prepared.is_blank:
            text += "; it is blank: the sums of layer_1 are its biases"
        elif self.prepared.digit_count > 1:
            text += f"; it contains more than one {spec.noun}"
        elif not self.prepared.drawn:
            text += f"; it does not look like a {spec.noun}"
        return text


def read_inputs(
    value: str, load_dataset: Callable[[], Dataset], *, prepare: bool
) -> tuple[ImageListing, Iterator[InputImage]]:
    """Find the images that the key `images` selects.

    Args:
        value: Indices of test images (0 or 0,1,2), an image file, or a folder.
        load_dataset: Loads the data set of the network; called only for test images.
        prepare: Whether to preprocess image files as in MNIST, or only to resize them.

    Returns:
        The listing of the files, empty for test images, and the images. Each image is
        read when the iterator reaches it; its problem is then added to the listing.

    Raises:
        UserError: If a folder has no images, cannot be read or has an invalid
            labels.csv, or if a test image does not exist.
    """
    if re.fullmatch(f"{INDEX}( *, *{INDEX})*", value):
        dataset, others = load_dataset(), "a file or folder"
        test_images = [
            _test_image(int(row), dataset, key="images", others=others)
            for row in value.split(",")
        ]
        return ImageListing(f"test images of {dataset.name}"), iter(test_images)
    listing = images.list_images(Path(os.path.expanduser(value)))
    return listing, read_images(listing.entries, listing.problems, prepare=prepare)


def images_from_array(
    pixels: UInt8[np.ndarray, "*n 28 28"],
) -> tuple[ImageListing, Iterator[InputImage]]:
    """Return images from Python, which have the form of MNIST's images."""
    pixels = pixels.reshape(-1, *pixels.shape[-2:])
    images = (
        InputImage(f"image {row}", None, PreparedImage(each, 1, True, {"image": each}))
        for row, each in enumerate(pixels)
    )
    return ImageListing("images from Python"), images


def read_images(
    entries: Iterable[ImageEntry], problems: list[str], *, prepare: bool
) -> Iterator[InputImage]:
    """Read images one at a time, because they may need much memory.

    For each image that cannot be read, a line is added to `problems`. `prepare` has the
    meaning that it has in `read_inputs`.
    """
    for entry in entries:
        try:
            prepared = _prepare(entry.source, prepare=prepare)
        except UserError as error:
            problems.append(str(error))
            continue
        yield InputImage(entry.name, entry.label, prepared)


def read_input(value: str, dataset: Dataset, *, prepare: bool) -> InputImage:
    """Read the image that the key `image` selects: a test image or a file.

    Raises:
        UserError: If it cannot be read; the message says why.
    """
    if re.fullmatch(INDEX, value):
        return _test_image(int(value), dataset, key="image", others="a file")
    prepared = _prepare(Path(os.path.expanduser(value)), prepare=prepare)
    return InputImage(value, None, prepared)


def _test_image(row: int, dataset: Dataset, *, key: str, others: str) -> InputImage:
    """Return a test image; `key` and `others` appear in the error message."""
    name, test = f"{dataset.name} test image", dataset.test
    if not 0 <= row < len(test):
        raise UserError(
            f"{key} must be 0 to {len(test) - 1}, the index of a {name}, or {others}, "
            f"got {row}"
        )
    image = test.images[row]
    prepared = PreparedImage(image, 1, True, {"test image": image})
    return InputImage(f"{name} {row}", int(test.labels[row]), prepared)


def _prepare(source: Path | Levels, *, prepare: bool) -> PreparedImage:
    levels = images.read_image(source) if isinstance(source, Path) else source
    return images.preprocess(levels) if prepare else images.resize_only(levels)
