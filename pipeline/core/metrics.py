"""Metrics of a training run, as functions of logits and labels.

Losses are in nats, accuracies in [0, 1]. `evaluation` computes statistics of test sets.
"""

from jaxtyping import Float, Int
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


def accuracy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the fraction of rows whose largest logit belongs to the label."""
    return (logits.max(dim=1).indices == labels).double().mean()
