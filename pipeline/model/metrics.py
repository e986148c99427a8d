"""How good the answers are: plain functions of logits and labels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the labels, in nats.

    Args:
        logits: Log-probabilities up to a constant per row, any real value.
        labels: Class of each row, in [0, classes).

    Returns:
        A scalar >= 0; ln(10) = 2.3026 when ten classes are equally likely.

    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 6.2.2.3.
    """
    log_probabilities = logits.log_softmax(dim=1)
    return -log_probabilities.gather(1, labels[:, None]).mean()


def accuracy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Share of rows whose largest logit is that of the label, in [0, 1]."""
    return (logits.argmax(dim=1) == labels).float().mean()


def confusion_matrix(
    answers: Int[Tensor, " n"], labels: Int[Tensor, " n"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """Count the pictures of each label (row) that got each answer (column)."""
    pairs = (labels * classes + answers).numpy()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def tensor_statistics(
    tensors: Mapping[str, Float[np.ndarray, "..."]],
) -> dict[str, float]:
    """Return Euclidean norm, extremes and share of zeros of each tensor, by name."""
    return {
        f"weights/{name}/{quantity}": float(value)
        for name, tensor in tensors.items()
        for quantity, value in (
            ("norm", np.linalg.norm(tensor)),
            ("min", tensor.min()),
            ("max", tensor.max()),
            ("zeros", np.mean(tensor == 0)),
        )
    }


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """Return the bounds within which an accuracy lies with 95 % confidence.

    Unlike the textbook's p +- 1.96 sqrt(p (1 - p) / n) they stay within [0, 1], and are
    honest for a dozen pictures too.

    Source: Wilson, Probable inference, the law of succession, and statistical inference
    (1927); 1.96 is the 97.5 % quantile of the normal distribution.
    """
    z = 1.959964
    p = right / n
    middle = p + z**2 / (2 * n)
    reach = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)


@dataclass(frozen=True)
class ConfidenceBin:
    """Pictures that were answered with about the same confidence."""

    count: int
    confidence: float  # mean probability of the answer
    accuracy: float  # share that is right


def reliability(
    probabilities: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]
) -> list[ConfidenceBin]:
    """Compare what was said with what is true, in 15 bins of confidence.

    Source: Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks
    (2017), section 2, with its 15 bins of equal width; empty ones are left out.
    """
    confidence, answers = probabilities.max(dim=1)
    right = (answers == labels).double()
    places = (confidence * 15).ceil().clamp(1, 15)
    bins = []
    for place in range(1, 16):
        chosen = places == place
        if chosen.any():
            said, true = confidence[chosen].double().mean(), right[chosen].mean()
            bins.append(ConfidenceBin(int(chosen.sum()), said.item(), true.item()))
    return bins


def expected_calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """Return how far confidence and accuracy are apart, on average over the pictures.

    Source: Guo et al. (2017), equation 3.
    """
    n = sum(found.count for found in bins)
    return sum(b.count / n * abs(b.accuracy - b.confidence) for b in bins)
