"""The answer of a network to a single image, and whether it is reliable.

`results` evaluates a whole test set.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import datasets
from pipeline.datasets import DatasetSpec
from pipeline.evaluation.inputs import InputImage
from pipeline.model import TrainedModel, Verdict


@dataclass(frozen=True)
class Prediction:
    """The answer of a network to an image."""

    input_image: InputImage
    probabilities: list[float]  # of each class, in [0, 1]
    verdict: Verdict | None  # None without an out-of-distribution detector
    spec: DatasetSpec  # of the network's data set

    @property
    def ranking(self) -> list[int]:
        """The classes, the most probable first."""
        order = np.argsort(np.negative(self.probabilities), kind="stable")
        return [int(label) for label in order]

    @property
    def reason(self) -> str:
        """Why the answer is not sure; empty if it is."""
        if self.verdict is None:
            return "the out-of-distribution detector is missing"
        return self.verdict.reason

    def record(self) -> dict[str, Any]:
        """Return the entry of predictions.json."""
        return {
            "file": self.input_image.name,
            "digit": self.ranking[0],
            "probabilities": [round(p, 6) for p in self.probabilities],
            "sure": self.verdict.sure if self.verdict else None,
            "reason": self.reason,
            "label": self.input_image.label,
        }

    @property
    def is_correct(self) -> bool | None:
        """Whether the most probable class is the label; None without a label."""
        label = self.input_image.label
        return None if label is None else label == self.ranking[0]

    def summary(self) -> list[str]:
        """Return a sentence with the answer and why it is not sure; then the label."""
        names, answer = self.spec.class_names, self.ranking[0]
        if self.input_image.prepared.is_blank:
            return ["The image is blank: there is nothing to classify."]
        doubt = ""
        if self.verdict and self.verdict.reason:
            doubt = f", but {self.verdict.reason}"
        probability = f"{self.probabilities[answer]:.1%}"
        lines = [f"The network says {names[answer]} ({probability}){doubt}."]
        if self.is_correct:
            lines.append("Correct.")
        elif (label := self.input_image.label) is not None:
            origin = " in the file name" if self.input_image.label_from_name else ""
            lines.append(f"Wrong: the label{origin} is {names[label]}.")
        return lines


def classify(input_image: InputImage, trained: TrainedModel) -> Prediction:
    """Classify an image and, with a detector, judge whether the answer is reliable."""
    spec, prepared = datasets.spec(trained.dataset), input_image.prepared
    images = prepared.image[None]
    probabilities = trained.network.predict(images).numpy()
    verdict = None
    if trained.detector:
        counts, drawn = np.array([prepared.digit_count]), np.array([prepared.drawn])
        arrays = images, probabilities, counts, drawn
        (verdict,) = trained.detector.judge(*arrays, spec=spec)
    return Prediction(input_image, probabilities[0].tolist(), verdict, spec)
