"""Metrics of a training run, as functions of logits or probabilities, and labels.

Losses are in nats, accuracies in [0, 1]. `evaluation` has the statistics of a test set.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from pipeline.core.network import Network

CLOSE_QUANTILE = 0.06  # fraction of training images with a margin below the threshold
LOWEST_THRESHOLD = 0.2  # of the margin, for networks with low accuracy
MAX_SAMPLES = 20_000  # 60,000 images take three times as long and change nothing


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
    # PyTorch computes softmax over rows of ten numbers slowly, over columns fast.
    log_probabilities = logits.T.contiguous().log_softmax(dim=0)  # (classes, batch)
    return -log_probabilities.gather(0, labels[None]).mean()


def accuracy(
    logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the fraction of rows whose largest logit is that of the label."""
    return (logits.max(dim=1).indices == labels).double().mean()


def margin(probabilities: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """Return the difference between the two highest probabilities, in [0, 1]."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second)


def smallest_margin(network: Network, images: UInt8[np.ndarray, "n 28 28"]) -> float:
    """Return the margin below which an answer is close, from the training images."""
    sample = images[:: max(1, len(images) // MAX_SAMPLES)]
    margins = margin(network.predict(sample).numpy())
    return max(LOWEST_THRESHOLD, round(float(np.quantile(margins, CLOSE_QUANTILE)), 4))
