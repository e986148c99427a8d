"""Metrics of a classifier, as functions of logits, probabilities and labels.

Losses are in nats, accuracies and probabilities in [0, 1].
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

CALIBRATION_BINS = 15  # as Guo et al. (2017) use


def cross_entropy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood of the labels, in nats.

    Args:
        logits: Any real values: log-probabilities up to a constant per row.
        labels: The class of each row, in [0, classes).

    Returns:
        A scalar >= 0; ln(10) = 2.3026 if ten classes are equally probable.

    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.2.2.3.
    """
    log_probabilities = logits.log_softmax(dim=1)  # (batch, classes)
    return -log_probabilities.gather(1, labels[:, None]).mean()


def accuracy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the fraction of rows whose largest logit is that of the label."""
    return (logits.argmax(dim=1) == labels).float().mean()


def tensor_statistics(
    tensors: Mapping[str, Float[np.ndarray, "..."]],
) -> dict[str, float]:
    """Return Euclidean norm, minimum, maximum and fraction of zeros of each tensor."""
    return {
        f"weights/{name}/{statistic}": float(value)
        for name, tensor in tensors.items()
        for statistic, value in (
            ("norm", np.linalg.norm(tensor)),
            ("min", tensor.min()),
            ("max", tensor.max()),
            ("zeros", np.mean(tensor == 0)),
        )
    }


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of an accuracy, `correct` of `n` images.

    The usual p +- 1.96 sqrt(p (1 - p) / n) can exceed [0, 1] and is too narrow for a
    small n.

    Source: Wilson, Probable inference, the law of succession, and statistical inference
    (1927); z is the 97.5 % quantile of the normal distribution.
    """
    z = 1.959964
    p = correct / n
    centre = p + z**2 / (2 * n)
    half_width = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return (centre - half_width) / scale, (centre + half_width) / scale


@dataclass(frozen=True)
class ConfidenceBin:
    """Statistics of the images whose predictions have about the same confidence."""

    count: int
    confidence: float  # mean probability of the predictions
    accuracy: float


def reliability(
    probabilities: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]
) -> list[ConfidenceBin]:
    """Compare confidence with accuracy in bins of equal width, without empty ones.

    Source: Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks
    (2017), section 2.
    """
    confidence, predictions = probabilities.max(dim=1)
    correct = (predictions == labels).double()
    numbers = (confidence * CALIBRATION_BINS).ceil().clamp(1, CALIBRATION_BINS)
    bins = []
    for number in numbers.unique():  # ascending
        inside = numbers == number
        confidence_mean = confidence[inside].double().mean().item()
        accuracy_mean = correct[inside].mean().item()
        bins.append(ConfidenceBin(int(inside.sum()), confidence_mean, accuracy_mean))
    return bins


def expected_calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """Return the mean distance between confidence and accuracy, weighted by images.

    Source: Guo et al. (2017), equation 3.
    """
    n = sum(b.count for b in bins)
    return sum(b.count / n * abs(b.accuracy - b.confidence) for b in bins)
