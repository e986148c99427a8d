"""Packs the weights of layer_1 into the bytes of a table of the C code.

Pixels arrive one by one, so the weights of a pixel are adjacent. `c/digits.c.jinja`
reads the table.
"""

import numpy as np
from jaxtyping import UInt8

from pipeline.deploy.integers import IntegerNetwork

# How a weight is encoded, by width; a comment of digits.c.
CODES = {
    8: "A byte holds the weight in two's complement.",
    4: "Four bits hold the weight + 8.",
    2: "Two bits hold 0 for the weight 0, 1 for 1, and 2 for -1.",
    1: "A bit holds 1 for the weight 1, and 0 for -1.",
}


def pack_weights(network: IntegerNetwork) -> UInt8[np.ndarray, " bytes"]:
    """Return the table: pixel by pixel, and for each pixel neuron by neuron.

    There are no gaps between pixels. The first weight of a byte is in its lowest bits,
    and unused bits of the last byte are 0.
    """
    weights = network.q1.T.ravel()  # (784 * hidden)
    if network.bits == 8:
        return weights.view(np.uint8)
    if network.bits == 4:
        codes = weights + 8
    elif network.bits == 2:
        codes = weights % 3
    else:
        codes = weights > 0
    codes = codes.astype(np.uint8)
    allowed = (1 << network.bits) - (network.bits == 2)
    assert codes.max() < allowed, "a weight does not fit in its bits"
    # (784 * hidden, bits), the lowest bit first
    bits = codes[:, None] >> np.arange(network.bits, dtype=np.uint8) & 1
    return np.packbits(bits, bitorder="little")
