"""The network of the exercise: 784 pixels -> hidden neurons, ReLU -> 10 classes.

Two dense layers, named `layer_1` and `layer_2`, start as Keras's do and show their
numbers as Keras does.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pipeline import CLASSES, PIXELS


def to_pixels(images: UInt8[np.ndarray, "n 28 28"]) -> Float[Tensor, "n 28 28"]:
    """Scale grey levels 0..255 to pixels 0..1: divided by 255, nothing more."""
    return torch.from_numpy(images) / 255


class Dense(nn.Linear):
    """A fully connected layer: each neuron sums weight * input over all inputs + bias.

    PyTorch stores the weights as (neurons, inputs), `get_weights` shows them as Keras
    does.
    """

    def __init__(
        self, inputs: int, neurons: int, *, generator: torch.Generator
    ) -> None:
        """Draw the weights uniformly from +-sqrt(6 / (inputs + neurons)); no bias yet.

        Source: Glorot and Bengio, Understanding the difficulty of training deep
        feedforward neural networks (2010), equation 16; the default of Keras's Dense.
        """
        super().__init__(inputs, neurons)
        nn.init.xavier_uniform_(self.weight, generator=generator)
        nn.init.zeros_(self.bias)

    def reset_parameters(self) -> None:
        """Leave PyTorch's own initialisation out: it would draw from no generator."""

    def get_weights(self) -> list[Float[np.ndarray, "..."]]:
        """Return kernel (inputs, neurons) and bias (neurons,), as Keras does."""
        kernel, bias = self.weight.detach().T, self.bias.detach()
        return [kernel.numpy().copy(), bias.numpy().copy()]


@dataclass(frozen=True)
class ParameterArray:
    """One of the four arrays of a network: its size, and why it has that size."""

    name: str
    keras_shape: tuple[int, ...]
    torch_shape: tuple[int, ...]
    size: int
    why: str


class Network(nn.Module):
    """Flatten 28x28 -> layer_1: Dense `hidden`, ReLU -> layer_2: Dense 10, softmax."""

    def __init__(self, *, hidden: int, generator: torch.Generator) -> None:
        """Build the network with initial weights drawn from the generator.

        Args:
            hidden: Neurons in layer_1. 20 give 784*20 + 20 + 20*10 + 10 = 15,910
                parameters.
            generator: Source of the initial weights.
        """
        super().__init__()
        self.layer_1 = Dense(PIXELS, hidden, generator=generator)
        self.layer_2 = Dense(hidden, CLASSES, generator=generator)

    def forward(self, pixels: Float[Tensor, "n 28 28"]) -> Float[Tensor, "n 10"]:
        """Compute the logits: what softmax turns into probabilities."""
        hidden = self.layer_1(pixels.flatten(start_dim=1)).relu()  # (n, hidden)
        logits: Tensor = self.layer_2(hidden)
        return logits

    @torch.no_grad()
    def logits(self, images: UInt8[np.ndarray, "n 28 28"]) -> Float[Tensor, "n 10"]:
        """Compute the logits for pictures of grey levels, without a trace for autograd.

        1,000 at a time, whose pixels fit the processor's cache: five times as fast as
        all 60,000 at once.
        """
        parts = [images[row : row + 1000] for row in range(0, len(images), 1000)]
        return torch.cat([self(to_pixels(part)) for part in parts])

    def predict(self, images: UInt8[np.ndarray, "n 28 28"]) -> Float[Tensor, "n 10"]:
        """Return the probability of each class for each picture of grey levels."""
        return self.logits(images).softmax(dim=1)

    def arrays(self) -> list[ParameterArray]:
        """Describe kernel and bias of both layers."""
        hidden = self.layer_1.out_features
        plural = "neurons" if hidden > 1 else "neuron"
        found = []
        for name, layer, inputs, neurons in (
            ("layer_1", self.layer_1, "pixels", f"{hidden} {plural}"),
            ("layer_2", self.layer_2, plural, f"{CLASSES} digits"),
        ):
            kernel, bias = layer.get_weights()
            count = f"{layer.in_features} {inputs} x {neurons}"
            for part, array, why in (
                ("kernel", kernel, f"{count}: a weight for each pair"),
                ("bias", bias, f"{neurons}: one for each"),
            ):
                torch_shape = array.T.shape
                found.append(
                    ParameterArray(
                        f"{name} {part}", array.shape, torch_shape, array.size, why
                    )
                )
        return found

    @property
    def size(self) -> int:
        """The number of parameters: weights and biases of both layers."""
        return sum(parameter.numel() for parameter in self.parameters())
