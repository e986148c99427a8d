"""Metrics of a training run: losses in nats, accuracies in [0, 1].

`evaluation` computes statistics of test sets.
"""

import numpy as np
from jaxtyping import Float, Int, Integer
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood of the labels, in nats.

    Args:
        logits: Any real values: log-probabilities up to a constant per row.
        labels: The class of each row, in [0, classes).

    Returns:
        A scalar >= 0; ln(10) = 2.3026 if ten classes are equally probable.

    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.2.2.3.
    """
    # PyTorch computes a softmax over rows of ten numbers slowly, and over columns fast.
    log_probabilities = logits.T.contiguous().log_softmax(dim=0)  # (classes, batch)
    return -log_probabilities.gather(0, labels[None]).mean()


def predicted(logits: Float[Tensor, "n classes"]) -> Int[np.ndarray, " n"]:
    """Return the class with the highest logit of each row; in a tie, the first."""
    return np.asarray(logits.max(dim=1).indices)


def agreement(
    classes: Integer[np.ndarray, " n"], others: Integer[np.ndarray, " n"]
) -> float:
    """Return the fraction of images with equal classes.

    If `others` are labels, this fraction is the accuracy.
    """
    return float((classes == others).mean())
