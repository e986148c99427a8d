"""Metrics of predictions, and the rows of the tables that evaluate writes.

`result_files` writes the tables, and `sentences` describes the metrics in words.
`pipeline.core.metrics` has loss and accuracy, which training also uses.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from pipeline.base.csv_files import to_rows
from pipeline.core import CLASSES, metrics
from pipeline.evaluation.predictions import Predictions

NORMAL_QUANTILE = 1.959963984540054  # 97.5% of a normal distribution is below this
CALIBRATION_BINS = 15  # as in Guo et al. (2017)

Row = dict[str, Any]


@dataclass(frozen=True)
class Bin:
    """Predictions of similar confidence; the fields are columns of calibration.csv."""

    count: int  # number of images
    confidence: float  # the mean probability of the predicted classes
    accuracy: float


def score(predictions: Predictions) -> dict[str, float | int]:
    """Return the metrics of predictions for labeled images.

    The metrics are n, loss (in nats), accuracy with its 95% interval, mean confidence,
    expected calibration error and, if all reasons are known, unsure: the fraction of
    unsure predictions.
    """
    labels = predictions.source.known_labels
    n, correct = len(labels), int(predictions.is_correct.sum())
    low, high = wilson_interval(correct, n)
    values: dict[str, float | int] = {
        "n": n,
        "loss": metrics.cross_entropy(
            predictions.logits, torch.from_numpy(labels)
        ).item(),
        "accuracy": correct / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "confidence": float(predictions.confidence.mean()),
        "calibration_error": calibration_error(bins_of(predictions)),
    }
    if predictions.has_all_reasons:
        values["unsure"] = float(predictions.is_unsure.mean())
    return values


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95% confidence interval of an accuracy, `correct` of `n` images.

    The usual p +- 1.96 sqrt(p (1 - p) / n) can exceed [0, 1] and is too narrow for a
    small n.

    Source: Wilson, Probable inference, the law of succession, and statistical inference
    (1927).
    """
    p, z = correct / n, NORMAL_QUANTILE
    divisor = 2 * (n + z**2)
    center = (2 * n * p + z**2) / divisor
    delta = z / divisor * math.sqrt(4 * n * p * (1 - p) + z**2)
    # These bounds are exactly 0 and 1, but rounding errors would change them.
    return center - delta if correct else 0.0, center + delta if correct < n else 1.0


def confusion_matrix(predictions: Predictions) -> Int[np.ndarray, "label predicted"]:
    """Return the number of images with each label and each predicted class."""
    counts = np.zeros((CLASSES, CLASSES), np.int64)
    np.add.at(counts, (predictions.source.known_labels, predictions.classes), 1)
    return counts


def per_image(predictions: Predictions) -> list[Row]:
    """Return the prediction for each image, without the ten probabilities."""
    records = predictions.records()
    for record in records:
        del record["probabilities"]
    return records


def per_class(predictions: Predictions) -> list[Row]:
    """Return precision, recall, F1 and the number of images of each class.

    A value without images is 0, as in scikit-learn.
    """
    counts = confusion_matrix(predictions)
    correct, predicted = counts.diagonal(), counts.sum(axis=0)
    n = np.bincount(predictions.source.known_labels, minlength=CLASSES)
    columns = {
        "class": np.arange(CLASSES),
        "precision": correct / np.maximum(predicted, 1),
        "recall": correct / np.maximum(n, 1),
        "f1": 2 * correct / np.maximum(predicted + n, 1),
        "support": n,
    }
    return to_rows({name: column.tolist() for name, column in columns.items()})


def confusion(predictions: Predictions) -> list[Row]:
    """Return the confusion matrix: a row per label, a column per predicted class."""
    return [
        {"label": label, **{f"predicted {k}": count for k, count in enumerate(counts)}}
        for label, counts in enumerate(confusion_matrix(predictions).tolist())
    ]


def calibration(predictions: Predictions) -> list[Row]:
    """Return the bins in which the confidence of predictions is compared."""
    return [asdict(each) for each in bins_of(predictions)]


def bins_of(predictions: Predictions) -> list[Bin]:
    """Compare the confidence of predictions with their accuracy; see `reliability`."""
    return reliability(predictions.confidence, predictions.is_correct)


def reliability(
    confidence: Float[np.ndarray, " n"], is_correct: Bool[np.ndarray, " n"]
) -> list[Bin]:
    """Compare confidence with accuracy in bins of equal width; empty bins are omitted.

    Source: Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks
    (2017), section 2.
    """
    numbers = np.ceil(confidence * CALIBRATION_BINS).clip(1, CALIBRATION_BINS)
    bins = [numbers == number for number in np.unique(numbers)]  # ascending
    return [
        Bin(
            count=int(inside.sum()),
            confidence=float(confidence[inside].mean(dtype=np.float64)),
            accuracy=float(is_correct[inside].mean()),
        )
        for inside in bins
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the weighted mean of the absolute difference of confidence and accuracy.

    Source: Guo et al. (2017), equation 3.
    """
    n = sum(b.count for b in bins)
    return float(sum(b.count / n * abs(b.accuracy - b.confidence) for b in bins))
