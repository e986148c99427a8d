"""The quantized network: the reference that all other implementations must match.

`quantization.py` computes the integers from a trained network.
deploy/c/number_format.txt contains the formulas. The generated C code shares no code
with this module, so that a comparison of the two is a test.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Int8, Int32, Int64, UInt8

from pipeline.core import PIXELS, WHITE
from pipeline.core.network import blocks
from pipeline.integers.bit_widths import BIT_WIDTHS, BitWidth

LIMIT = 2**31  # the sums of the C code have 32 bits
MAX_OUTPUT = 255  # the highest output of a neuron of layer 1, a byte


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """A quantized network; deploy/c/number_format.txt documents its number format.

    The unit of an integer is the real number that 1 represents. All units follow from
    weight ≈ scale_1 · weights_1 and from pixel = gray / 255:

    - a sum and a bias of layer 1: `sum_unit` = scale_1 / 255
    - an output: `output_unit` = sum_unit · 2^shift, since the shift divides by 2^shift
    - a logit and a bias of layer 2: scale_2
    - a weight of layer 2, which multiplies an output: scale_2 / output_unit
    """

    bits: int  # bits for each weight of layer 1: 8, 4, 2 or 1
    # Each row of weights belongs to a neuron. In the C code, each column does.
    weights_1: Int8[np.ndarray, "hidden 784"]  # weights of layer 1
    biases_1: Int32[np.ndarray, " hidden"]  # biases of layer 1
    shifts: UInt8[np.ndarray, " hidden"]  # n: a sum is divided by 2^n
    weights_2: Int8[np.ndarray, "10 hidden"]  # weights of layer 2
    biases_2: Int32[np.ndarray, "10"]  # biases of layer 2
    scale_1: Float[np.ndarray, " hidden"]  # scales of the weights of layer 1
    scale_2: float  # the scale of the logits

    @property
    def hidden(self) -> int:
        """The number of neurons in layer 1."""
        return len(self.biases_1)

    @property
    def bit_width(self) -> BitWidth:
        """The bit width of the weights of layer 1."""
        return BIT_WIDTHS[self.bits]

    @property
    def table_bytes(self) -> int:
        """The size of all arrays, except the scales, in bytes; weights are packed."""
        packed = (self.weights_1.size * self.bit_width.stored_bits + 7) // 8
        others = (self.biases_1, self.shifts, self.weights_2, self.biases_2)
        return packed + sum(array.nbytes for array in others)

    @property
    def sum_unit(self) -> Float[np.ndarray, " hidden"]:
        """The real number that a sum of 1 represents, for each neuron of layer 1."""
        return self.scale_1 / WHITE

    @property
    def output_unit(self) -> Float[np.ndarray, " hidden"]:
        """The real number that an output of 1 represents, for each neuron."""
        return np.asarray(np.ldexp(self.sum_unit, self.shifts.astype(np.int32)))

    @cached_property
    def half(self) -> Int64[np.ndarray, " hidden"]:
        """Half of 2^shift, which is added to a sum so that the shift rounds it."""
        return np.asarray((1 << self.shifts.astype(np.int64)) >> 1)

    def sums(
        self, images: UInt8[np.ndarray, "n 28 28"]
    ) -> Int64[np.ndarray, "n hidden"]:
        """Compute the sums of layer 1, including the biases."""
        weights = self.weights_1.T.astype(np.int64)
        biases = self.biases_1.astype(np.int64)
        pixels = (block.reshape(-1, PIXELS) for block in blocks(images))
        return np.concatenate([block @ weights + biases for block in pixels])

    def shifted(
        self, sums: Int64[np.ndarray, "n hidden"]
    ) -> Int64[np.ndarray, "n hidden"]:
        """Compute the sums of layer 1 after ReLU and shift."""
        positive = np.maximum(sums, 0)
        return np.asarray((positive + self.half) >> self.shifts.astype(np.int64))

    def activations(
        self, sums: Int64[np.ndarray, "n hidden"]
    ) -> Int64[np.ndarray, "n hidden"]:
        """Compute the outputs of layer 1, 0 to 255, from its sums."""
        return np.asarray(np.minimum(self.shifted(sums), MAX_OUTPUT))

    def logits(self, sums: Int64[np.ndarray, "n hidden"]) -> Int64[np.ndarray, "n 10"]:
        """Compute the logits from the sums of layer 1."""
        weights = self.weights_2.T.astype(np.int64)
        biases = self.biases_2.astype(np.int64)
        return np.asarray(self.activations(sums) @ weights + biases)

    def classify(self, images: UInt8[np.ndarray, "n 28 28"]) -> Int[np.ndarray, " n"]:
        """Return the class with the highest logit; in a tie, the first."""
        logits = [self.logits(self.sums(block)) for block in blocks(images)]
        return np.asarray(np.concatenate(logits).argmax(axis=1))

    def largest_values(self) -> dict[str, int]:
        """Return bounds of all 32-bit intermediate results, by name.

        The bounds hold for every image: the sum is largest if the pixels with positive
        weights are white and all others are black, and smallest in the opposite case.
        The bounds also hold for partial sums, in any order of the pixels, because a
        partial sum is the sum of an image whose other pixels are 0.
        """
        layers = {
            "sum": (self.weights_1, self.biases_1, WHITE),
            "logit": (self.weights_2, self.biases_2, MAX_OUTPUT),
        }
        bounds = {}
        for name, (weights, biases, highest) in layers.items():
            wide = weights.astype(np.int64)
            positive = biases + highest * np.maximum(wide, 0).sum(axis=1)
            negative = biases + highest * np.minimum(wide, 0).sum(axis=1)
            bounds[name] = int(max(positive.max(), -negative.min()))
            if name == "sum":
                rounded = np.maximum(positive, 0) + self.half
                bounds["sum before its shift"] = int(rounded.max())
        return bounds
