"""Knowing what the network does not know: sure or unsure, with a reason in words.

The network answers whatever it is shown, a shoe too, and mostly with confidence. So
two numbers stand beside its answer, each with a threshold fixed on training pictures:
how much of a picture the main components of that digit's pictures leave unexplained
(does it look like what it is called?), and by how much the first answer beats the
second.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, Integer, UInt8
from safetensors import SafetensorError

from pipeline import CLASSES, PIXELS
from pipeline.model import storage
from pipeline.model.network import Network

COMPONENTS = 50  # of each digit; with 30, some of Fashion-MNIST passes
OOD_QUANTILE = 0.025  # of the training pictures are called unlike their own digit
CLOSE_QUANTILE = (
    0.06  # of the training pictures are called close; of new ones a few more
)
MIN_MARGIN = 0.2  # that an answer is ahead, however poor the network
MAX_FIT_SAMPLES = (
    20_000  # pictures; all 60,000 take three times as long for the same figures
)
EXACT = 256  # pictures whose summed products a float32 holds: 256 * 255**2 < 2**24


@dataclass(frozen=True)
class Verdict:
    """An answer, whether to rely on it, and why not."""

    digit: int
    sure: bool
    reason: str  # empty where sure


@dataclass(frozen=True)
class OodDetector:
    """What the training pictures have in common, and two thresholds."""

    means: UInt8[np.ndarray, "10 784"]  # grey levels of each digit's pictures
    components: Int8[np.ndarray, "10 k 784"]  # of each digit, to be brought to length 1
    most_unexplained: float  # more is unlike the digit that was answered
    least_margin: float  # less is close between two digits

    def unlike(
        self, images: UInt8[np.ndarray, "n 28 28"], answers: Integer[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Say which pictures are unlike the digits that they are taken for."""
        found = reconstruction_error(
            images, answers, means=self.means, components=self.components
        )
        return np.asarray(found > self.most_unexplained)

    def close(self, probabilities: Float[np.ndarray, "n 10"]) -> Bool[np.ndarray, " n"]:
        """Say which answers are close between two digits."""
        return np.asarray(margin(probabilities) < self.least_margin)

    def judge(
        self,
        images: UInt8[np.ndarray, "n 28 28"],
        probabilities: Float[np.ndarray, "n 10"],
        counts: Int[np.ndarray, " n"] | None = None,
        drawn: Bool[np.ndarray, " n"] | None = None,
    ) -> list[Verdict]:
        """Say of each answer whether it is sure, and why not.

        Args:
            images: The pictures, as the network read them.
            probabilities: What it answered.
            counts: Digits found on each picture when it was prepared, if it was.
            drawn: Whether a pen can have made what was found on it, likewise: a shoe
                that is cut out and thinned can look like a digit.
        """
        blank = np.asarray(images.max(axis=(1, 2)) == 0)
        several = np.zeros(len(images), bool) if counts is None else counts > 1
        answers = probabilities.argmax(axis=1)
        unlike, close = self.unlike(images, answers), self.close(probabilities)
        if drawn is not None:
            unlike = unlike | ~drawn
        verdicts = []
        for row, order in enumerate(np.argsort(-probabilities, kind="stable")):
            first, second = int(order[0]), int(order[1])
            reason = ""
            if blank[row]:
                reason = "blank"
            elif several[row]:
                reason = "more than one digit"
            elif unlike[row]:
                reason = "unlike any digit seen"
            elif close[row]:
                reason = f"close between {first} and {second}"
            verdicts.append(Verdict(first, not reason, reason))
        return verdicts


