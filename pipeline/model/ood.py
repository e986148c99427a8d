"""Out-of-distribution detection: what judges the predictions of a network.

`pipeline.unsure` has the rules and their thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from pipeline import unsure
from pipeline.core.network import Network
from pipeline.datasets import ClassComponents, DatasetSpec
from pipeline.unsure import Finding

MAX_SAMPLES = 20_000  # 60,000 images take three times as long and change nothing


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


def smallest_margin(network: Network, images: UInt8[np.ndarray, "n 28 28"]) -> float:
    """Return the margin below which a prediction is close, from the training images."""
    sample = images[:: max(1, len(images) // MAX_SAMPLES)]
    margins = unsure.margin(network.predict(sample).numpy())
    quantile = round(float(np.quantile(margins, unsure.CLOSE_QUANTILE)), 4)
    return max(unsure.LOWEST_MARGIN, quantile)
