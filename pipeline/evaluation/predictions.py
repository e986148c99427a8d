"""The answer of a network to a single image, and whether it is reliable.

`results` evaluates a whole test set.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import datasets
from pipeline.datasets import DatasetSpec
from pipeline.evaluation.inputs import InputImage
from pipeline.model import TrainedModel


@dataclass(frozen=True)
class Prediction:
    """The answer of a network to an image."""

    input_image: InputImage
    probabilities: list[float]  # of each class, in [0, 1]
    doubt: str | None  # why it is not sure; "" if it is; None without a detector
    spec: DatasetSpec  # of the network's data set

    @property
    def answer(self) -> int:
        """The most probable class."""
        return int(np.argmax(self.probabilities))

    @property
    def is_correct(self) -> bool | None:
        """Whether the most probable class is the label; None without a label."""
        label = self.input_image.label
        return None if label is None else label == self.answer

    def record(self) -> dict[str, Any]:
        """Return the entry of predictions.json."""
        missing = "the out-of-distribution detector is missing"
        return {
            "file": self.input_image.name,
            "digit": self.answer,
            "probabilities": [round(p, 6) for p in self.probabilities],
            "sure": None if self.doubt is None else not self.doubt,
            "reason": missing if self.doubt is None else self.doubt,
            "label": self.input_image.label,
        }

    def summary(self) -> str:
        """Return a sentence with the answer and why it is not sure; then the label."""
        if self.input_image.prepared.is_blank:
            return "The image is blank: there is nothing to classify."
        doubt = f", but {self.doubt}" if self.doubt else ""
        names, probability = self.spec.class_names, max(self.probabilities)
        text = f"The network says {names[self.answer]} ({probability:.1%}){doubt}."
        if self.is_correct:
            text += " Correct."
        elif (label := self.input_image.label) is not None:
            text += f" Wrong: the label is {names[label]}."
        return text


def classify(input_image: InputImage, trained: TrainedModel) -> Prediction:
    """Classify an image and, with a detector, judge whether the answer is reliable."""
    spec, prepared = datasets.spec(trained.dataset), input_image.prepared
    images, doubt = prepared.image[None], None
    probabilities = trained.network.predict(images).numpy()
    if trained.detector:
        shapes = np.array([prepared.digit_count]), np.array([prepared.drawn])
        (doubt,) = trained.detector.doubts(images, probabilities, *shapes, spec=spec)
    return Prediction(input_image, probabilities[0].tolist(), doubt, spec)
