"""Out-of-distribution detection: what judges the predictions of a network.

`pipeline.unsure` has the rules and their thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from pipeline import unsure
from pipeline.datasets import ClassComponents, DatasetSpec
from pipeline.unsure import Finding


@dataclass(frozen=True)
class OodDetector:
    """The components of the training images, and the threshold of a network."""

    components: ClassComponents
    min_margin: float  # smallest margin of a prediction that is not close

    def doubts(
        self,
        images: UInt8[np.ndarray, "n 28 28"],
        probabilities: Float[np.ndarray, "n 10"],
        findings: Sequence[Finding],
        *,
        spec: DatasetSpec,
    ) -> list[str]:
        """Return why the prediction for each image is unsure; "" if it is sure.

        Args:
            images: The input of the network.
            probabilities: Its output.
            findings: What preprocessing found in the images.
            spec: The data set of the network; the reasons use its class names.
        """
        known = self.components
        errors = known.reconstruction_error(images, probabilities.argmax(axis=1))
        return unsure.reasons(
            findings,
            is_unlike=errors > known.max_error,
            probabilities=probabilities,
            min_margin=self.min_margin,
            class_names=spec.class_names,
            noun=spec.noun,
        )
