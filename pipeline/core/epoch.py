"""The network after an epoch, as arrays.

This module does not import PyTorch, so that the recording process starts a second
earlier.
"""

from dataclasses import dataclass, field
from time import time_ns

import numpy as np
from jaxtyping import Float

Snapshot = dict[str, Float[np.ndarray, "..."]]  # the tensors of a network, by name


def now() -> int:
    """Return the time in milliseconds since 1970, as MLflow stores it."""
    return time_ns() // 1_000_000


@dataclass(frozen=True, eq=False)
class Epoch:
    """The network at the end of an epoch, and its scores."""

    tensors: Snapshot = field(repr=False)
    number: int  # 0 is before training, without metrics
    metrics: dict[str, float]  # see `loop.fit`
    seconds: float  # duration, including validation
    time: int  # the time of its end
