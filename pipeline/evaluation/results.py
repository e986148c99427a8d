"""The results of a network on a test set: metrics, and the rows of the CSV files.

`output` writes them, and `text` describes them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from pipeline import datasets
from pipeline.core import CLASSES, metrics
from pipeline.datasets import DatasetSpec
from pipeline.evaluation import statistics
from pipeline.evaluation.test_sets import TestSet
from pipeline.model import TrainedModel


@dataclass(frozen=True)
class EvaluationResult:
    """The predictions of a network for a test set, and their metrics."""

    test_set: TestSet
    spec: DatasetSpec  # of the network's data set
    predictions: list[int]
    confidence: list[float]  # the probability of each prediction
    sure: list[bool] | list[None]  # whether each is reliable; None without a detector
    bins: list[statistics.ConfidenceBin]
    metrics: dict[str, float | int]  # n is an integer

    @property
    def confusion_matrix(self) -> Int[np.ndarray, "label answer"]:
        """The number of images with each label and each prediction."""
        labels, predictions = self.test_set.data.labels, self.predictions
        return np.asarray(confusion_matrix(labels, predictions, labels=range(CLASSES)))

    def per_image(self) -> list[dict[str, Any]]:
        """Return the prediction for each image."""
        columns = {
            "file": self.test_set.files,
            "label": self.test_set.data.labels.tolist(),
            "answer": self.predictions,
            "confidence": [round(value, 4) for value in self.confidence],
            "sure": self.sure,
        }
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def per_class(self) -> list[dict[str, Any]]:
        """Return precision, recall, F1 and the number of images of each class."""
        columns = precision_recall_fscore_support(
            self.test_set.data.labels,
            self.predictions,
            labels=[*range(CLASSES)],
            zero_division=0,
        )
        names = ("precision", "recall", "f1", "n")
        return [
            {"class": label}
            | {name: c[label].item() for name, c in zip(names, columns, strict=True)}
            for label in range(CLASSES)
        ]

    def confusion(self) -> list[dict[str, Any]]:
        """Return the confusion matrix: a row per label, a column per prediction."""
        return [
            {"label": label}
            | {f"answer {answer}": count for answer, count in enumerate(counts)}
            for label, counts in enumerate(self.confusion_matrix.tolist())
        ]

    def calibration(self) -> list[dict[str, Any]]:
        """Return the confidence and the accuracy of each bin of confidence."""
        return [vars(each) for each in self.bins]


def evaluate_network(test_set: TestSet, trained: TrainedModel) -> EvaluationResult:
    """Classify a test set.

    The metrics are n, loss (in nats), accuracy with its 95% interval, mean confidence,
    expected calibration error, and (with a detector) unsure, the fraction of unsure
    predictions.
    """
    spec, images = datasets.spec(trained.dataset), test_set.data.images
    labels = torch.from_numpy(test_set.data.labels).long()
    logits = trained.network.logits(images)
    probabilities = logits.softmax(dim=1)
    confidence, predictions = probabilities.max(dim=1)
    n, correct = len(labels), int((predictions == labels).sum())
    low, high = statistics.wilson_interval(correct, n)
    bins = statistics.reliability(probabilities, labels)
    values: dict[str, float | int] = {
        "n": n,
        "loss": metrics.cross_entropy(logits, labels).item(),
        "accuracy": correct / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "confidence": confidence.mean().item(),
        "calibration_error": statistics.expected_calibration_error(bins),
    }
    sure: list[bool] | list[None] = [None] * n
    if trained.detector:
        shapes = test_set.digit_counts, test_set.drawn
        doubts = trained.detector.doubts(
            images, probabilities.numpy(), *shapes, spec=spec
        )
        sure = [not doubt for doubt in doubts]
        values["unsure"] = sure.count(False) / n
    answers = predictions.tolist(), confidence.tolist()
    return EvaluationResult(test_set, spec, *answers, sure, bins, values)
