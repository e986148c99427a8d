"""The agreement of predicted classes with labels, or with other predictions.

`core.metrics.accuracy`, which training uses, needs PyTorch's logits. A network in
integers has no such logits, and two networks are compared by their predicted classes.
"""

import numpy as np
from jaxtyping import Integer


def agreement(
    classes: Integer[np.ndarray, " n"], others: Integer[np.ndarray, " n"]
) -> float:
    """Return the fraction of images with equal classes.

    If `others` are labels, this fraction is the accuracy.
    """
    return float((classes == others).mean())
