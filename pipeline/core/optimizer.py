"""The optimizer, Adam, in tensor operations; tests compare it with PyTorch's.

A training run creates its optimizer with `new_optimizer`.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.core.hyperparameters import Hyperparameters

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults for Adam


class Adam:
    """Adam, as Keras computes it, for all parameters of a network at once.

    The parameters are one long vector, `Network.vector`, so a step takes six operations
    for any number of layers. All tensors of this class have the same shape, (p,).

    Source: Kingma and Ba, Adam: a method for stochastic optimization (2015), the
    variant at the end of section 2, which adds epsilon to the uncorrected root.
    """

    def __init__(self, parameters: Float[Tensor, " p"], *, lr: float) -> None:
        """Keep the vector that `step` updates; `lr` is the learning rate."""
        self.parameters = parameters
        self.lr = lr
        self.steps = 0
        self.mean = torch.zeros_like(parameters)  # moving average of gradients
        self.square = torch.zeros_like(parameters)  # moving average of their squares
        self.root = torch.zeros_like(parameters)  # buffer for the roots of `square`
        # Arrays that share the memory of `square` and `root`, and constants as tensors.
        # If each step made these conversions, a step would be slower.
        self.arrays = self.square.numpy(), self.root.numpy()
        self.beta_2, self.epsilon = parameters.new_tensor([BETA_2, EPSILON])

    @property
    def state(self) -> dict[str, Float[Tensor, " p"]]:
        """The tensors that a checkpoint saves and restores, besides `steps`."""
        return {"mean": self.mean, "square": self.square}

    def step(self, g: Float[Tensor, " p"]) -> None:
        """Update all parameters with the gradient of a batch."""
        self.steps += 1
        # mean <- beta_1 mean + (1 - beta_1) g
        self.mean.lerp_(g, 1 - BETA_1)
        # square <- beta_2 square + (1 - beta_2) g²
        self.square.mul_(self.beta_2).addcmul_(g, g, value=1 - BETA_2)
        # Both averages start at 0. The correction removes this bias from their ratio.
        correction = math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        # NumPy rounds roots correctly, so they are the same on every processor.
        square, root = self.arrays
        np.sqrt(square, out=root)
        self.root.add_(self.epsilon)
        # parameters <- parameters - lr correction mean / (sqrt(square) + epsilon)
        self.parameters.addcdiv_(self.mean, self.root, value=-self.lr * correction)


Optimizer = Adam  # the return type of `new_optimizer`


def new_optimizer(
    parameters: Float[Tensor, " p"], hyperparameters: Hyperparameters
) -> Optimizer:
    """Return the optimizer of a training run, before its first step."""
    return Adam(parameters, lr=hyperparameters.lr)
