"""The network of the exercise: 784 pixels -> hidden neurons with ReLU -> 10 classes.

Its two dense layers, `layer_1` and `layer_2`, are initialised as in Keras and return
their weights in Keras's layout.
"""

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from pipeline import CLASSES, PIXELS

BATCH = 1000  # images in a forward pass
Snapshot = dict[str, Float[np.ndarray, "..."]]  # the tensors of a network, by name


def to_pixels(images: UInt8[np.ndarray, "n 28 28"]) -> Float[Tensor, "n 28 28"]:
    """Scale grey levels, 0 to 255, to pixels in [0, 1]."""
    return torch.from_numpy(images) / 255


def batches(
    images: UInt8[np.ndarray, "n 28 28"],
) -> list[UInt8[np.ndarray, "batch 28 28"]]:
    """Divide images into batches whose pixels fit in the processor's cache.

    For 60,000 images, the network is then five times as fast as with one batch.
    """
    return [images[row : row + BATCH] for row in range(0, len(images), BATCH)]


def parameter_count(hidden: int) -> int:
    """Return the number of weights and biases of a network with `hidden` neurons."""
    return (PIXELS + 1) * hidden + (hidden + 1) * CLASSES


class Dense(nn.Linear):
    """A fully connected layer: y = x W^T + b, where a row of W belongs to a neuron.

    PyTorch stores W as (neurons, inputs), Keras its transpose, the kernel.
    """

    def __init__(
        self, inputs: int, neurons: int, *, generator: torch.Generator
    ) -> None:
        """Draw W uniformly from +-sqrt(6 / (inputs + neurons)), and set b to 0.

        Source: Glorot and Bengio, Understanding the difficulty of training deep
        feedforward neural networks (2010), equation 16; the default of Keras's Dense.
        """
        super().__init__(inputs, neurons)
        nn.init.xavier_uniform_(self.weight, generator=generator)
        nn.init.zeros_(self.bias)

    def reset_parameters(self) -> None:
        """Skip PyTorch's initialisation, which would use the global generator."""

    def get_weights(self) -> list[Float[np.ndarray, "..."]]:
        """Return copies of kernel (inputs, neurons) and bias (neurons,), like Keras."""
        kernel, bias = self.weight.detach().T, self.bias.detach()
        return [kernel.numpy().copy(), bias.numpy().copy()]


class Network(nn.Module):
    """Flatten 28x28 -> layer_1: Dense `hidden`, ReLU -> layer_2: Dense 10."""

    def __init__(self, *, hidden: int, generator: torch.Generator) -> None:
        """Draw the initial weights.

        Args:
            hidden: Neurons in layer_1. With 20, the network has 784*20 + 20 + 20*10 +
                10 = 15,910 parameters.
            generator: Source of the initial weights.
        """
        super().__init__()
        self.layer_1 = Dense(PIXELS, hidden, generator=generator)
        self.layer_2 = Dense(hidden, CLASSES, generator=generator)

    def forward(self, pixels: Float[Tensor, "n 28 28"]) -> Float[Tensor, "n 10"]:
        """Compute the logits, which softmax turns into probabilities."""
        hidden = self.layer_1(pixels.flatten(start_dim=1)).relu()  # (n, hidden)
        logits: Tensor = self.layer_2(hidden)  # (n, 10)
        return logits

    @torch.no_grad()
    def logits(self, images: UInt8[np.ndarray, "n 28 28"]) -> Float[Tensor, "n 10"]:
        """Compute the logits of grey-level images, without gradients."""
        return torch.cat([self(to_pixels(batch)) for batch in batches(images)])

    @torch.no_grad()
    def hidden_sums(
        self, images: UInt8[np.ndarray, "n 28 28"]
    ) -> Float[Tensor, "n hidden"]:
        """Compute the sums of layer_1 for grey-level images, before ReLU."""
        pixels = (to_pixels(batch).flatten(start_dim=1) for batch in batches(images))
        return torch.cat([self.layer_1(batch) for batch in pixels])

    def predict(self, images: UInt8[np.ndarray, "n 28 28"]) -> Float[Tensor, "n 10"]:
        """Return the probability of each class for grey-level images."""
        return self.logits(images).softmax(dim=1)

    def classify(self, images: UInt8[np.ndarray, "n 28 28"]) -> Int[np.ndarray, " n"]:
        """Return the most probable class of grey-level images."""
        return np.asarray(self.logits(images).argmax(dim=1))

    @property
    def hidden(self) -> int:
        """The number of neurons in layer_1."""
        return self.layer_1.out_features

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases of both layers."""
        return sum(parameter.numel() for parameter in self.parameters())


def snapshot(network: Network) -> Snapshot:
    """Copy the four tensors of a network, by name, with PyTorch's shapes."""
    return {name: t.numpy().copy() for name, t in network.state_dict().items()}


def network_from(tensors: Snapshot) -> Network:
    """Create a network from its four tensors; the inverse of `snapshot`."""
    hidden = tensors["layer_1.bias"].size
    network = Network(hidden=hidden, generator=torch.Generator())
    network.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    return network
