"""The names of the data sets, and how their images are read from their sources.

A data set without a name is a folder with IDX files. `prepare` stores the images.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline import SIDE
from pipeline.datasets import download, idx
from pipeline.datasets.dataset import LabelledImages

NAMES = (*download.DOWNLOADED, "digits")


def is_folder(dataset: str) -> bool:
    """Return whether a data set is a folder with IDX files, not a name."""
    return dataset not in NAMES


def file_name(dataset: str) -> str:
    """Return the stem of a data set's file; for a folder it contains a hash."""
    if not is_folder(dataset):
        return dataset
    place = Path(dataset).resolve()
    readable = re.sub(r"[^\w-]+", "_", place.name)
    return f"{readable}-{hashlib.sha256(bytes(place)).hexdigest()[:8]}"


def read_source(dataset: str, folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the training and test images of a data set.

    Args:
        dataset: Its name, or a folder with one or two pairs of IDX files. Of one pair,
            the last seventh are the test images.
        folder: Where the raw files of downloaded data sets are kept.

    Raises:
        FileNotFoundError: If the data set is not available.
        ValueError: If a file violates the format, or the pairs cannot be told apart.
    """
    if dataset == "digits":
        images, labels = scikit_learn_digits()
        whole = LabelledImages(_enlarge(images), labels)
        return whole.pick(slice(1500)), whole.pick(slice(1500, None))
    place = Path(dataset) if is_folder(dataset) else download.fetch(dataset, folder)
    pairs = {
        images.name: _read_28x28(images, labels)
        for images, labels in idx.image_label_pairs(place)
    }
    if len(pairs) == 1:
        (whole,) = pairs.values()
        test_count = len(whole) // 7  # the ratio of MNIST's 60,000 and 10,000
        if not test_count:
            raise ValueError(f"{place} needs at least 7 images, has {len(whole)}")
        return whole.pick(slice(-test_count)), whole.pick(slice(-test_count, None))
    train = [pair for name, pair in pairs.items() if "train" in name]
    test = [pair for name, pair in pairs.items() if "train" not in name]
    if len(train) != 1 or len(test) != 1:
        raise ValueError(
            f"{place} must contain one pair of IDX files, such as images-idx3-ubyte "
            "and labels-idx1-ubyte (also .gz), or two pairs, one of them with train in "
            f"its name; image files with labels: {', '.join(pairs) or 'none'}"
        )
    return train[0], test[0]


def scikit_learn_digits() -> tuple[
    UInt8[np.ndarray, "1797 8 8"], UInt8[np.ndarray, "1797"]
]:
    """Return scikit-learn's digits (stored as 0..16) as grey levels, and the labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    levels = np.round(digits.images / 16 * 255).astype(np.uint8)
    return levels, digits.target.astype(np.uint8)


def _enlarge(images: UInt8[np.ndarray, "n 8 8"]) -> UInt8[np.ndarray, "n 28 28"]:
    """Enlarge images to 20x20 pixels, the box of MNIST's digits, in 28x28."""
    from PIL import Image

    enlarged = np.zeros((len(images), SIDE, SIDE), np.uint8)
    for target, image in zip(enlarged, images, strict=True):
        large = Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC)
        target[4:24, 4:24] = np.asarray(large)
    return enlarged


def _read_28x28(images_path: Path, labels_path: Path) -> LabelledImages:
    images, labels = idx.read_pair(images_path, labels_path)
    if images.shape[1:] != (SIDE, SIDE):
        height, width = images.shape[1:]
        raise ValueError(f"{images_path} has images of {height}x{width}, not 28x28")
    return LabelledImages(images, labels)
