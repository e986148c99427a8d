"""Labelled sets of images for `evaluate`: data sets, IDX files, folders of images.

They are preprocessed as in MNIST, except `mnist`, `fashion_mnist` and the network's own
data set. Single images are read by `inputs`.
"""

import hashlib
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from pipeline import datasets
from pipeline.datasets import Dataset, LabelledImages
from pipeline.files import printable
from pipeline.images import (
    list_images,
    preprocess,
    read_image,
    relative_name,
    resize_only,
)

MAX_IMAGES = 100_000  # so that a set needs less than 1 GB of memory
UNCHANGED_SETS = ("mnist", "fashion_mnist")
Track = Callable[[Sequence[int]], Iterable[int]]  # iterates, with a progress bar


@dataclass(frozen=True)
class TestSet:
    """Labelled images that are ready for the network."""

    name: str
    data: LabelledImages
    files: list[str]  # the name of each image
    description: str  # what the set is, for the terminal
    digit_counts: Int[np.ndarray, " n"]  # found by the preprocessing; otherwise 1
    drawn: Bool[np.ndarray, " n"]  # whether a pen can have drawn the shape
    problems: list[str] = field(default_factory=list)  # a line per unreadable image

    @property
    def sha256(self) -> str:
        """The sha256 of the images, as the network gets them, and of their labels."""
        content = self.data.images.tobytes() + self.data.labels.tobytes()
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class _Source:
    """Labelled images that are read one at a time, because all need much memory."""

    name: str
    files: list[str]
    labels: Sequence[int]
    read: Callable[[int], UInt8[np.ndarray, "height width"]]
    description: str
    problems: list[str] = field(default_factory=list)
    like_mnist: bool = False  # by default, these images are not preprocessed


def load_test_set(
    name: str | None,
    *,
    dataset: Dataset,
    split: str,
    folder: Path,
    prepare: bool | None,
    track: Track,
) -> TestSet:
    """Read a set of labelled images, and preprocess them if necessary.

    Args:
        name: A data set or a folder; None for the validation images of the training.
        dataset: The data set of the network.
        split: How the training divided it.
        folder: The folder of data sets.
        prepare: Whether to preprocess the images; None for the default of the set.
        track: Iterates over the images, with a progress bar.

    Raises:
        FileNotFoundError: If the data set is not available.
        ValueError: If no image can be read; the message says why.
    """
    if name is None:
        set_name = dataset.name if split == "exercise" else f"{dataset.name}-{split}"
        description = f"the validation images of the training (split={split})"
        source = _from_mnist(set_name, dataset.split(split).val, description)
    elif datasets.file_name(name) == dataset.name:
        source = _from_mnist(dataset.name, dataset.test, "the test images")
    else:
        source = _find_source(name, folder)
    if prepare is None:
        prepare = not source.like_mnist
    return _read(source, prepare=prepare, track=track)


def with_unique_name(test: TestSet, existing: Collection[str]) -> TestSet:
    """Add a number to the name of a set if another set has the name."""
    numbered = (f"{test.name}-{number}" for number in itertools.count(2))
    names = itertools.chain([test.name], numbered)
    return replace(test, name=next(name for name in names if name not in existing))


def _read(source: _Source, *, prepare: bool, track: Track) -> TestSet:
    problems = [*source.problems]
    prepared, rows = [], []
    for row in track(range(len(source.files))):
        try:
            levels = source.read(row)
        except ValueError as error:
            problems.append(str(error))
            continue
        # Without the steps, which need much memory.
        image = preprocess(levels) if prepare else resize_only(levels)
        prepared.append((image.image, image.digit_count, image.drawn))
        rows.append(row)
    if not rows:
        raise ValueError("\n  ".join([f"{source.name}: no readable images", *problems]))
    images, digit_counts, drawn = zip(*prepared, strict=True)
    labels = np.array([source.labels[row] for row in rows], np.uint8)
    how = "preprocessed as in MNIST" if prepare else "not preprocessed"
    return TestSet(
        name=source.name,
        data=LabelledImages(np.stack(images), labels),
        files=[source.files[row] for row in rows],
        description=f"{len(rows):,} images: {source.description}, {how}",
        digit_counts=np.array(digit_counts),
        drawn=np.array(drawn),
        problems=problems,
    )


def _array_source(
    name: str,
    images: UInt8[np.ndarray, "n height width"],
    labels: UInt8[np.ndarray, " n"],
    description: str,
    *,
    file: str = "",
    like_mnist: bool = False,
) -> _Source:
    return _Source(
        name=name,
        files=[f"{file or name} {row}" for row in range(len(images))],
        labels=labels.tolist(),
        read=images.__getitem__,
        description=description,
        like_mnist=like_mnist,
    )


def _from_mnist(name: str, data: LabelledImages, description: str) -> _Source:
    return _array_source(name, data.images, data.labels, description, like_mnist=True)


def _find_source(name: str, folder: Path) -> _Source:
    """Find out what a set is, and where its labels are."""
    if name in UNCHANGED_SETS:
        data = datasets.load(name, folder=folder).test
        return _from_mnist(name, data, "the test images")
    if name == "digits":
        images, labels = datasets.scikit_learn_digits()
        text = "all of scikit-learn's digits, 8x8 pixels"
        return _array_source(name, images, labels, text)
    place = Path(name)
    set_name = re.sub(r"[^\w.-]+", "_", place.resolve().name)[:80] or "images"
    if place.is_dir():
        pairs = [*datasets.image_label_pairs(place)]
        if pairs:
            return _read_idx_pair(set_name, pairs)
        for alone in place.glob("*images*idx3*"):
            raise ValueError(
                f"{printable(alone)} needs its labels-idx1-ubyte file beside it; both "
                "must be regular files"
            )
    return _list_folder(set_name, place)


def _read_idx_pair(name: str, pairs: Sequence[tuple[Path, Path]]) -> _Source:
    """Read a pair of IDX files; of several, the only one without train in its name."""
    candidates = [pair for pair in pairs if "train" not in pair[0].name] or pairs
    if len(candidates) > 1:
        names = ", ".join(printable(images.name) for images, _ in candidates)
        folder = printable(pairs[0][0].parent)
        raise ValueError(f"{folder} contains several test sets: {names}")
    path = candidates[0][0]
    try:
        images, labels = datasets.read_pair(*candidates[0])
    except ValueError as error:
        raise ValueError(printable(str(error))) from None  # names can have line breaks
    if len(images) > MAX_IMAGES:
        raise ValueError(
            f"{printable(path)} has {len(images):,} images; the limit is {MAX_IMAGES:,}"
        )
    text = f"{printable(path.name)}, {images.shape[1]}x{images.shape[2]} pixels"
    return _array_source(name, images, labels, text, file=path.name)


def _list_folder(name: str, place: Path) -> _Source:
    listing = list_images(place)
    labelled = [entry for entry in listing.entries if entry.label is not None]
    problems = [
        f"{printable(entry.path)} has no label; give it a name such as 7_a.png"
        for entry in listing.entries
        if entry.label is None
    ]
    return _Source(
        name=name,
        files=[relative_name(entry.path, str(place)) for entry in labelled],
        labels=[entry.label for entry in labelled if entry.label is not None],
        read=lambda row: read_image(labelled[row].path),
        description=listing.label_source,
        problems=listing.problems + problems,
    )
