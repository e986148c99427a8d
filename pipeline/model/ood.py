"""Out-of-distribution detection: is an answer of the network reliable, and if not, why?

The network assigns a class to every image, even a digit to a shoe, usually with a high
probability. Two other numbers are therefore compared with thresholds from the training
images: the error when the image is reconstructed from the principal components of that
class (does it look like the class?), and the margin between the two most probable
classes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pipeline.core.metrics import margin
from pipeline.datasets import ClassComponents, DatasetSpec


@dataclass(frozen=True)
class OodDetector:
    """The components of the training images, and the threshold of a network."""

    components: ClassComponents
    min_margin: float  # smallest margin of an answer that is not close

    def doubts(
        self,
        images: UInt8[np.ndarray, "n 28 28"],
        probabilities: Float[np.ndarray, "n 10"],
        digit_counts: Int[np.ndarray, " n"],
        drawn: Bool[np.ndarray, " n"],
        *,
        spec: DatasetSpec,
    ) -> list[str]:
        """Return why the answer to each image is not sure; empty text if it is sure.

        Args:
            images: The input of the network.
            probabilities: Its output.
            digit_counts: The number of shapes that preprocessing found.
            drawn: Whether preprocessing found strokes of a pen. A shoe that is cut out
                and thinned can look like a digit.
            spec: The data set of the network; the reasons use its class names.
        """
        classes, known = probabilities.argmax(axis=1), self.components
        errors = known.reconstruction_error(images, classes)
        out_of_distribution = (errors > known.max_error) | ~drawn
        is_close = margin(probabilities) < self.min_margin
        ranking, names = np.argsort(-probabilities, kind="stable"), spec.class_names
        doubts = []
        for row, (first, second, *_) in enumerate(ranking.tolist()):
            doubt = ""
            if not images[row].any():
                doubt = "the image is blank"
            elif digit_counts[row] > 1:
                doubt = f"there is more than one {spec.noun}"
            elif out_of_distribution[row]:
                kind = images_of(names[first])
                doubt = f"the image does not look like the {kind} it was trained on"
            elif is_close[row]:
                doubt = f"{names[second]} is close ({probabilities[row, second]:.1%})"
            doubts.append(doubt)
        return doubts


def images_of(class_name: str) -> str:
    """Return a phrase for the images of a class: 7s, or sneaker images."""
    return f"{class_name}s" if len(class_name) == 1 else f"{class_name} images"
