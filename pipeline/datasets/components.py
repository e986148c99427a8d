"""The principal components of the images of each class, in a file next to the data.

The components depend on the training images alone, so all networks that were trained
with these images share one file. The detector of a network compares images with the
components.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int8, Integer, UInt8

from pipeline import UserError
from pipeline.base.source_code import ImportedCode
from pipeline.base.tensors import read_tensors, tensors_sha256, write_tensors
from pipeline.core import CLASSES, PIXELS, WHITE
from pipeline.core import dataset as dataset_module
from pipeline.core.dataset import Dataset, LabeledImages
from pipeline.core.hyperparameters import SPLITS
from pipeline.datasets.data_files import companion_files

COMPONENTS = 50  # per class; with 30, some images of Fashion-MNIST are accepted
# Fractions of the training images of each class that the rule *unfamiliar* rejects: by
# the error with the components of their class, and by the ratio of this error to the
# smallest error with the components of another class.
OOD_QUANTILE, RATIO_QUANTILE = 0.05, 0.01
EXACT_BATCH = 256  # images; float32 adds their products exactly: 256 * WHITE**2 < 2**24
# The hash of this module, with its constants, and of the module that selects images.
FITTING_SHA256 = ImportedCode(__file__, dataset_module.__file__).sha256


@dataclass(frozen=True, eq=False)
class ClassComponents:
    """The mean and the principal components of the images of each class."""

    means: UInt8[np.ndarray, "10 784"]  # gray levels
    components: Int8[np.ndarray, "10 k 784"]  # not normalized
    max_errors: Float[np.ndarray, "10"]  # maximum reconstruction error of each class
    max_ratio: float  # maximum ratio of this error to the smallest of other classes

    def is_unfamiliar(
        self, images: UInt8[np.ndarray, "n 28 28"], classes: Integer[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Return which images do not look like the training images of their class.

        The components of the class explain too little of such an image, or the
        components of another class explain far more of the image.
        """
        own, others = _own_and_others(self.reconstruction_errors(images), classes)
        is_unfamiliar = (own > self.max_errors[classes]) | (
            own > self.max_ratio * others
        )
        return np.asarray(is_unfamiliar)

    def reconstruction_errors(
        self, images: UInt8[np.ndarray, "n 28 28"]
    ) -> Float[np.ndarray, "n 10"]:
        """Return the errors of reconstructing images from the components of each class.

        The error is |r|**2 / |x|, where x is the image and r the residual. |r| alone
        would reject thick strokes, and |r| / |x| thin strokes. The error of an exact
        reconstruction is 0, and the error of a blank image is infinite.

        Source: |r|**2 is the statistic Q of Jackson and Mudholkar, Control procedures
        for residuals associated with principal component analysis (1979).
        """
        errors = np.full((len(images), CLASSES), np.inf)
        rows = np.flatnonzero(images.any(axis=(1, 2)))
        axes = self.components.astype(np.float32)
        axes /= np.maximum(np.linalg.norm(axes, axis=2, keepdims=True), 1)
        for batch in np.split(rows, range(1000, len(rows), 1000)):  # limits memory
            pixels = images[batch].reshape(-1, PIXELS) / np.float32(WHITE)
            x = np.linalg.norm(pixels, axis=1)
            for label, mean in enumerate(self.means / np.float32(WHITE)):
                centered = pixels - mean
                residual = centered - centered @ axes[label].T @ axes[label]
                errors[batch, label] = np.linalg.norm(residual, axis=1) ** 2 / x
        return errors


