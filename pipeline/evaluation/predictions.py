"""Predictions of a network for a set of images, and the reasons why some are unsure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.base.csv_files import to_rows
from pipeline.base.text import probability_text, short_repr
from pipeline.core.metrics import predicted
from pipeline.datasets import DatasetSpec
from pipeline.images import ImageSet, PreprocessedImages
from pipeline.images.unsure import TEXTS, Reason, images_of
from pipeline.model import Detector, TrainedNetwork


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions: the output of a network for each image of a set."""

    preprocessed: PreprocessedImages
    spec: DatasetSpec  # the network's data set
    logits: Float[Tensor, "n 10"]
    reasons: Sequence[Reason | None]  # why each is unsure; "" if not; None if unknown
    missing_detector: str = ""  # why a reason is unknown; see `MissingDetector`

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all images."""
        first = [*map(int, self.classes[:10])]
        return short_repr(self, images=len(self), first_classes=first)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.logits)

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "n 10"]:
        """The probability of each class, in [0, 1]."""
        return np.asarray(self.logits.softmax(dim=1))

    @cached_property
    def classes(self) -> Int[np.ndarray, " n"]:
        """The predicted class of each image."""
        return predicted(self.logits)

    @cached_property
    def confidence(self) -> Float[np.ndarray, " n"]:
        """The probability of the predicted class of each image."""
        rows = np.arange(len(self))
        return np.asarray(self.probabilities[rows, self.classes])

    @cached_property
    def is_correct(self) -> Bool[np.ndarray, " n"]:
        """Whether the predicted class is the label; False without a label."""
        pairs = zip(self.source.labels, self.classes.tolist(), strict=True)
        return np.array([label == k for label, k in pairs], bool)

    @property
    def sure(self) -> list[bool | None]:
        """Whether each prediction is sure; None if this is unknown."""
        return [None if reason is None else not reason for reason in self.reasons]

    @property
    def is_unsure(self) -> Bool[np.ndarray, " n"]:
        """Which predictions are known to be unsure."""
        return np.array([*map(bool, self.reasons)], bool)

    @property
    def has_all_reasons(self) -> bool:
        """Whether the reason is known for every prediction."""
        return None not in self.reasons

    @property
    def source(self) -> ImageSet:
        """The images, with their names and labels."""
        return self.preprocessed.source

    @property
    def label_names(self) -> Sequence[str]:
        """The name of each class of the images."""
        return self.source.class_names or self.spec.class_names

    @property
    def has_other_classes(self) -> bool:
        """Whether the classes of the images are not the classes of the network.

        A prediction is then correct if the number of its class is the label.
        """
        return [*self.label_names] != [*self.spec.class_names]

    def doubt(self, row: int) -> str:
        """Return in words why a prediction is unsure or unknown; "" if it is not."""
        reason = self.reasons[row]
        if reason is None:
            return self.missing_detector
        ranking = self.logits[row].argsort(descending=True, stable=True)
        first, second = ranking[:2].tolist()
        names = self.spec.class_names
        return TEXTS[reason].format(
            noun=self.spec.noun,
            images=images_of(names[first]),
            name=names[second],
            percent=probability_text(float(self.probabilities[row, second])),
        )

    def records(self) -> list[dict[str, Any]]:
        """Return the content of predictions.json and predictions.csv."""
        columns = {
            "file": self.source.files,
            "label": self.source.labels,
            "predicted": self.classes.tolist(),
            "confidence": self.confidence.astype(float).round(6).tolist(),
            "sure": self.sure,
            "reason": self.reasons,
            "text": [self.doubt(row) for row in range(len(self))],
            "probabilities": self.probabilities.astype(float).round(6).tolist(),
        }
        return to_rows(columns)


def classify(
    preprocessed: PreprocessedImages,
    trained: TrainedNetwork,
    detector: Detector,
    *,
    alone: bool = False,
) -> Predictions:
    """Classify images, and determine which predictions are unsure.

    If the detector is missing, only the reasons that preprocessing found are known.

    Args:
        preprocessed: The images.
        trained: The network.
        detector: The detector of the network; see `load_detector`.
        alone: Whether to classify each image alone, so that the last digits of its
            probabilities do not depend on the other images. For many images, this takes
            more time.
    """
    images = preprocessed.images
    parts = [images[row : row + 1] for row in range(len(images))] if alone else [images]
    logits = torch.cat([trained.network.logits(part) for part in parts])
    pairs = zip(preprocessed.findings, detector.reasons(images, logits), strict=True)
    reasons: list[Reason | None] = [finding or reason for finding, reason in pairs]
    return Predictions(preprocessed, trained.spec, logits, reasons, detector.missing)
