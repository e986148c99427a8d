"""The results of a network on a test set: metrics, and the rows of the CSV files.

`evaluate` writes, records and prints them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from pipeline import CLASSES, datasets, plots
from pipeline.datasets import DatasetSpec
from pipeline.evaluation import statistics
from pipeline.evaluation.test_sets import TestSet
from pipeline.files import printable
from pipeline.model import TrainedModel, metrics

DESCRIBED = 3  # classes, and confusions, that `describe` names

MAX_MISTAKES = 24  # in the plot
MAX_CAPTION = 16  # characters; more would overlap


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

    def per_image(self) -> list[dict[str, Any]]:
        """Return the prediction for each image."""
        names = ("file", "label", "answer", "confidence", "sure")
        confidence = [round(value, 4) for value in self.confidence]
        files, labels = self.test_set.files, self.test_set.data.labels.tolist()
        rows = zip(files, labels, self.predictions, confidence, self.sure, strict=True)
        return self._rows(dict(zip(names, row, strict=True)) for row in rows)

    def per_class(self) -> list[dict[str, Any]]:
        """Return precision, recall, F1 and the number of images of each class."""
        from sklearn.metrics import precision_recall_fscore_support

        columns = precision_recall_fscore_support(
            self.test_set.data.labels,
            self.predictions,
            labels=[*range(CLASSES)],
            zero_division=0,
        )
        names = ("precision", "recall", "f1", "n")
        return self._rows(
            {"class": label}
            | {name: c[label].item() for name, c in zip(names, columns, strict=True)}
            for label in range(CLASSES)
        )

    def confusion(self) -> list[dict[str, Any]]:
        """Return the confusion matrix: a row per label, a column per prediction."""
        return self._rows(
            {"label": label}
            | {f"answer {answer}": count for answer, count in enumerate(counts)}
            for label, counts in enumerate(self._confusion_matrix().tolist())
        )

    def calibration(self) -> list[dict[str, Any]]:
        """Return the confidence and the accuracy of each bin of confidence."""
        return self._rows(map(vars, self.bins))

    def describe(self) -> list[str]:
        """Return the number of correct answers, the worst classes and confusions.

        The worst classes are those with the lowest accuracy.
        """
        matrix = self._confusion_matrix()
        counts, correct = matrix.sum(axis=1), matrix.diagonal()
        numbers = f"{correct.sum():,} of {counts.sum():,} images"
        lines = [f"{self.test_set.name}: {numbers} are classified correctly"]
        if correct.sum() == counts.sum():
            return lines
        labels, answers = self.test_set.class_names, self.spec.class_names
        accuracy = correct / np.maximum(counts, 1)
        worst = [
            f"{labels[k]} ({accuracy[k]:.1%} of {counts[k]:,})"
            for k in np.argsort(accuracy, kind="stable")
            if correct[k] < counts[k]
        ]
        errors = matrix - np.diag(correct)
        pairs = [divmod(int(i), CLASSES) for i in np.argsort(-errors, None, "stable")]
        confusions = [
            f"{labels[label]} as {answers[answer]} ({errors[label, answer]:,})"
            for label, answer in pairs
            if errors[label, answer]
        ]
        return [
            *lines,
            f"worst classes: {', '.join(worst[:DESCRIBED])}",
            f"most frequent confusions: {', '.join(confusions[:DESCRIBED])}",
        ]

    def mistakes(self) -> dict[str, UInt8[np.ndarray, "28 28"]]:
        """Return the most confident wrong predictions, by their captions."""
        labels = self.test_set.data.labels
        rows = np.flatnonzero(labels != self.predictions)
        order = np.argsort(-np.array(self.confidence)[rows], kind="stable")
        images = {}
        for row in rows[order][:MAX_MISTAKES]:
            answer = self.spec.class_names[self.predictions[row]]
            label = self.test_set.class_names[labels[row]]
            file = printable(self.test_set.files[row])
            file = file.replace(f"{self.test_set.name} ", "image ")[-MAX_CAPTION:]
            caption = f"{answer}: {self.confidence[row]:.1%}\nlabel: {label}\n{file}"
            images[caption] = self.test_set.data.images[row]
        return images

    def plot_mistakes(self) -> Image.Image:
        """Plot the most confident wrong predictions."""
        count = int((self.test_set.data.labels != self.predictions).sum())
        title = f"{self.test_set.name}: {count:,} images are misclassified"
        if count > MAX_MISTAKES:
            title += "; these are the most confident mistakes"
        return plots.image_grid(self.mistakes(), title=title, columns=6, side=112)

    def plot(self) -> Image.Image:
        """Plot the confusion matrix and the reliability diagram."""
        return plots.evaluation_scores(
            self._confusion_matrix(),
            np.array([[b.count, b.confidence, b.accuracy] for b in self.bins]),
            label_names=self.test_set.class_names,
            answer_names=self.spec.class_names,
            title=f"{self.test_set.name}: {self.metrics['accuracy']:.2%} of "
            f"{len(self.predictions):,} images classified correctly",
        )

    def _confusion_matrix(self) -> np.ndarray:
        from sklearn.metrics import confusion_matrix

        labels, predictions = self.test_set.data.labels, self.predictions
        return np.asarray(confusion_matrix(labels, predictions, labels=range(CLASSES)))

    def _rows(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{"set": self.test_set.name, **row} for row in rows]


def evaluate_network(test_set: TestSet, trained: TrainedModel) -> EvaluationResult:
    """Classify a test set.

    The metrics are n, loss (in nats), accuracy with its 95 % interval, mean confidence,
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
        verdicts = trained.detector.judge(
            images, probabilities.numpy(), *shapes, spec=spec
        )
        sure = [verdict.sure for verdict in verdicts]
        values["unsure"] = sure.count(False) / n
    answers = predictions.tolist(), confidence.tolist()
    return EvaluationResult(test_set, spec, *answers, sure, bins, values)
