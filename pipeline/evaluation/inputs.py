"""Single images for the network: a test image by its index, a file, or a folder.

Labelled sets, which are scored as a whole, are read by `test_sets`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline import images
from pipeline.datasets import Dataset
from pipeline.files import printable
from pipeline.images import PreparedImage


@dataclass(frozen=True)
class InputImage:
    """An image that is ready for the network."""

    name: str  # of the file, or "mnist test image 0"
    label: int | None  # None if it is unknown
    label_from_name: bool  # the label is the first digit of the file's name
    prepared: PreparedImage

    def describe(self) -> str:
        """Return the image's name, label or preprocessing, and what is unusual."""
        if self.label is not None:
            return f"{self.name}, label {self.label}"
        name = printable(self.name)
        if "resized" in self.prepared.steps:
            return f"{name}, resized to 28x28"
        text = f"{name}, preprocessed as in MNIST"
        if not self.prepared.digit_count:
            text += "; it is blank: the values below depend only on the biases"
        elif self.prepared.digit_count > 1:
            text += "; it contains more than one digit"
        elif not self.prepared.drawn:
            text += "; it does not look like a digit"
        return text


@dataclass(frozen=True)
class Inputs:
    """The images that an argument selects; each is read when it is needed."""

    count: int  # including the images that cannot be read
    label_source: str  # where the labels come from
    images: Iterator[InputImage]
    problems: list[str]  # a line for each unreadable image; grows with the iteration


def read_inputs(source: str, dataset: Dataset, *, prepare: bool) -> Inputs:
    """Find the images that the key `images` selects.

    Args:
        source: The index of a test image, an image file, or a folder.
        dataset: The data set of the network.
        prepare: Whether to preprocess image files as in MNIST, or only to resize them.

    Raises:
        ValueError: If the file, the folder or the test image does not exist.
    """
    test_image = _test_image(source, dataset, key="images", others="a file or folder")
    if test_image:
        return Inputs(1, "", iter([test_image]), [])
    place = Path(source).expanduser()
    listing = images.list_images(place)

    def read() -> Iterator[InputImage]:
        for entry in listing.entries:
            try:
                prepared = _read_file(entry.path, prepare=prepare)
            except ValueError as error:
                listing.problems.append(str(error))
                continue
            name = images.relative_name(entry.path, place)
            yield InputImage(name, entry.label, listing.labels_from_names, prepared)

    return Inputs(len(listing.entries), listing.label_source, read(), listing.problems)


def read_input(source: str, dataset: Dataset, *, prepare: bool) -> InputImage:
    """Read the image that the key `image` selects: a test image or a file.

    Raises:
        ValueError: If it cannot be read; the message says why.
    """
    test_image = _test_image(source, dataset, key="image", others="a file")
    if test_image:
        return test_image
    prepared = _read_file(Path(source).expanduser(), prepare=prepare)
    return InputImage(source, None, False, prepared)


def _test_image(
    source: str, dataset: Dataset, *, key: str, others: str
) -> InputImage | None:
    """Return the test image with this index; None if the text is not a number."""
    if not re.fullmatch("-?[0-9]+", source):
        return None
    row, test = int(source), dataset.test
    if not 0 <= row < len(test):
        raise ValueError(
            f"{key} must be 0 to {len(test) - 1}, the index of a test image of "
            f"{dataset.name}, or {others}, got {row}"
        )
    image = test.images[row]
    prepared = PreparedImage(image, 1, True, {"test image": image})
    name = f"{dataset.name} test image {row}"
    return InputImage(name, int(test.labels[row]), False, prepared)


def _read_file(path: Path, *, prepare: bool) -> PreparedImage:
    levels = images.read_image(path)
    return images.preprocess(levels) if prepare else images.resize_only(levels)
