"""Labeled sets of images for `evaluate`: data sets, IDX files, folders of images."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline import UserError, datasets, images
from pipeline.base.text import counted, printable
from pipeline.core.dataset import Dataset
from pipeline.core.hyperparameters import SplitName
from pipeline.evaluation.inputs import name_of_test_images
from pipeline.images import ImageKind, ImageSet
from pipeline.records.dataset_names import is_name

MAX_SET_IMAGES = 100_000  # so that a set needs less than 1 GB of memory


def find_test_set(name: str | None, *, dataset: Dataset, split: SplitName) -> ImageSet:
    """Find a set of labeled images.

    The images of folders are raw. The images of data sets with originals of another
    size are also raw, unless the network was trained on that data set.

    Args:
        name: A data set or a folder; None for the run's validation images.
        dataset: The data set of the network.
        split: How the training run divided this data set.

    Raises:
        UserError: If the data set is not available, or a folder cannot be used; the
            message says why.
    """
    if name is None:
        val = dataset.split(split).val
        set_name = dataset.name if split == "exercise" else f"{dataset.name}-{split}"
        text = f"the validation images of the training run (split={split})"
        item = name_of_test_images(dataset) if split == "exercise" else set_name
        return _from_arrays(
            set_name, val.images, val.labels, text, kind="own", item=item
        )
    folder = dataset.file.path.parent
    if is_name(name) and name != dataset.name:
        datasets.prepare(name, folder=folder)
    if datasets.has_images_of(name, dataset):
        set_name = name if is_name(name) else dataset.name
        return _test_set(set_name, dataset, kind="own")
    if not is_name(name):
        return _read_folder(Path(name))
    if originals := datasets.spec(name).originals:
        pixels, labels = originals()
        text = f"all original images, {_size(pixels)}"
        return _from_arrays(name, pixels, labels, text, kind="raw")
    other = datasets.load(name, folder=folder)
    return _test_set(name, other, kind="preprocessed")


def _test_set(name: str, dataset: Dataset, *, kind: ImageKind) -> ImageSet:
    test = dataset.test
    item = name_of_test_images(dataset)
    text = "the test images"
    return _from_arrays(name, test.images, test.labels, text, kind=kind, item=item)


def _read_folder(source: Path) -> ImageSet:
    """Read IDX files, or list the images of a folder with their labels."""
    set_name = re.sub(r"[^\w.-]+", "_", source.resolve().name)[:80] or "images"
    if is_name(set_name):  # a run records one set for each name
        set_name += "-folder"
    if pairs := [*datasets.image_label_pairs(source)]:
        return _read_idx_pair(set_name, pairs)
    if unpaired := next(source.glob("*images*idx3*"), None):
        raise UserError(
            f"{printable(unpaired)} must have its labels-idx1-ubyte file in the same "
            "folder, and both must be regular files"
        )
    return _labeled(images.list_images(source, name=set_name), source)


def _labeled(found: ImageSet, source: Path) -> ImageSet:
    """Keep the images with a label; report images that should have a label."""
    rows = [row for row, label in enumerate(found.labels) if label is not None]
    problems = [*found.problems, *found.label_problems]
    if not rows:
        problem = (
            f"{printable(source)} has no image with a label: give the images names "
            "such as 7_a.png, or use predict, which needs no labels"
        )
        raise UserError("\n  ".join([problem, *problems]))
    description = found.description
    if skipped := len(found.labels) - len(rows) - len(found.label_problems):
        number = counted(skipped, "other image")
        verb = "is" if skipped == 1 else "are"
        description += f" ({number} without a label {verb} skipped)"
    return replace(found.pick(rows, problems=problems), description=description)


def _from_arrays(
    name: str,
    pixels: UInt8[np.ndarray, "n height width"],
    labels: UInt8[np.ndarray, " n"],
    description: str,
    *,
    kind: ImageKind,
    item: str | None = None,
) -> ImageSet:
    spec = datasets.REGISTRY.get(name)
    return ImageSet(
        name=name,
        description=description,
        files=[f"{item or name} {row}" for row in range(len(labels))],
        labels=labels.tolist(),
        images=pixels,
        kind=kind,
        class_names=spec.class_names if spec else None,
    )


def _size(pixels: UInt8[np.ndarray, "n height width"]) -> str:
    _, height, width = pixels.shape
    return f"{height}x{width} pixels"


def _read_idx_pair(name: str, pairs: Sequence[tuple[Path, Path]]) -> ImageSet:
    """Read the IDX pair or, of several pairs, the pair without train in its name."""
    candidates = [pair for pair in pairs if "train" not in pair[0].name] or pairs
    if len(candidates) > 1:
        names = ", ".join(printable(pair[0].name) for pair in candidates)
        folder = printable(pairs[0][0].parent)
        raise UserError(f"{folder} must contain one test set, got {names}")
    path = candidates[0][0]
    try:
        pixels, labels = datasets.read_pair(*candidates[0])
    except UserError as error:
        raise UserError(printable(str(error))) from None  # names can have line breaks
    if len(pixels) > MAX_SET_IMAGES:
        raise UserError(
            f"{printable(path)} must have at most {MAX_SET_IMAGES:,} images, "
            f"got {len(pixels):,}"
        )
    text = f"{printable(path.name)}, {_size(pixels)}"
    return _from_arrays(name, pixels, labels, text, kind="raw", item=path.name)
