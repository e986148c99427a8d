"""How well a network reads a set of pictures, and how well it knows that."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor

from pipeline import CLASSES, plots
from pipeline.evaluation.test_sets import TestSet
from pipeline.model import metrics
from pipeline.model.network import Network
from pipeline.model.ood import OodDetector


@dataclass(frozen=True)
class EvaluationResult:
    """What a network made of a set."""

    test: TestSet
    probabilities: Tensor  # (n, CLASSES)
    answers: Tensor  # (n,)
    labels: Tensor  # (n,)
    sure: list[bool]
    numbers: dict[str, float | int]

    @classmethod
    def of(
        cls, test: TestSet, network: Network, familiar: OodDetector
    ) -> "EvaluationResult":
        """Score a network on a set."""
        labels = torch.from_numpy(test.pictures.labels).long()
        logits = network.logits(test.pictures.images)
        probabilities = logits.softmax(dim=1)
        answers = logits.argmax(dim=1)
        verdicts = familiar.judge(
            test.pictures.images, probabilities.numpy(), test.counts, test.drawn
        )
        sure = [verdict.sure for verdict in verdicts]
        n, right = len(labels), int((answers == labels).sum())
        low, high = metrics.wilson_interval(right, n)
        bins = metrics.reliability(probabilities, labels)
        numbers = {
            "n": n,
            "loss": metrics.cross_entropy(logits, labels).item(),
            "accuracy": right / n,
            "accuracy_low": low,
            "accuracy_high": high,
            "confidence": probabilities.max(dim=1).values.mean().item(),
            "calibration_error": metrics.expected_calibration_error(bins),
            "unsure": sure.count(False) / n,
        }
        return cls(test, probabilities, answers, labels, sure, numbers)

    def classes(self) -> list[dict[str, Any]]:
        """Return precision, recall and F1 of each class, and how often it occurs."""
        columns = precision_recall_fscore_support(
            self.labels.numpy(),
            self.answers.numpy(),
            labels=[*range(CLASSES)],
            zero_division=0,
        )
        names = ("precision", "recall", "f1", "n")
        return [
            {"set": self.test.name, "class": digit}
            | {
                name: column[digit].item()
                for name, column in zip(names, columns, strict=True)
            }
            for digit in range(CLASSES)
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Return what was answered to each picture."""
        confidence = self.probabilities.max(dim=1).values.tolist()
        answers, labels = self.answers.tolist(), self.labels.tolist()
        return [
            {
                "set": self.test.name,
                "file": file,
                "label": labels[row],
                "answer": answers[row],
                "confidence": round(confidence[row], 4),
                "sure": self.sure[row],
            }
            for row, file in enumerate(self.test.files)
        ]

    def confusion(self) -> list[dict[str, Any]]:
        """Return how often each label got each answer, a row a label."""
        counts = metrics.confusion_matrix(self.answers, self.labels, CLASSES)
        return [
            {"set": self.test.name, "label": label}
            | {f"answer {answer}": count for answer, count in enumerate(row)}
            for label, row in enumerate(counts.tolist())
        ]

    def calibration(self) -> list[dict[str, Any]]:
        """Return what was said with about the same confidence, and its share right."""
        bins = metrics.reliability(self.probabilities, self.labels)
        return [{"set": self.test.name, **vars(found)} for found in bins]

    def picture(self) -> Image:
        """Draw the confusion matrix and the reliability diagram."""
        counts = metrics.confusion_matrix(self.answers, self.labels, CLASSES)
        found = metrics.reliability(self.probabilities, self.labels)
        bins = np.array([[b.count, b.confidence, b.accuracy] for b in found])
        n, accuracy = self.numbers["n"], self.numbers["accuracy"]
        title = f"{self.test.name}: {accuracy:.2%} of {n:,} pictures read rightly"
        return plots.evaluation_scores(counts, bins, title=title)
