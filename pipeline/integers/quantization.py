"""Quantizes a trained network: converts it to integers.

deploy/c/number_format.txt contains the formulas, which use shifts but no divisions.
`integer_network.py` computes with these formulas, and `bit_widths.py` rounds the
weights of layer 1.
"""

import numpy as np
from jaxtyping import Float, Int8, Int32, Int64, UInt8

from pipeline import UserError
from pipeline.base.text import neuron_name
from pipeline.core import PIXELS, WHITE
from pipeline.core.network import Network, blocks, snapshot
from pipeline.integers.bit_widths import BIT_WIDTHS, round_half_up
from pipeline.integers.integer_network import LIMIT, MAX_OUTPUT, IntegerNetwork


def quantize(
    network: Network, images: UInt8[np.ndarray, "n 28 28"], *, bits: int
) -> IntegerNetwork:
    """Convert a network to integers.

    Args:
        network: The trained network.
        images: The training images. The shifts make their sums fit into 8 bits.
        bits: The bit width of the weights of layer 1; layer 2 always has 8 bits.

    Raises:
        UserError: If the network cannot be represented.
    """
    check_weights(network, bits=bits)
    w1, bias, w2, b2 = _tensors(network)
    weights_1, scale_1 = BIT_WIDTHS[bits].quantize(w1)
    biases_1 = _to_int32(round_half_up(WHITE * bias / scale_1), "layer_1.bias")
    shifts = fitting_shifts(largest_sums(weights_1, biases_1, images))
    # The weights of the integer outputs; `IntegerNetwork` derives the units.
    v = np.ldexp(w2 * scale_1, shifts.astype(np.int32)) / WHITE  # (10, hidden)
    scale_2 = float(np.abs(v).max() / 127)  # not 0: the weights are not all equal
    weights_2 = round_half_up(v / scale_2).astype(np.int8)
    biases_2 = _to_int32(round_half_up(b2 / scale_2), "layer_2.bias")
    result = IntegerNetwork(
        bits=bits,
        weights_1=weights_1,
        biases_1=biases_1,
        shifts=shifts,
        weights_2=weights_2,
        biases_2=biases_2,
        scale_1=scale_1,
        scale_2=scale_2,
    )
    for name, value in result.largest_values().items():
        if value >= LIMIT:
            raise _too_large(f"the largest {name} must be < 2^31, got {value:,}")
    return result


def check_weights(network: Network, *, bits: int) -> None:
    """Check the weights of a network before it is fine-tuned and quantized.

    Raises:
        UserError: If integers cannot represent the weights.
    """
    w1, bias, w2, b2 = _tensors(network)
    if not all(np.isfinite(tensor).all() for tensor in (w1, bias, w2, b2)):
        raise UserError(
            "the weights of the network must be finite: train the network again"
        )
    if np.ptp(w1) == 0 or np.ptp(w2) == 0:
        layer = "layer 1" if np.ptp(w1) == 0 else "layer 2"
        raise UserError(f"all weights of {layer} are equal: train the network first")
    zero = np.flatnonzero(~w1.any(axis=1))
    if not BIT_WIDTHS[bits].has_zero and len(zero):
        name = neuron_name(1, int(zero[0]))
        raise UserError(
            f"all weights of {name} are 0, which 1 bit cannot represent: use bits=2 "
            "or more"
        )


def largest_sums(
    weights_1: Int8[np.ndarray, "hidden 784"],
    biases_1: Int32[np.ndarray, " hidden"],
    images: UInt8[np.ndarray, "n 28 28"],
) -> Int64[np.ndarray, " hidden"]:
    """Return the largest sum of each neuron over many images.

    The products are added as float64, which is five times as fast as int64. The sums
    are exact in any order, because all partial sums are integers below
    784 · 127 · 255 < 2^53.
    """
    weights = weights_1.T.astype(np.float64)
    largest = [
        (block.reshape(-1, PIXELS).astype(np.float64) @ weights).max(axis=0)
        for block in blocks(images)
    ]
    return np.asarray(np.max(largest, axis=0).astype(np.int64) + biases_1)


def fitting_shifts(
    largest: Int64[np.ndarray, " hidden"],
) -> UInt8[np.ndarray, " hidden"]:
    """Return the smallest shifts for which the largest sums are at most 255."""
    shifts = []
    for value in largest.tolist():
        n = 0
        while (value + (1 << n >> 1)) >> n > MAX_OUTPUT:
            n += 1
        shifts.append(n)
    return np.array(shifts, np.uint8)


def _tensors(network: Network) -> list[Float[np.ndarray, "..."]]:
    """Return w1 (hidden, 784), b1, w2 (10, hidden) and b2, exactly."""
    return [tensor.astype(np.float64) for tensor in snapshot(network).values()]


def _to_int32(values: Float[np.ndarray, " n"], name: str) -> np.ndarray:
    index = int(np.abs(values).argmax())
    if not abs(values[index]) < LIMIT:
        raise _too_large(
            f"{name}[{index}], divided by the scale, must be below 2^31, "
            f"got {values[index]:.3g}"
        )
    return values.astype(np.int32)


def _too_large(rule: str) -> UserError:
    return UserError(
        f"the network does not fit in 32-bit integers ({rule}): "
        "train the network again with a smaller lr"
    )
