"""The sum that a neuron computes for an image, with all its terms.

`worksheet` prints it, and `worksheet_files` writes it to files. A network in integers
computes the same sum with integers, which `deploy` adds.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

import numpy as np
from jaxtyping import Float, Int64, UInt8

from pipeline import WHITE, neuron_name
from pipeline.core import PIXELS
from pipeline.core.network import Network
from pipeline.interpret.names import ParameterLocation

EXACT = Context(prec=400, rounding=ROUND_HALF_UP)  # enough digits for every float


def rounded(value: float | Decimal, decimals: int = 4) -> Decimal:
    """Round to the nearest decimal number, and halves away from zero.

    `rounded` in display.js does the same. Sums of decimal numbers are exact.
    """
    result = Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=EXACT)
    return result or abs(result)  # never -0.0000


def significant(value: float | Decimal) -> Decimal:
    """Round a value to 8 significant digits."""
    return Decimal(f"{value:.7e}")


@dataclass(frozen=True)
class Shift:
    """How a sum of layer 1 becomes the output of its neuron in integers."""

    n: int  # the sum is divided by 2^n
    half: int  # half of 2^n, which is added first
    shifted: int  # the result
    output: int  # the result after the clamp


@dataclass(frozen=True)
class IntegerSum:
    """The sum that a neuron computes in integers, as the C code of `export` does."""

    weights: Int64[np.ndarray, " inputs"]
    inputs: Int64[np.ndarray, " inputs"]  # gray levels, or outputs of layer 1
    bias: int
    scale: float  # the scale of a weight in layer 1, of the sum in layer 2
    shift: Shift | None  # None in layer 2

    @property
    def terms(self) -> Int64[np.ndarray, " inputs"]:
        """The products of weights and inputs."""
        return np.asarray(self.weights * self.inputs)

    @property
    def total(self) -> int:
        """The sum."""
        return int(self.terms.sum()) + self.bias

    @property
    def unit(self) -> Decimal:
        """What a sum of 1 represents, as it is printed."""
        scale = significant(self.scale)
        return scale if self.shift is None else significant(scale / WHITE)

    def value(self, integer: int) -> Decimal:
        """Return what an integer of the sum represents, rounded."""
        return rounded(integer * self.unit)


@dataclass(frozen=True)
class PreActivation:
    """The sum that a neuron computes for an image: weights · inputs + bias."""

    layer: int  # 1: hidden, 2: one neuron for each class
    neuron: int  # its index in the layer, from 0
    weights: Float[np.ndarray, " inputs"]
    inputs: Float[np.ndarray, " inputs"]  # pixels in [0, 1], or outputs of layer 1
    bias: float
    integers: IntegerSum | None = None  # the same sum in integers, for comparison

    @property
    def name(self) -> str:
        """The name of the neuron, such as N11 or N210."""
        return neuron_name(self.layer, self.neuron)

    @property
    def input_names(self) -> list[str]:
        """The pixels, or the neurons of layer 1."""
        inputs = range(len(self.inputs))
        if self.layer == 1:
            return [f"pixel {k}" for k in inputs]
        return [neuron_name(1, k) for k in inputs]

    @property
    def term_names(self) -> list[str]:
        """The products in letters: M and X for pixels, W and N for neurons."""
        m, x = ("M", "X") if self.layer == 1 else ("W", "N1")
        return [f"{m}{n}·{x}{n}" for n in range(1, len(self.weights) + 1)]

    @property
    def terms(self) -> Float[np.ndarray, " inputs"]:
        """The products of weights and inputs."""
        return np.asarray(self.weights * self.inputs)

    @property
    def sizes(self) -> Float[np.ndarray, " inputs"]:
        """The absolute values of the terms, which determine their order.

        With integers, it is the larger one of both: after fine-tuning, a term can be 0
        in only one of them.
        """
        sizes = np.abs(self.terms)
        if self.integers is not None:
            represented = self.integers.terms * float(self.integers.unit)
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


def pre_activations(
    network: Network, image: UInt8[np.ndarray, "28 28"]
) -> dict[str, PreActivation]:
    """Return the sum of every neuron by name, those of layer 1 first, in float64.

    PyTorch computes the same sums in float32; they differ in the sixth digit.
    """
    inputs = image.reshape(PIXELS) / WHITE
    by_name: dict[str, PreActivation] = {}
    for number, dense in ((1, network.layer_1), (2, network.layer_2)):
        kernel, bias = (array.astype(float) for array in dense.get_weights())
        layer = [
            PreActivation(number, k, kernel[:, k], inputs, float(bias[k]))
            for k in range(len(bias))
        ]
        by_name |= {neuron.name: neuron for neuron in layer}
        inputs = np.array([neuron.relu for neuron in layer])
    return by_name
