"""How good the answers are: plain functions of logits and labels."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the labels, in nats.

    Args:
        logits: Log-probabilities up to a constant per row, any real value.
        labels: Class of each row, in [0, classes).

    Returns:
        A scalar >= 0; ln(10) = 2.3026 when ten classes are equally likely.

    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 6.2.2.3.
    """
    log_probabilities = logits.log_softmax(dim=1)
    return -log_probabilities.gather(1, labels[:, None]).mean()


def accuracy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Share of rows whose largest logit is that of the label, in [0, 1]."""
    return (logits.argmax(dim=1) == labels).float().mean()


def confusion_matrix(
    answers: Int[Tensor, " n"], labels: Int[Tensor, " n"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """Count the pictures of each label (row) that got each answer (column)."""
    pairs = (labels * classes + answers).numpy()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def tensor_statistics(
    tensors: Mapping[str, Float[np.ndarray, "..."]],
) -> dict[str, float]:
    """Return Euclidean norm, extremes and share of zeros of each tensor, by name."""
    return {
        f"weights/{name}/{quantity}": float(value)
        for name, tensor in tensors.items()
        for quantity, value in (
            ("norm", np.linalg.norm(tensor)),
            ("min", tensor.min()),
            ("max", tensor.max()),
            ("zeros", np.mean(tensor == 0)),
        )
    }
