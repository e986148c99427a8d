"""The sum that a neuron computes for an image, with all its terms.

`worksheet` prints the sum, and `worksheet_files` writes it to files.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8

from pipeline.base.text import neuron_name
from pipeline.core import PIXELS, WHITE
from pipeline.core.network import Network
from pipeline.integers import IntegerNetwork
from pipeline.interpret.integer_sum import IntegerSum, integer_sums
from pipeline.interpret.names import ParameterLocation


@dataclass(frozen=True, eq=False)
class NeuronSum:
    """The sum that a neuron computes for an image: weights · inputs + bias."""

    layer: int  # 1: hidden, 2: one neuron for each class
    neuron: int  # the index in the layer, from 0
    weights: Float[np.ndarray, " inputs"]
    inputs: Float[np.ndarray, " inputs"]  # pixels in [0, 1], or outputs of layer 1
    bias: float
    in_integers: IntegerSum | None = None  # for comparison

    @property
    def name(self) -> str:
        """The name of the neuron, such as N11 or N210."""
        return neuron_name(self.layer, self.neuron)

    @cached_property
    def input_names(self) -> list[str]:
        """The pixels, or the neurons of layer 1."""
        inputs = range(len(self.inputs))
        if self.layer == 1:
            return [f"pixel {k}" for k in inputs]
        return [neuron_name(1, k) for k in inputs]

    @cached_property
    def term_names(self) -> list[str]:
        """The products in letters: M and X for pixels, W and N for neurons."""
        m, x = ("M", "X") if self.layer == 1 else ("W", "N1")
        return [f"{m}{n}·{x}{n}" for n in range(1, len(self.weights) + 1)]

    @cached_property
    def terms(self) -> Float[np.ndarray, " inputs"]:
        """The products of weights and inputs."""
        return np.asarray(self.weights * self.inputs)

    @cached_property
    def sizes(self) -> Float[np.ndarray, " inputs"]:
        """The absolute values of the terms, which determine their order.

        If the integer sum is known, each size is the larger absolute value of the
        term in the two networks. After fine-tuning, a term can be 0 in only one of the
        networks.
        """
        sizes = np.abs(self.terms)
        if self.in_integers is not None:
            represented = self.in_integers.terms * float(self.in_integers.unit)
            sizes = np.maximum(sizes, np.abs(represented))
        return np.asarray(sizes)

    @property
    def main_weight(self) -> ParameterLocation:
        """The weight of the product that contributes most to the sum."""
        row = int(np.abs(self.terms).argmax())
        return ParameterLocation(self.layer, row, self.neuron)

    @property
    def total(self) -> float:
        """The sum: y in layer_1, the logit z in layer_2."""
        return float(self.terms.sum()) + self.bias

    @property
    def relu(self) -> float:
        """The sum after ReLU: the output of a neuron of layer 1."""
        return max(0.0, self.total)


def neuron_sums(
    network: Network,
    image: UInt8[np.ndarray, "28 28"],
    integers: IntegerNetwork | None = None,
) -> dict[str, NeuronSum]:
    """Return the sum of every neuron by name, layer 1 first, in float64.

    PyTorch computes the same sums in float32. The results differ in the sixth digit. If
    `integers` is given, each sum also contains the sum of the quantized network.
    """
    inputs = image.reshape(PIXELS) / WHITE
    in_integers = {} if integers is None else integer_sums(integers, image)
    by_name: dict[str, NeuronSum] = {}
    for number, dense in ((1, network.layer_1), (2, network.layer_2)):
        kernel, bias = (array.astype(float) for array in dense.get_weights())
        layer = {}
        for k in range(len(bias)):
            name = neuron_name(number, k)
            weights = kernel[:, k]
            layer[name] = NeuronSum(
                layer=number,
                neuron=k,
                weights=weights,
                inputs=inputs,
                bias=float(bias[k]),
                in_integers=in_integers.get(name),
            )
        by_name |= layer
        inputs = np.array([neuron.relu for neuron in layer.values()])
    return by_name
