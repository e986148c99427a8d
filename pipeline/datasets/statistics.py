"""Statistics of the images of a data set: counts, pixels, the mean of each class.

This module also names the files beside the data file, which show the statistics, and
reads the stored summary.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from pydantic import BaseModel, Field

from pipeline import UserError
from pipeline.base.errors import AGAIN
from pipeline.core import CLASSES, WHITE
from pipeline.core.dataset import Dataset, LabeledImages


class Counts(BaseModel):
    """The number of all images, and of the images of each class."""

    images: int
    per_class: list[int] = Field(min_length=CLASSES, max_length=CLASSES)


class Pixels(BaseModel):
    """Mean, standard deviation and fraction of zeros of the training images."""

    mean: float
    std: float
    zero: float


class SourceRecord(BaseModel):
    """The part of a summary that is not computed from the images."""

    name: str
    sha256: str
    origin: dict[str, str]  # the sha256 of each imported file by its name
    code: str | None = None  # see `DatasetSpec.code_sha256`


class Summary(SourceRecord):
    """The content of `<name>.json`; see `summarize`."""

    train: Counts
    test: Counts
    pixels: Pixels
    always_zero: list[int]


def class_means(dataset: Dataset) -> dict[int, UInt8[np.ndarray, "28 28"]]:
    """Return the mean training image of each class that occurs."""
    images, labels = dataset.train.images, dataset.train.labels
    return {
        label: images[labels == label].mean(axis=0).round().astype(np.uint8)
        for label in np.unique(labels).tolist()
    }


def summarize(dataset: Dataset, origin: Mapping[str, str]) -> Summary:
    """Summarize the images: counts, statistics of the pixels, always-zero pixels.

    The statistics describe the training images, scaled to [0, 1]. `always_zero` lists
    the pixels (0..783, row by row) that are 0 in all training images.
    """
    # The number of pixels of each level is enough: as floats, images would need 400 MB.
    levels = np.bincount(dataset.train.images.ravel(), minlength=256)
    fractions, values = levels / levels.sum(), np.arange(256) / WHITE
    mean = float(fractions @ values)
    std = float(fractions @ (values - mean) ** 2) ** 0.5
    zero = float(fractions[0])
    return Summary(
        name=dataset.name,
        sha256=dataset.file.sha256,
        train=_count(dataset.train),
        test=_count(dataset.test),
        pixels=Pixels(mean=round(mean, 6), std=round(std, 6), zero=round(zero, 6)),
        always_zero=np.flatnonzero(~dataset.train.images.any(axis=0)).tolist(),
        origin=dict(origin),
    )


def _count(data: LabeledImages) -> Counts:
    per_class = np.bincount(data.labels, minlength=CLASSES).tolist()
    return Counts(images=len(data), per_class=per_class)


class FilesBeside(NamedTuple):
    """The paths of the files that are made together with the file of a data set."""

    summary: Path
    samples: Path  # plot of images
    means: Path  # plot of the mean of each class
    components: Path  # see `components`


def files_beside(path: Path) -> FilesBeside:
    """Return the paths of the files that belong to the file of a data set."""
    endings = (".json", "-samples.png", "-means.png", "-components.safetensors")
    return FilesBeside(*(path.with_name(f"{path.stem}{each}") for each in endings))


def summary(path: Path) -> Summary:
    """Return the stored summary of a data set.

    Raises:
        OSError: If the summary cannot be read.
        UserError: If it is damaged. The same command creates it again.
    """
    file = files_beside(path).summary
    content = file.read_bytes()
    try:
        return Summary.model_validate_json(content)
    except ValueError:
        raise UserError(f"{file} is damaged: {AGAIN}") from None


def source_record(path: Path) -> SourceRecord | None:
    """Return the record in the summary of a data set; None if it cannot be read.

    The statistics in the summary can be damaged, or from a different version.
    """
    with suppress(OSError, ValueError):
        return SourceRecord.model_validate_json(files_beside(path).summary.read_bytes())
    return None
