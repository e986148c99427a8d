"""Reads IDX files, the format of MNIST, plain or gzipped.

The sizes in a header are checked before memory is allocated for the array.
"""

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline import UserError
from pipeline.base.files import list_folder, reading
from pipeline.core import CLASSES, SIDE
from pipeline.core.dataset import LabeledImages

MAX_IMAGES = 1_000_000
MAX_SIDE = 4096  # pixels
MAX_ARRAY_BYTES = 2**29  # 684,784 images of 28x28; an import needs memory for all
OTHER_FORMATS = {  # by the first bytes of a file: its format, and a remedy
    b"PK": ("a ZIP archive", ": unpack it first"),
    b"<": ("an HTML page", ": download the file itself"),
    b"vers": ("a Git LFS pointer", ": run git lfs pull"),
    b"": ("not an IDX file", ""),
}


def image_label_pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each image file of a folder that has a label file, with the label file.

    Raises:
        UserError: If the folder cannot be read.
    """
    for path in list_folder(folder):
        plain = path.name.removesuffix(".gz")
        if plain != path.name and os.path.exists(folder / plain):
            continue  # a gzipped copy of the same file
        if "images" in plain and "idx3" in plain:
            partner = plain.replace("images", "labels").replace("idx3", "idx1")
            for labels in (folder / partner, folder / f"{partner}.gz"):
                if os.path.isfile(labels) and os.path.isfile(path):
                    yield path, labels
                    break


def read_folder(folder: Path) -> tuple[LabeledImages, LabeledImages]:
    """Read training and test images; the last seventh of a single pair is the test set.

    Raises:
        UserError: If the folder does not contain one or two pairs of 28x28 images.
    """
    pairs = {
        images.name: _read_28x28(images, labels)
        for images, labels in image_label_pairs(folder)
    }
    if len(pairs) == 1:
        (whole,) = pairs.values()
        test_count = len(whole) // 7  # the ratio of MNIST's 60,000 and 10,000
        if not test_count:
            raise UserError(f"{folder} must have at least 7 images, got {len(whole)}")
        return whole.pick(slice(-test_count)), whole.pick(slice(-test_count, None))
    train = [pair for name, pair in pairs.items() if "train" in name]
    test = [pair for name, pair in pairs.items() if "train" not in name]
    if len(train) != 1 or len(test) != 1:
        raise UserError(
            f"{folder} must contain one pair of IDX files, such as images-idx3-ubyte "
            "and labels-idx1-ubyte (also .gz), or two pairs, one of them with train in "
            f"its name, got {', '.join(pairs) or 'none'}"
        )
    return train[0], test[0]


def _read_28x28(images_path: Path, labels_path: Path) -> LabeledImages:
    images, labels = read_pair(images_path, labels_path)
    if images.shape[1:] != (SIDE, SIDE):
        height, width = images.shape[1:]
        raise UserError(
            f"{images_path} must have images of {SIDE}x{SIDE} pixels, "
            f"got {height}x{width}"
        )
    return LabeledImages(images, labels)


def read_pair(
    images_path: Path, labels_path: Path
) -> tuple[UInt8[np.ndarray, "n height width"], UInt8[np.ndarray, " n"]]:
    """Read images of any size and their labels (0 to 9) from two IDX files.

    Raises:
        UserError: If a file violates the format, or the files do not match.
    """
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise UserError(
            f"{images_path} must have an image for each label in "
            f"{labels_path.name}, got {len(images)} images and {len(labels)} labels"
        )
    if labels.max() >= CLASSES:
        row = int(np.argmax(labels >= CLASSES))
        raise UserError(
            f"{labels_path} must have labels from 0 to {CLASSES - 1}, "
            f"got {labels[row]} in row {row}"
        )
    return images, labels


def read_idx(path: Path, *, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Read an IDX file of bytes, plain or gzipped: images (3 dimensions) or labels (1).

    Raises:
        UserError: If the file violates the format. The message gives the file and the
            rule.

    Source: the format is described at the end of LeCun, Cortes, Burges, The MNIST
    database of handwritten digits (1998).
    """
    if not os.path.isfile(path):
        raise UserError(f"{path} is not a regular file")
    with reading(path):
        with path.open("rb") as stream:
            gzipped = stream.read(2) == b"\x1f\x8b"
        try:
            with gzip.open(path) if gzipped else path.open("rb") as stream:
                sizes = _read_header(stream, path, dimensions)
                size = math.prod(sizes)
                body = stream.read(size + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{path} is not a complete gzip file: {error}") from None
    if len(body) != size:
        actual = "more" if len(body) > size else f"{len(body):,}"
        raise UserError(
            f"{path} must have {size:,} bytes after its header, got {actual}"
        )
    return np.frombuffer(body, np.uint8).reshape(sizes)


def _read_header(stream: BufferedIOBase, path: Path, dimensions: int) -> list[int]:
    """Read and check the sizes of the dimensions."""
    header = stream.read(4 + 4 * dimensions)
    magic, start = bytes([0, 0, 8, dimensions]), header[:4]
    if not header:
        raise UserError(f"{path} is empty")
    if start != magic:
        formats = OTHER_FORMATS.items()
        kind, remedy = next(x for first, x in formats if start.startswith(first))
        raise UserError(
            f"{path} is {kind} (it starts with the bytes {start.hex(' ')}, but an IDX "
            f"file of bytes in {dimensions} dimensions starts with {magic.hex(' ')})"
            f"{remedy}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise UserError(f"{path} is truncated: it ends within its header")
    sizes: list[int] = np.frombuffer(header, ">u4", offset=4).tolist()
    is_large = sizes[0] > MAX_IMAGES or max(sizes[1:], default=0) > MAX_SIDE
    if is_large or not 0 < math.prod(sizes) <= MAX_ARRAY_BYTES:
        raise UserError(
            f"{path} must have at most {MAX_IMAGES:,} images, {MAX_SIDE:,} pixels per "
            f"side, and 1 to {MAX_ARRAY_BYTES:,} bytes, "
            f"got {' x '.join(f'{size:,}' for size in sizes)}"
        )
    return sizes
