"""A linear probe: the line y = m·x + c that predicts a neuron's sum from one pixel.

It shows gradient descent with the smallest model there is, of two parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

STEPS = (0, 10, 100)  # of gradient descent, after which the line is shown


@dataclass(frozen=True)
class FittedLine:
    """A line y = m·x + c and how well it fits."""

    m: float
    c: float
    rmse: float  # root of the mean squared error
    explained: float  # explained fraction of the variance of y (R²)


def fit_line(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], *, steps: int | None
) -> FittedLine:
    """Fit a line by gradient descent from m = c = 0, or by least squares.

    Args:
        x: The inputs in [0, 1], for which a learning rate of 0.5 never overshoots.
        y: The targets.
        steps: The number of steps on half the mean squared error; None for the minimum.
    """
    m = c = 0.0
    if steps is None:
        m = float(np.cov(x, y, ddof=0)[0, 1] / (x.var() or 1.0))
        c = float(y.mean() - m * x.mean())
    for _ in range(steps or 0):
        error = m * x + c - y
        m, c = m - 0.5 * float((error * x).mean()), c - 0.5 * float(error.mean())
    mse = float(((m * x + c - y) ** 2).mean())
    return FittedLine(m, c, mse**0.5, 1 - mse / (float(y.var()) or 1.0))


@dataclass(frozen=True)
class LinearProbe:
    """Lines that predict a neuron's sum from the pixel that correlates most with it."""

    neuron: int  # from 0
    pixel: int  # from 0
    lines: dict[str, FittedLine]  # by the progress of gradient descent

    @property
    def best(self) -> FittedLine:
        """The line of least squares, where gradient descent ends."""
        return self.lines["in the end"]
