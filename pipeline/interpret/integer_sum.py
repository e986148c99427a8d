"""The integer sum that a neuron computes for an image, with all its terms.

`integer_worksheet` prints this sum next to the floating-point sum.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from jaxtyping import Integer, UInt8

from pipeline.base.text import neuron_name
from pipeline.core import CLASSES, WHITE
from pipeline.integers import BitWidth, IntegerNetwork
from pipeline.interpret.rounding import rounded, significant


@dataclass(frozen=True)
class Shift:
    """How an integer sum of layer 1 becomes the output of its neuron."""

    n: int  # the sum is divided by 2^n
    half: int  # half of 2^n, which is added before the division
    shifted: int  # the result of the division
    output: int  # the result after the clamp


@dataclass(frozen=True, eq=False)
class IntegerSum:
    """The integer sum of a neuron, as the C code of `export` computes it."""

    bit_width: BitWidth  # the bit width of the weights of layer 1
    weights: Integer[np.ndarray, " inputs"]
    inputs: Integer[np.ndarray, " inputs"]  # gray levels, or outputs of layer 1
    bias: int
    # `unit` is the real number that a sum of 1 represents, as printed. In layer 1,
    # `scale` is the real number that a weight of 1 represents. In layer 2, this number
    # depends on the input of the weight.
    unit: Decimal
    scale: Decimal | None = None
    shift: Shift | None = None  # None in layer 2

    @property
    def terms(self) -> Integer[np.ndarray, " inputs"]:
        """The products of weights and inputs."""
        return np.asarray(self.weights.astype(np.int64) * self.inputs)

    @property
    def total(self) -> int:
        """The sum."""
        return int(self.terms.sum()) + self.bias

    def value(self, integer: int) -> Decimal:
        """Return the real number that an integer of the sum represents, rounded."""
        return rounded(integer * self.unit)


def integer_sums(
    network: IntegerNetwork, image: UInt8[np.ndarray, "28 28"]
) -> dict[str, IntegerSum]:
    """Return the sum of every neuron by name, layer 1 first."""
    sums = network.sums(image[None])
    (outputs,), (shifted,) = network.activations(sums), network.shifted(sums)
    by_name = {}
    for j in range(network.hidden):
        steps = (network.shifts[j], network.half[j], shifted[j], outputs[j])
        scale = significant(network.scale_1[j])
        by_name[neuron_name(1, j)] = IntegerSum(
            network.bit_width,
            network.weights_1[j],
            image.reshape(-1),
            bias=int(network.biases_1[j]),
            unit=significant(scale / WHITE),
            scale=scale,
            shift=Shift(*map(int, steps)),
        )
    for k in range(CLASSES):
        by_name[neuron_name(2, k)] = IntegerSum(
            network.bit_width,
            network.weights_2[k],
            outputs,
            bias=int(network.biases_2[k]),
            unit=significant(network.scale_2),
        )
    return by_name
