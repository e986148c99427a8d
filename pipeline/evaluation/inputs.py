"""Finds the images of predict and inspect: test images, files or arrays.

`test_sets` finds the labeled images of evaluate. `preprocess_for` preprocesses the
images of all three commands.
"""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pipeline import ConfigError, UserError, images
from pipeline.base.paths import user_path
from pipeline.base.text import printable
from pipeline.core import PIXELS, SIDE
from pipeline.core.dataset import Dataset
from pipeline.core.network import check_images
from pipeline.datasets import DatasetSpec
from pipeline.datasets.upright import straighten
from pipeline.images import ImageSet, PreprocessedImages
from pipeline.images.reading import describe_missing

INDEX = "-?[0-9]{1,80}"


def find_images(value: str, load_dataset: Callable[[], Dataset]) -> ImageSet:
    """Find the images that the key `images` selects.

    Args:
        value: Indices of test images (0 or 0,1,2), an image file, or a folder.
        load_dataset: Loads the data set of the network. It is called only if `value`
            selects test images.

    Raises:
        UserError: If a folder cannot be read, contains no images or has an invalid
            labels.csv, or if a file, folder or test image does not exist.
    """
    others = "a file or folder"
    if not re.fullmatch(f"{INDEX}( *, *{INDEX})*", value):
        return images.list_images(_existing_path(value, key="images", others=others))
    rows = [int(row) for row in value.split(",")]
    return _test_images(rows, load_dataset(), key="images", others=others)


def find_image(value: str, dataset: Dataset) -> ImageSet:
    """Find the image that the key `image` selects: a test image or a file.

    Raises:
        UserError: If the test image or the file does not exist, or the file is a
            folder.
    """
    if re.fullmatch(INDEX, value):
        return _test_images([int(value)], dataset, key="image", others="a file")
    path = _existing_path(value, key="image", others="a file")
    if os.path.isdir(path):  # False for a path that is too long
        raise UserError(f"image must be a file, got the folder {printable(path)}")
    return images.list_images(path, name="image")


def preprocess_for(
    spec: DatasetSpec,
    source: ImageSet,
    *,
    as_mnist: bool | None = None,
    keep_steps: int = 0,
) -> PreprocessedImages:
    """Preprocess images for a network that was trained on a data set.

    Raw images are preprocessed as in MNIST if the network needs such images (see
    `DatasetSpec.preprocessed_as_mnist`), unless `as_mnist` says otherwise. If the
    network was trained on straightened images, all images that are not from its data
    set are then straightened.
    """
    if as_mnist is None:
        as_mnist = spec.preprocessed_as_mnist and source.kind == "raw"
    preprocessed = images.preprocess_images(
        source, as_mnist=as_mnist, keep_steps=keep_steps
    )
    if source.kind == "own" or not spec.is_upright:
        return preprocessed
    straightened = straighten(preprocessed.images)
    pairs = zip(
        preprocessed.steps, straightened[: len(preprocessed.steps)], strict=True
    )
    return replace(
        preprocessed,
        images=straightened,
        steps=[{**steps, "upright": image} for steps, image in pairs],
        how=f"{preprocessed.how}, straightened",
    )


def images_from_array(array: Any) -> ImageSet:  # noqa: ANN401
    """Return images that a caller passed from Python, in the form of MNIST's images.

    Args:
        array: A NumPy array, a PyTorch tensor or a similar array.

    Raises:
        ConfigError: If the array is not uint8 with the shape (28, 28) or (n, 28, 28).
    """
    is_one = array.shape == (SIDE, SIDE) and "uint8" in str(array.dtype)
    try:
        pixels = check_images(array[None] if is_one else array)
    except UserError as error:
        raise ConfigError(f"{error}: {_remedy(array)}") from None
    if not len(pixels):
        raise ConfigError("images must contain at least one image, got none")
    return ImageSet(
        name="image",
        description="images from Python",
        files=[f"image {row}" for row in range(len(pixels))],
        labels=[None] * len(pixels),
        images=pixels,
        kind="preprocessed",
    )


def _remedy(images: Any) -> str:  # noqa: ANN401
    """Return what a caller must pass instead of images that were rejected."""
    is_tensor = isinstance(images, Tensor)
    instead = "images"
    cast = "to(torch.uint8)" if is_tensor else "astype(np.uint8)"
    try:
        array = np.asarray(images.detach().cpu() if is_tensor else images)
    except (TypeError, ValueError):
        return "pass an array of numbers"
    if not array.size:
        return "there is no image"
    kind, shape = array.dtype.kind, array.shape
    if kind not in "buif":  # bool, integers and floats
        return "pass an array of numbers"
    if shape[1:] != (SIDE, SIDE):
        if np.prod(shape[1:]) not in (1, SIDE, PIXELS) or array.size % PIXELS:
            return 'resize the image, as predict(images="photo.png") does'
        instead += ".reshape(-1, 28, 28)"
    if not (array.min() >= 0 and array.max() <= 255):  # also true for NaN
        return "scale them to 0 to 255"
    if kind in "bf" and array.max() <= 1:
        instead = f"({instead} * 255)"
    if kind == "f":
        instead += ".round()"
    return f"pass {instead}" + (f".{cast}" if array.dtype != np.uint8 else "")


def name_of_test_images(dataset: Dataset) -> str:
    """Return the name of test images, which is printed before an index."""
    return f"{dataset.name} test image"


def _existing_path(value: str, *, key: str, others: str) -> Path:
    """Return a path; `key` and `others` appear in the message if it is missing."""
    path = user_path(value, key=key)
    try:
        path.lstat()
    except FileNotFoundError:
        raise UserError(
            f"{describe_missing(path)}: "
            f"{key} must be the index of a test image, such as 0, or {others}"
        ) from None
    except OSError:
        pass  # `read_image` and `list_images` say what is wrong
    return path


def _test_images(
    rows: list[int], dataset: Dataset, *, key: str, others: str
) -> ImageSet:
    """Return test images; `key` and `others` appear in the error message."""
    name = name_of_test_images(dataset)
    test = dataset.test
    for row in rows:
        if not 0 <= row < len(test):
            raise UserError(
                f"{key} must be 0 to {len(test) - 1}, the index of a test image of "
                f"{dataset.name}, or {others}, got {row}"
            )
    chosen = test.pick(np.array(rows))
    return ImageSet(
        name="test image",
        description=f"test images of {dataset.name}",
        files=[f"{name} {row}" for row in rows],
        labels=chosen.labels.tolist(),
        images=chosen.images,
        kind="own",
    )
