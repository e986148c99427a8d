"""The results of a network on a test set: metrics, and the rows of the CSV files.

`evaluate` writes, records and prints them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline import CLASSES, plots
from pipeline.evaluation.test_sets import TestSet
from pipeline.files import printable
from pipeline.model import Network, OodDetector, metrics


@dataclass(frozen=True)
class EvaluationResult:
    """The predictions of a network for a test set, and their metrics."""

    test_set: TestSet
    probabilities: Tensor  # (n, CLASSES)
    predictions: Tensor  # (n,)
    labels: Tensor  # (n,)
    sure: list[bool]  # whether each prediction can be relied on
    metrics: dict[str, float | int]  # n is an integer

    def per_image(self) -> list[dict[str, Any]]:
        """Return the prediction for each image."""
        confidence = self.probabilities.max(dim=1).values.tolist()
        predictions, labels = self.predictions.tolist(), self.labels.tolist()
        return [
            {
                "set": self.test_set.name,
                "file": file,
                "label": labels[row],
                "answer": predictions[row],
                "confidence": round(confidence[row], 4),
                "sure": self.sure[row],
            }
            for row, file in enumerate(self.test_set.files)
        ]

    def per_class(self) -> list[dict[str, Any]]:
        """Return precision, recall, F1 and the number of images of each class."""
        from sklearn.metrics import precision_recall_fscore_support

        columns = precision_recall_fscore_support(
            self.labels.numpy(),
            self.predictions.numpy(),
            labels=[*range(CLASSES)],
            zero_division=0,
        )
        names = ("precision", "recall", "f1", "n")
        return [
            {"set": self.test_set.name, "class": digit}
            | {name: c[digit].item() for name, c in zip(names, columns, strict=True)}
            for digit in range(CLASSES)
        ]

    def confusion(self) -> list[dict[str, Any]]:
        """Return the confusion matrix: a row per label, a column per prediction."""
        return [
            {"set": self.test_set.name, "label": label}
            | {f"answer {answer}": count for answer, count in enumerate(counts)}
            for label, counts in enumerate(self._confusion_matrix().tolist())
        ]

    def calibration(self) -> list[dict[str, Any]]:
        """Return the confidence and the accuracy of each bin of confidence."""
        bins = metrics.reliability(self.probabilities, self.labels)
        return [{"set": self.test_set.name, **vars(each)} for each in bins]

    def mistakes(self, limit: int) -> list[dict[str, Any]]:
        """Return the most confident wrong predictions, each with its image."""
        rows = [*enumerate(self.per_image())]
        wrong = [(i, row) for i, row in rows if row["label"] != row["answer"]]
        wrong.sort(key=lambda entry: -entry[1]["confidence"])
        images = self.test_set.data.images
        return [
            {"picture": Image.fromarray(images[i]).resize((84, 84), 0)}  # a stored name
            | {**row, "file": printable(row["file"])}
            for i, row in wrong[:limit]
        ]

    def plot(self) -> Image.Image:
        """Plot the confusion matrix and the reliability diagram."""
        bins = metrics.reliability(self.probabilities, self.labels)
        return plots.evaluation_scores(
            self._confusion_matrix(),
            np.array([[b.count, b.confidence, b.accuracy] for b in bins]),
            title=f"{self.test_set.name}: {self.metrics['accuracy']:.2%} of "
            f"{len(self.labels):,} images classified correctly",
        )

    def _confusion_matrix(self) -> np.ndarray:
        return metrics.confusion_matrix(self.predictions, self.labels, CLASSES)


def evaluate_network(
    test_set: TestSet, *, network: Network, detector: OodDetector
) -> EvaluationResult:
    """Classify a test set.

    The metrics are n, loss (in nats), accuracy with its 95 % interval, mean confidence,
    expected calibration error, and unsure, the fraction of unsure predictions.
    """
    images = test_set.data.images
    labels = torch.from_numpy(test_set.data.labels).long()
    logits = network.logits(images)
    probabilities, predictions = logits.softmax(dim=1), logits.argmax(dim=1)
    verdicts = detector.judge(
        images, probabilities.numpy(), test_set.digit_counts, test_set.drawn
    )
    sure = [verdict.sure for verdict in verdicts]
    n, correct = len(labels), int((predictions == labels).sum())
    low, high = metrics.wilson_interval(correct, n)
    bins = metrics.reliability(probabilities, labels)
    values: dict[str, float | int] = {
        "n": n,
        "loss": metrics.cross_entropy(logits, labels).item(),
        "accuracy": correct / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "confidence": probabilities.max(dim=1).values.mean().item(),
        "calibration_error": metrics.expected_calibration_error(bins),
        "unsure": sure.count(False) / n,
    }
    return EvaluationResult(test_set, probabilities, predictions, labels, sure, values)
