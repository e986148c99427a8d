"""Labeled sets of images for `evaluate`: data sets, IDX files, folders of images.

By default, folders and named data sets with original images of another size are
preprocessed as in MNIST, except the network's data set. `inputs` reads the images.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from pipeline import UserError, datasets, images
from pipeline.console import progress
from pipeline.core.dataset import Dataset, LabelledImages
from pipeline.evaluation.inputs import read_images
from pipeline.files import printable
from pipeline.images import ImageEntry, ImageListing

MAX_IMAGES = 100_000  # so that a set needs less than 1 GB of memory


@dataclass(frozen=True)
class TestSet:
    """Labeled images that are ready for the network."""

    name: str
    data: LabelledImages
    class_names: Sequence[str]  # of the labels; the network's for a folder
    files: list[str]  # the name of each image
    description: str  # what the set is, for the terminal
    digit_counts: Int[np.ndarray, " n"]  # found by the preprocessing; otherwise 1
    drawn: Bool[np.ndarray, " n"]  # whether a pen can have drawn the shape
    problems: list[str]  # a line for each image that cannot be read

    @property
    def sha256(self) -> str:
        """The sha256 of the images, as the network gets them, and of their labels."""
        content = self.data.images.tobytes() + self.data.labels.tobytes()
        return hashlib.sha256(content).hexdigest()


def load_test_set(
    name: str | None, *, dataset: Dataset, split: str, prepare: bool | None = None
) -> TestSet:
    """Read a set of labeled images, and preprocess them if necessary.

    Args:
        name: A data set or a folder; None for the run's validation images.
        dataset: The data set of the network.
        split: How the training run divided it.
        prepare: Whether to preprocess the images; None for the default of the set.

    Raises:
        UserError: If the data set is not available, or no image can be read; the
            message says why.
    """
    spec = datasets.spec(dataset.name)  # of the network's data set
    set_name, listing, is_raw = _find_images(name, dataset, split)
    if prepare is None:
        prepare = is_raw and spec.prepared_as_mnist
    entries = progress(f"preprocessing {set_name}")(listing.entries)
    problems, rows = listing.problems, []
    for each in read_images(entries, problems, prepare=prepare):
        image = each.prepared  # its steps are not kept: they need much memory
        row = each.name, each.label, image.image, image.digit_count, image.drawn
        rows.append(row)
    if not rows:
        raise UserError("\n  ".join([f"{set_name}: no readable images", *problems]))
    files, labels, pixels, digit_counts, drawn = zip(*rows, strict=True)
    how = "preprocessed as in MNIST" if prepare else "not preprocessed"
    return TestSet(
        name=set_name,
        data=LabelledImages(np.stack(pixels), np.array(labels, np.uint8)),
        class_names=datasets.REGISTRY.get(name or dataset.name, spec).class_names,
        files=[*files],
        description=f"{len(rows):,} images, {listing.description}, {how}",
        digit_counts=np.array(digit_counts),
        drawn=np.array(drawn),
        problems=problems,
    )


def with_unique_name(test: TestSet, existing: Collection[str]) -> TestSet:
    """Add a number to the name of a set if another set has the name."""
    name, number = test.name, 1
    while name in existing:
        number += 1
        name = f"{test.name}-{number}"
    return replace(test, name=name)


def _find_images(
    name: str | None, dataset: Dataset, split: str
) -> tuple[str, ImageListing, bool]:
    """Return the name of a set, its images, and whether they are raw.

    Raw images are preprocessed by default; the arguments are those of `load_test_set`.
    """
    if name is None:
        val = dataset.split(split).val
        set_name = dataset.name if split == "exercise" else f"{dataset.name}-{split}"
        text = f"the validation images of the training run (split={split})"
        return set_name, _from_arrays(set_name, val.images, val.labels, text), False
    is_own, entry = datasets.file_name(name) == dataset.name, datasets.spec(name)
    if is_own or (datasets.is_name(name) and not entry.originals):
        data = dataset if is_own else datasets.load(name, folder=dataset.path.parent)
        arrays = data.test.images, data.test.labels
        return data.name, _from_arrays(data.name, *arrays, "the test images"), False
    if entry.originals:
        pixels, labels = entry.originals()
        text = f"all original images, {pixels.shape[1]}x{pixels.shape[2]} pixels"
        return name, _from_arrays(name, pixels, labels, text), True
    source = Path(name)
    set_name = re.sub(r"[^\w.-]+", "_", source.resolve().name)[:80] or "images"
    if pairs := [*datasets.image_label_pairs(source)]:
        return set_name, _read_idx_pair(pairs), True
    if unpaired := next(source.glob("*images*idx3*"), None):
        raise UserError(
            f"{printable(unpaired)} needs its labels-idx1-ubyte file in the same "
            "folder; both must be regular files"
        )
    return set_name, _list_labelled(source), True


def _from_arrays(
    name: str,
    pixels: UInt8[np.ndarray, "n height width"],
    labels: UInt8[np.ndarray, " n"],
    description: str,
) -> ImageListing:
    pairs = enumerate(zip(labels.tolist(), pixels, strict=True))
    entries = [ImageEntry(f"{name} {row}", *pair) for row, pair in pairs]
    return ImageListing(description, entries)


def _read_idx_pair(pairs: Sequence[tuple[Path, Path]]) -> ImageListing:
    """Read a pair of IDX files; of several, the one without train in its name."""
    candidates = [pair for pair in pairs if "train" not in pair[0].name] or pairs
    if len(candidates) > 1:
        names = ", ".join(printable(pair[0].name) for pair in candidates)
        folder = printable(pairs[0][0].parent)
        raise UserError(f"{folder} contains several test sets: {names}")
    path = candidates[0][0]
    try:
        pixels, labels = datasets.read_pair(*candidates[0])
    except UserError as error:
        raise UserError(printable(str(error))) from None  # names can have line breaks
    if len(pixels) > MAX_IMAGES:
        raise UserError(
            f"{printable(path)} has {len(pixels):,} images; the limit is {MAX_IMAGES:,}"
        )
    text = f"{printable(path.name)}, {pixels.shape[1]}x{pixels.shape[2]} pixels"
    return _from_arrays(path.name, pixels, labels, text)


def _list_labelled(source: Path) -> ImageListing:
    listing = images.list_images(source, labelled_only=True)
    listing.problems.extend(
        f"{printable(str(entry.source))} has no label; give it a name such as 7_a.png"
        for entry in listing.entries
        if entry.label is None
    )
    entries = [entry for entry in listing.entries if entry.label is not None]
    return replace(listing, entries=entries)
