"""Metrics of a training run, as functions of logits and labels.

Losses are in nats, accuracies in [0, 1]. `evaluation` has the statistics of a test set.
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
    log_probabilities = logits.log_softmax(dim=1)  # (batch, classes)
    return -log_probabilities.gather(1, labels[:, None]).mean()


def accuracy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the fraction of rows whose largest logit is that of the label."""
    return (logits.argmax(dim=1) == labels).double().mean()
