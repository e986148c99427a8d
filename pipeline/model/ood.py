"""Out-of-distribution detection: is an answer of the network reliable, and if not, why?

The network assigns a class to every image, even a digit to a shoe, usually with a high
probability. Two other numbers are therefore compared with thresholds from the training
images: the error when the image is reconstructed from the principal components of that
class (does it look like the class?), and the margin between the two most probable
classes.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, Integer, UInt8

from pipeline import CLASSES, PIXELS
from pipeline.datasets import DatasetSpec
from pipeline.model.network import Network

COMPONENTS = 50  # per class; with 30, some images of Fashion-MNIST are accepted
OOD_QUANTILE = 0.025  # fraction of training images that are rejected
CLOSE_QUANTILE = 0.06  # fraction of training images with a margin below the threshold
MIN_MARGIN = 0.2  # lower bound of that threshold, for networks with low accuracy
MAX_FIT_SAMPLES = 20_000  # 60,000 images take three times as long and change nothing
EXACT_BATCH = 256  # images; float32 adds their products exactly: 256 * 255**2 < 2**24


@dataclass(frozen=True)
class OodDetector:
    """The mean and the principal components of each class, and two thresholds."""

    means: UInt8[np.ndarray, "10 784"]  # grey levels
    components: Int8[np.ndarray, "10 k 784"]  # not normalised
    max_error: float  # largest reconstruction error of an image in distribution
    min_margin: float  # smallest margin of an answer that is not close

    def reconstruction_error(
        self, images: UInt8[np.ndarray, "n 28 28"], classes: Integer[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Return the errors of reconstructing images from the components of classes.

        The error is |r|**2 / |x|, where x is the image and r the residual. |r| alone
        would reject thick strokes, and |r| / |x| thin ones. The error of an exact
        reconstruction is 0, that of a blank image is infinite.

        Source: |r|**2 is the statistic Q of Jackson and Mudholkar, Control procedures
        for residuals associated with principal component analysis (1979).
        """
        errors = np.full(len(images), np.inf)
        not_blank = images.any(axis=(1, 2))
        for label, mean in enumerate(self.means):
            axes = self.components[label].astype(np.float32)
            axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1)
            rows = np.flatnonzero((classes == label) & not_blank)
            for batch in np.split(rows, range(1000, len(rows), 1000)):  # limits memory
                pixels = images[batch].reshape(-1, PIXELS) / np.float32(255)
                centred = pixels - mean / np.float32(255)
                residual = centred - centred @ axes.T @ axes  # (batch, 784)
                r = np.linalg.norm(residual, axis=1)
                x = np.linalg.norm(pixels, axis=1)
                errors[batch] = r**2 / x
        return errors

    def doubts(
        self,
        images: UInt8[np.ndarray, "n 28 28"],
        probabilities: Float[np.ndarray, "n 10"],
        digit_counts: Int[np.ndarray, " n"],
        drawn: Bool[np.ndarray, " n"],
        *,
        spec: DatasetSpec,
    ) -> list[str]:
        """Return why the answer to each image is not sure; empty text if it is sure.

        Args:
            images: The input of the network.
            probabilities: Its output.
            digit_counts: The number of shapes that preprocessing found.
            drawn: Whether preprocessing found strokes of a pen. A shoe that is cut out
                and thinned can look like a digit.
            spec: The data set of the network; the reasons use its class names.
        """
        errors = self.reconstruction_error(images, probabilities.argmax(axis=1))
        out_of_distribution = (errors > self.max_error) | ~drawn
        is_close = margin(probabilities) < self.min_margin
        ranking, names = np.argsort(-probabilities, kind="stable"), spec.class_names
        doubts = []
        for row, (first, second, *_) in enumerate(ranking.tolist()):
            doubt = ""
            if not images[row].any():
                doubt = "the image is blank"
            elif digit_counts[row] > 1:
                doubt = f"there is more than one {spec.noun}"
            elif out_of_distribution[row]:
                kind = images_of(names[first])
                doubt = f"the image does not look like the {kind} it was trained on"
            elif is_close[row]:
                doubt = f"{names[second]} is close ({probabilities[row, second]:.1%})"
            doubts.append(doubt)
        return doubts


def fit_components(
    images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, " n"]
) -> OodDetector:
    """Fit the part of a detector that does not depend on the network.

    The components are fitted to half of the images of each class and `max_error` to the
    other half, so that the threshold also holds for new images.
    """
    step = max(1, len(images) // MAX_FIT_SAMPLES)
    images, labels = images[::step], labels[::step]
    rows = [np.flatnonzero(labels == label) for label in range(CLASSES)]
    fitted = [principal_components(images[indices[::2]]) for indices in rows]
    means, components = (np.stack(arrays) for arrays in zip(*fitted, strict=True))
    detector = OodDetector(means, components, np.inf, MIN_MARGIN)
    held_out = np.concatenate([indices[1::2] for indices in rows])
    errors = detector.reconstruction_error(images[held_out], labels[held_out])
    errors = np.append(0, errors[np.isfinite(errors)])  # it is infinite for blank ones
    # Rounded, because the last digits depend on the number of threads.
    max_error = round(float(np.quantile(errors, 1 - OOD_QUANTILE)), 4)
    return replace(detector, max_error=max_error)


def smallest_margin(network: Network, images: UInt8[np.ndarray, "n 28 28"]) -> float:
    """Return the margin below which an answer is close, from the training images."""
    step = max(1, len(images) // MAX_FIT_SAMPLES)
    margins = margin(network.predict(images[::step]).numpy())
    quantile = round(float(np.quantile(margins, CLOSE_QUANTILE)), 4)
    return max(MIN_MARGIN, quantile)


def principal_components(
    images: UInt8[np.ndarray, "n 28 28"],
) -> tuple[UInt8[np.ndarray, "784"], Int8[np.ndarray, "k 784"]]:
    """Return the mean and the first principal components of images.

    Equal images give equal bytes with any number of threads, because sums of integers
    are exact. Each component is scaled to the range of 8 bits. If there are fewer
    images than components, the remaining components are 0.
    """
    from scipy.linalg import eigh

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
    if count:  # pixels that never vary are left out, which takes a third of the time
        part = covariance[np.ix_(varying, varying)]
        largest = (len(varying) - count, len(varying) - 1)  # eigh sorts ascending
        variances, vectors = eigh(part, subset_by_index=largest)
        significant = variances[::-1, None] > 1e-6 * variances[-1]
        axes[:count, varying] = vectors.T[::-1] * significant
    peak = np.abs(axes).argmax(axis=1, keepdims=True)
    scale = np.take_along_axis(axes, peak, axis=1)  # signed: fixes the sign of the axis
    axes = 127 * axes / np.where(scale == 0, 1, scale)
    return mean.round().astype(np.uint8), axes.round().astype(np.int8)


def images_of(class_name: str) -> str:
    """Return a phrase for the images of a class: 7s, or sneaker images."""
    return f"{class_name}s" if len(class_name) == 1 else f"{class_name} images"


def margin(probabilities: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """Return the difference between the two highest probabilities, in [0, 1]."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second)