def _own_and_others(
    errors: Float[np.ndarray, "n 10"], classes: Integer[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return, for each image, the error of its class and the smallest other error."""
    is_own = classes[:, None] == np.arange(CLASSES)
    return errors[is_own], np.where(is_own, np.inf, errors).min(axis=1)


def fit_components(train: LabeledImages) -> ClassComponents:
    """Fit the components to training images.

    The components are fitted to half of the images of each class and the thresholds to
    the other half, so that the thresholds also hold for new images.
    """
    sample = train.sample()
    rows = [np.flatnonzero(sample.labels == label) for label in range(CLASSES)]
    fitted = [_principal_components(sample.images[indices[::2]]) for indices in rows]
    means, components = (np.stack(arrays) for arrays in zip(*fitted, strict=True))
    unlimited = ClassComponents(means, components, np.full(CLASSES, np.inf), np.inf)
    rest = sample.pick(np.concatenate([indices[1::2] for indices in rows]))
    errors = unlimited.reconstruction_errors(rest.images)
    own, others = _own_and_others(errors, rest.labels)
    finite = np.isfinite(own)  # false for blank images
    # Rounded, because the last digits depend on the number of threads and on NumPy.
    limits = [
        np.quantile([0, *own[finite & (rest.labels == label)]], 1 - OOD_QUANTILE)
        for label in range(CLASSES)
    ]
    ratios = own[finite] / np.maximum(others[finite], 1e-9)
    max_ratio = float(np.quantile([1, *ratios], 1 - RATIO_QUANTILE))
    return ClassComponents(
        means, components, np.round(limits, 4), max(1.0, round(max_ratio, 4))
    )


def _principal_components(
    images: UInt8[np.ndarray, "n 28 28"],
) -> tuple[UInt8[np.ndarray, "784"], Int8[np.ndarray, "k 784"]]:
    """Return the mean and the first principal components of images.

    The result is byte-identical with any number of threads, because sums of integers
    are exact. Each component is scaled to the range of 8 bits. If there are fewer
    images than components, the remaining components are 0.
    """
    total, products = np.zeros(PIXELS), np.zeros((PIXELS, PIXELS))
    for row in range(0, len(images), EXACT_BATCH):
        levels = images[row : row + EXACT_BATCH].reshape(-1, PIXELS).astype(np.float32)
        total += levels.sum(axis=0)
        products += levels.T @ levels
    mean = total / max(len(images), 1)
    covariance = products / max(len(images), 1) - np.outer(mean, mean)
    varying = np.flatnonzero(covariance.diagonal() > 0)
    count = min(COMPONENTS, len(varying))
    axes = np.zeros((COMPONENTS, PIXELS))
    if count:  # pixels that never vary are skipped, which takes a third of the time
        variances, vectors = np.linalg.eigh(covariance[np.ix_(varying, varying)])
        largest = slice(-1, -count - 1, -1)  # eigh sorts ascending
        significant = variances[largest, None] > 1e-6 * variances[-1]
        axes[:count, varying] = vectors.T[largest] * significant
    peak = np.abs(axes).argmax(axis=1, keepdims=True)
    scale = np.take_along_axis(axes, peak, axis=1)  # signed: fixes the sign of the axis
    axes = 127 * axes / np.where(scale == 0, 1, scale)
    return mean.round().astype(np.uint8), axes.round().astype(np.int8)


def write_components(dataset: Dataset) -> None:
    """Fit the components for each split of a data set, and write one file (800 KB)."""
    arrays: dict[str, np.ndarray] = {}
    for split in SPLITS:
        try:
            train = dataset.split(split).train
        except UserError:
            continue  # no network is trained with a split that is impossible
        fitted = fit_components(train)
        arrays[f"{split}.means"] = fitted.means
        arrays[f"{split}.components"] = fitted.components
        arrays[f"{split}.max_errors"] = fitted.max_errors
        arrays[f"{split}.max_ratio"] = np.asarray(fitted.max_ratio)
    metadata = _metadata(arrays, data_sha256=dataset.file.sha256)
    write_tensors(companion_files(dataset.file.path).components, arrays, metadata)


def read_components(
    path: Path, *, data_sha256: str
) -> dict[str, ClassComponents] | None:
    """Read the components next to the file of a data set, by split.

    Returns:
        None if the file is missing or damaged, or was computed from different data
        or by different code.
    """
    try:
        arrays, metadata = read_tensors(companion_files(path).components)
    except UserError:
        return None
    if metadata != _metadata(arrays, data_sha256=data_sha256):
        return None
    return {
        split: ClassComponents(
            arrays[f"{split}.means"],
            arrays[f"{split}.components"],
            arrays[f"{split}.max_errors"],
            float(arrays[f"{split}.max_ratio"]),
        )
        for split in SPLITS
        if f"{split}.means" in arrays
    }


def _metadata(arrays: Mapping[str, np.ndarray], *, data_sha256: str) -> dict[str, Any]:
    return {
        "code": FITTING_SHA256,
        "data_sha256": data_sha256,
        "tensors_sha256": tensors_sha256(arrays),
    }
