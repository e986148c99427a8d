"""Statistics of the images of a data set: counts, pixels, the mean of each class."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from pipeline.core import CLASSES, WHITE
from pipeline.core.dataset import Dataset, LabeledImages
from pipeline.datasets.data_files import Counts, Pixels, Summary


def class_means(dataset: Dataset) -> dict[int, UInt8[np.ndarray, "28 28"]]:
    """Return the mean training image of each class that occurs."""
    images, labels = dataset.train.images, dataset.train.labels
    return {
        label: images[labels == label].mean(axis=0).round().astype(np.uint8)
        for label in np.unique(labels).tolist()
    }


def summarize(dataset: Dataset, origin: Mapping[str, str]) -> Summary:
    """Summarize the images: counts, statistics of the pixels, always-zero pixels.

    The statistics describe all training images, scaled to [0, 1].
    """
    # The number of pixels of each level is enough: as floats, images would need 400 MB.
    levels = np.bincount(dataset.train.images.ravel(), minlength=256)
    fractions, values = levels / levels.sum(), np.arange(256) / WHITE
    mean = float(fractions @ values)
    std = float(fractions @ (values - mean) ** 2) ** 0.5
    zero = float(fractions[0])
    return Summary(
        sha256=dataset.file.sha256,
        train=_count(dataset.train),
        test=_count(dataset.test),
        pixels=Pixels(mean=round(mean, 6), std=round(std, 6), zero=round(zero, 6)),
        always_zero=np.flatnonzero(~dataset.train.images.any(axis=0)).tolist(),
        origin=dict(origin),
    )


def _count(images: LabeledImages) -> Counts:
    per_class = np.bincount(images.labels, minlength=CLASSES).tolist()
    return Counts(images=len(images), per_class=per_class)
