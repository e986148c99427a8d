"""The forward pass for one image, term by term and in float64.

`neurons` has the faster functions for many images.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from pipeline import PIXELS
from pipeline.interpret.names import Neuron
from pipeline.model import Network


@dataclass(frozen=True)
class PreActivation:
    """The sum that a neuron computes for an image: weights · inputs + bias."""

    neuron: Neuron
    weights: Float[np.ndarray, " inputs"]
    inputs: Float[np.ndarray, " inputs"]  # pixels in [0, 1], or outputs of layer_1
    bias: float

    @property
    def terms(self) -> Float[np.ndarray, " inputs"]:
        """The products of weights and inputs."""
        return np.asarray(self.weights * self.inputs)

    @property
    def z(self) -> float:
        """The sum, before ReLU or softmax."""
        return float(self.terms.sum()) + self.bias

    @property
    def relu(self) -> float:
        """The sum after ReLU: the output of a neuron of layer_1."""
        return max(0.0, self.z)


def pre_activations(
    network: Network, image: UInt8[np.ndarray, "28 28"]
) -> dict[str, PreActivation]:
    """Return the sum of every neuron by name, those of layer_1 first.

    PyTorch computes the same sums in float32; they differ in the sixth digit.
    """
    inputs = image.reshape(PIXELS) / 255
    by_name: dict[str, PreActivation] = {}
    for number, dense in ((1, network.layer_1), (2, network.layer_2)):
        kernel, bias = (array.astype(float) for array in dense.get_weights())
        layer = [
            PreActivation(Neuron(number, k + 1), kernel[:, k], inputs, float(bias[k]))
            for k in range(len(bias))
        ]
        by_name |= {each.neuron.name: each for each in layer}
        inputs = np.array([each.relu for each in layer])
    return by_name
