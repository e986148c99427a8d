"""Out-of-distribution detection, which judges the predictions of a network.

`pipeline.base.unsure` contains the rules and their thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.base import unsure
from pipeline.base.unsure import Finding, Reason
from pipeline.datasets import ClassComponents


@dataclass(frozen=True)
class OodDetector:
    """The components of the training images, and a threshold of the network."""

    components: ClassComponents
    min_margin: float  # smallest margin of a prediction that is not close

    def reasons(
        self,
        images: UInt8[np.ndarray, "n 28 28"],
        logits: Float[Tensor, "n 10"],
        findings: Sequence[Finding],
    ) -> list[Reason]:
        """Return why the prediction for each image is unsure; "" if it is sure.

        Args:
            images: The input of the network.
            logits: Its output.
            findings: What preprocessing found in the images.
        """
        known, classes = self.components, logits.argmax(dim=1).numpy()
        return unsure.reasons(
            findings,
            is_unlike=known.is_unlike(images, classes),
            probabilities=logits.softmax(dim=1).numpy(),
            min_margin=self.min_margin,
        )
