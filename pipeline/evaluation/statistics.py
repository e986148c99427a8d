"""Statistics of the results on a test set: confidence interval and calibration.

`pipeline.core.metrics` has loss and accuracy, which training also uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from scipy.stats import binomtest
from torch import Tensor

CALIBRATION_BINS = 15  # as in Guo et al. (2017)


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95% confidence interval of an accuracy, `correct` of `n` images.

    The usual p +- 1.96 sqrt(p (1 - p) / n) can exceed [0, 1] and is too narrow for a
    small n.

    Source: Wilson, Probable inference, the law of succession, and statistical inference
    (1927).
    """
    interval = binomtest(correct, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class ConfidenceBin:
    """Statistics of the images whose predictions have about the same confidence."""

    count: int
    confidence: float  # mean probability of the predictions
    accuracy: float


def reliability(
    probabilities: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]
) -> list[ConfidenceBin]:
    """Compare confidence with accuracy in bins of equal width; empty bins are omitted.

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
