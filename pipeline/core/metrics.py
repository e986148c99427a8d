"""Metrics and the smallest margin of a training run.

They are functions of logits or probabilities, and labels. Losses are in nats,
accuracies in [0, 1]. `evaluation` has the statistics of a test set.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from pipeline.core.dataset import sample_rows
from pipeline.core.network import Network

CLOSE_QUANTILE = 0.06  # fraction of training images with a margin below the threshold
LOWEST_THRESHOLD = 0.2  # of the margin, for networks with low accuracy


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


def margin(probabilities: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """Return the difference between the two highest probabilities, in [0, 1]."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second)


def smallest_margin(network: Network, images: UInt8[np.ndarray, "n 28 28"]) -> float:
    """Return the margin below which a prediction is close, from the training images."""
    sample = images[sample_rows(len(images))]
    margins = margin(network.predict(sample).numpy())
    return max(LOWEST_THRESHOLD, round(float(np.quantile(margins, CLOSE_QUANTILE)), 4))
