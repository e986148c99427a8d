"""The margin of a prediction, and `min_margin`, below which a prediction is unsure.

The threshold is computed after training and stored with the network.
"""

import numpy as np
from jaxtyping import Float

from pipeline.core.dataset import LabeledImages
from pipeline.core.network import Network

MIN_MARGIN_QUANTILE = 0.03  # fraction of training images whose margin is too small
LOWEST_MIN_MARGIN = 0.2  # lower bound of the threshold, for networks with low accuracy


def margin(probabilities: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """Return the difference between the two highest probabilities, in [0, 1]."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second)


def min_margin(network: Network, train: LabeledImages) -> float:
    """Return the margin below which a prediction is unsure, from training images."""
    probabilities = network.logits(train.sample().images).softmax(dim=1)
    margins = margin(np.asarray(probabilities)).astype(np.float64)
    # Rounded, because the last digits depend on the version of NumPy.
    quantile = float(np.quantile(margins, MIN_MARGIN_QUANTILE))
    return max(LOWEST_MIN_MARGIN, round(quantile, 4))
