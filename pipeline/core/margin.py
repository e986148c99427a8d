"""The margin of a prediction, and the smallest one of a prediction that is not close.

The smallest margin is stored with the network when it is trained.
"""

import numpy as np
from jaxtyping import Float

CLOSE_QUANTILE = 0.06  # of the training images, the fraction that is close
LOWEST_MARGIN = 0.2  # of the threshold, for networks with a low accuracy


def margin(probabilities: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """Return the difference between the two highest probabilities, in [0, 1]."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second)


def smallest_margin(probabilities: Float[np.ndarray, "n 10"]) -> float:
    """Return the margin below which a prediction is close, from training images."""
    quantile = float(np.quantile(margin(probabilities), CLOSE_QUANTILE))
    return max(LOWEST_MARGIN, round(quantile, 4))
