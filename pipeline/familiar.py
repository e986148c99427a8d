"""Knowing what the network does not know: sure or unsure, with a reason in words.

The network answers whatever it is shown, a shoe too, and mostly with confidence. So
two numbers stand beside its answer, each with a threshold fixed on training pictures:
how much of a picture the main components of the training pictures leave unexplained
(is this a digit at all?), and by how much the first answer beats the second.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float16, Int, UInt8
from safetensors import SafetensorError

from pipeline import checkpoint
from pipeline.network import PIXELS, Network

COMPONENTS = 170  # as many as fit 300 KB; with 80, a tenth of Fashion-MNIST passes
UNLIKE = 0.03  # of the training pictures are called unlike the others
CLOSE = 0.06  # of the training pictures are called close; of new ones a few more
LEAST = 0.2  # that an answer is ahead, however poor the network
ENOUGH = 20_000  # pictures; all 60,000 take three times as long for the same figures
EXACT = 256  # pictures whose summed products a float32 holds: 256 * 255**2 < 2**24


@dataclass(frozen=True)
class Verdict:
    """An answer, whether to rely on it, and why not."""

    digit: int
    sure: bool
    reason: str  # empty where sure


@dataclass(frozen=True)
class Familiar:
    """What the training pictures have in common, and two thresholds."""

    mean: Float16[np.ndarray, "784"]  # of the training pictures, in 0..1
    components: Float16[np.ndarray, "k 784"]  # orthonormal, the main one first
    most_unexplained: float  # more is unlike any digit seen
    least_margin: float  # less is close between two digits

    def unlike(self, images: UInt8[np.ndarray, "n 28 28"]) -> Bool[np.ndarray, " n"]:
        """Say which pictures are unlike any digit seen."""
        shares = unexplained(images, mean=self.mean, components=self.components)
        return np.asarray(shares > self.most_unexplained)

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
        unlike, close = self.unlike(images), self.close(probabilities)
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


def learn(network: Network, images: UInt8[np.ndarray, "n 28 28"]) -> Familiar:
    """Find what training pictures have in common, and where the thresholds lie.

    Takes a second. The same pictures give the same bytes, whatever the number of
    threads: the sums are whole numbers, exact in any order.
    """
    images = images[:: max(1, len(images) // ENOUGH)]
    total, products = np.zeros(PIXELS), np.zeros((PIXELS, PIXELS))
    for row in range(0, len(images), EXACT):
        pixels = images[row : row + EXACT].reshape(-1, PIXELS).astype(np.float32)
        total += pixels.sum(axis=0)
        products += pixels.T @ pixels
    mean = total / len(images)
    covariance = products / len(images) - np.outer(mean, mean)
    axes = np.linalg.eigh(covariance)[1].T[::-1][:COMPONENTS]
    largest = np.abs(axes).argmax(axis=1, keepdims=True)
    axes = axes * np.sign(np.take_along_axis(axes, largest, axis=1))
    axes = axes.astype(np.float16, order="C") + np.float16(0)  # -0 becomes 0
    mean = (mean / 255).astype(np.float16)
    shares = unexplained(images, mean=mean, components=axes)
    margins = margin(network.predict(images).numpy())
    # Rounded, as the last digits of float32's sums differ with the number of threads.
    return Familiar(
        mean=mean,
        components=axes,
        most_unexplained=round(float(np.quantile(shares, 1 - UNLIKE)), 4),
        least_margin=max(LEAST, round(float(np.quantile(margins, CLOSE)), 4)),
    )


def unexplained(
    images: UInt8[np.ndarray, "n 28 28"],
    *,
    mean: Float16[np.ndarray, "784"],
    components: Float16[np.ndarray, "k 784"],
) -> Float[np.ndarray, " n"]:
    """Return the share of each picture's norm that the components leave unexplained.

    It is 0 where they explain all, about 1 for noise, infinite where all is blank.
    """
    average, basis = mean.astype(np.float32), components.astype(np.float32)
    shares = []
    for row in range(0, len(images), 1000):
        pixels = images[row : row + 1000].reshape(-1, PIXELS) / np.float32(255)
        rest = pixels - average
        rest = rest - rest @ basis.T @ basis  # (n, 784)
        size = np.linalg.norm(pixels, axis=1)
        share = np.linalg.norm(rest, axis=1) / np.maximum(size, 1e-6)
        shares.append(np.where(size > 0, share, np.inf))
    return np.concatenate(shares)


def margin(probabilities: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """Return by how much the most probable digit beats the next, in 0..1."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second)


def save(path: Path, familiar: Familiar, *, network: str) -> str:
    """Write it beside the network, in 270 KB, and say which that is by its sha256.

    Returns:
        The sha256 of the file.
    """
    return checkpoint.write(
        path,
        {"mean": familiar.mean, "components": familiar.components},
        {
            "network": network,
            "most_unexplained": familiar.most_unexplained,
            "least_margin": familiar.least_margin,
        },
    )


def load(path: Path, *, network: str) -> Familiar:
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
        arrays, about = checkpoint.read(path)
        mean, components = arrays["mean"], arrays["components"]
        thresholds = [float(about[key]) for key in ("most_unexplained", "least_margin")]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    fits = mean.shape == components.shape[1:] == (PIXELS,) and components.ndim == 2
    if not fits or {mean.dtype, components.dtype} != {np.dtype(np.float16)}:
        raise ValueError(f"{path} is damaged: it holds no components of pictures")
    if not all(np.isfinite(each).all() for each in (mean, components, thresholds)):
        raise ValueError(f"{path} is damaged: it holds what is no finite number")
    if about.get("network") != network:
        raise ValueError(f"{path} belongs to another network than the one beside it")
    return Familiar(mean, components, *thresholds)
