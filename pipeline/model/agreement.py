"""The agreement of predicted classes with labels, or with other predictions.

`core.metrics.accuracy`, which training uses, needs the logits of PyTorch. A network in
integers has none, and two networks are compared by their classes.
"""

import numpy as np
from jaxtyping import Integer


def agreement(
    classes: Integer[np.ndarray, " n"], others: Integer[np.ndarray, " n"]
) -> float:
    """Return the fraction of images with equal classes: with labels, the accuracy."""
    return float((classes == others).mean())