def fit_detector(
    network: Network,
    images: UInt8[np.ndarray, "n 28 28"],
    labels: UInt8[np.ndarray, " n"],
) -> OodDetector:
    """Find what the pictures of each digit have in common, and the thresholds.

    Every other picture of a digit shapes its components, and those between them the
    threshold, which so holds for new pictures. Takes a second.
    """
    step = max(1, len(images) // MAX_FIT_SAMPLES)
    images, labels = images[::step], labels[::step]
    own = [np.flatnonzero(labels == digit) for digit in range(CLASSES)]
    found = [principal_components(images[rows[::2]]) for rows in own]
    means, axes = (np.stack(each) for each in zip(*found, strict=True))
    others = np.concatenate([rows[1::2] for rows in own])
    strange = reconstruction_error(
        images[others], labels[others], means=means, components=axes
    )
    strange = np.append(0, strange[np.isfinite(strange)])  # without blank ones
    margins = margin(network.predict(images).numpy())
    # Rounded, as the last digits of float32's sums differ with the number of threads.
    return OodDetector(
        means,
        axes,
        most_unexplained=round(float(np.quantile(strange, 1 - OOD_QUANTILE)), 4),
        least_margin=max(
            MIN_MARGIN, round(float(np.quantile(margins, CLOSE_QUANTILE)), 4)
        ),
    )


def principal_components(
    images: UInt8[np.ndarray, "n 28 28"],
) -> tuple[UInt8[np.ndarray, "784"], Int8[np.ndarray, "k 784"]]:
    """Return the mean of pictures and their main components, the first one first.

    The same pictures give the same bytes, whatever the number of threads: the sums are
    whole numbers, exact in any order. A component is scaled to fill 8 bits; of fewer
    pictures than components the last are 0.
    """
    from scipy.linalg import eigh

    total, products = np.zeros(PIXELS), np.zeros((PIXELS, PIXELS))
    for row in range(0, len(images), EXACT):
        pixels = images[row : row + EXACT].reshape(-1, PIXELS).astype(np.float32)
        total += pixels.sum(axis=0)
        products += pixels.T @ pixels
    mean = total / max(len(images), 1)
    covariance = products / max(len(images), 1) - np.outer(mean, mean)
    lit = np.flatnonzero(covariance.diagonal() > 0)
    count = min(COMPONENTS, len(lit))
    axes = np.zeros((COMPONENTS, PIXELS))
    if count:  # the pixels that vary: a third of the time
        varying, last = covariance[np.ix_(lit, lit)], (len(lit) - count, len(lit) - 1)
        sizes, found = eigh(varying, subset_by_index=last)
        axes[:count, lit] = found.T[::-1] * (sizes[::-1, None] > 1e-6 * sizes[-1])
    largest = np.abs(axes).argmax(axis=1, keepdims=True)
    scale = np.take_along_axis(axes, largest, axis=1)  # with its sign
    axes = 127 * axes / np.where(scale == 0, 1, scale)
    return mean.round().astype(np.uint8), axes.round().astype(np.int8)


def reconstruction_error(
    images: UInt8[np.ndarray, "n 28 28"],
    answers: Integer[np.ndarray, " n"],
    *,
    means: UInt8[np.ndarray, "10 784"],
    components: Int8[np.ndarray, "10 k 784"],
) -> Float[np.ndarray, " n"]:
    """Return how much of each picture the components of its digit leave unexplained.

    That is the length of what is left, times its share of the picture's length: length
    alone would blame thick pens, the share alone thin ones. It is 0 where all is
    explained, infinite where all is blank.

    Source: the square of what is left is the Q of Jackson, Mudholkar, Control
    procedures for residuals associated with principal component analysis (1979).
    """
    found = np.full(len(images), np.inf)
    lit = images.any(axis=(1, 2))
    for digit, (mean, stored) in enumerate(zip(means, components, strict=True)):
        axes = stored.astype(np.float32)
        axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1)
        rows = np.flatnonzero((answers == digit) & lit)
        for some in np.split(rows, range(1000, len(rows), 1000)):
            pixels = images[some].reshape(-1, PIXELS) / np.float32(255)
            rest = pixels - mean / np.float32(255)
            rest = rest - rest @ axes.T @ axes  # (n, 784)
            left, whole = (np.linalg.norm(each, axis=1) for each in (rest, pixels))
            found[some] = left**2 / whole
    return found


def margin(probabilities: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """Return by how much the most probable digit beats the next, in 0..1."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second)


def save_detector(path: Path, familiar: OodDetector, *, network: str) -> str:
    """Write it beside the network, in 400 KB, and say which that is by its sha256.

    Returns:
        The sha256 of the file.
    """
    return storage.write_tensors(
        path,
        {"means": familiar.means, "components": familiar.components},
        {
            "network": network,
            "most_unexplained": familiar.most_unexplained,
            "least_margin": familiar.least_margin,
        },
    )


def load_detector(path: Path, *, network: str) -> OodDetector:
    """Read what `save` wrote.

    Args:
        path: The file.
        network: The sha256 of the network whose answers are judged.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else, or belongs to another network.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: python -m pipeline.train writes it beside its network"
        )
    try:
        arrays, about = storage.read_tensors(path)
        means, axes = arrays["means"], arrays["components"]
        thresholds = [float(about[key]) for key in ("most_unexplained", "least_margin")]
    except KeyError as error:
        raise ValueError(
            f"{path} is damaged, or of an earlier version (it has no {error}): "
            "python -m pipeline.train makes it, with its network, anew"
        ) from None
    except (SafetensorError, OSError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    shaped = means.shape == (CLASSES, PIXELS) and axes.ndim == 3 and axes.size > 0
    shaped = shaped and axes.shape[::2] == (CLASSES, PIXELS)
    if not shaped or (str(means.dtype), str(axes.dtype)) != ("uint8", "int8"):
        raise ValueError(f"{path} is damaged: it holds no components of pictures")
    if not all(0 <= threshold < np.inf for threshold in thresholds):
        raise ValueError(f"{path} is damaged: it holds what is no threshold")
    if about.get("network") != network:
        raise ValueError(f"{path} belongs to another network than the one beside it")
    return OodDetector(means, axes, *thresholds)
