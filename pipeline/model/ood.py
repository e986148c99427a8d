"""Out-of-distribution detection, which checks the predictions of a network.

`pipeline.images.unsure` describes all rules; this module defines the last two.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.core.margin import margin
from pipeline.core.metrics import predicted
from pipeline.datasets import ClassComponents


@dataclass(frozen=True, eq=False)
class OodDetector:
    """The components of the training images, and a threshold of the network."""

    missing: ClassVar = ""  # see `MissingDetector`
    components: ClassComponents
    min_margin: float  # a prediction with a smaller margin is unsure

    def reasons(
        self, images: UInt8[np.ndarray, "n 28 28"], logits: Float[Tensor, "n 10"]
    ) -> list[Literal["", "unfamiliar", "small margin"]]:
        """Return why the prediction for each image is unsure; "" if it is not.

        Args:
            images: The input of the network.
            logits: The output of the network.
        """
        probabilities = logits.softmax(dim=1).numpy()
        rules = {  # the first rule that applies is the reason
            "unfamiliar": self.components.is_unfamiliar(images, predicted(logits)),
            "small margin": margin(probabilities) < self.min_margin,
        }
        reasons: list[Literal["", "unfamiliar", "small margin"]]
        reasons = np.select([*rules.values()], [*rules], default="").tolist()
        return reasons


@dataclass(frozen=True)
class MissingDetector:
    """Replaces a detector that cannot be loaded, and determines no reasons."""

    missing: str  # why the detector is missing, with the remedy

    def reasons(
        self, images: UInt8[np.ndarray, "n 28 28"], logits: Float[Tensor, "n 10"]
    ) -> list[None]:
        """Return None for each image, because no reason can be determined."""
        return [None] * len(images)


Detector = OodDetector | MissingDetector
