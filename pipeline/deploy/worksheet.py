"""The integers of an exported network for the worksheets of `interpret`."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from pipeline.deploy.integers import IntegerNetwork
from pipeline.interpret import IntegerSum, PreActivation, Shift


def add_integers(
    sums: Mapping[str, PreActivation],
    network: IntegerNetwork,
    image: UInt8[np.ndarray, "28 28"],
) -> dict[str, PreActivation]:
    """Return the sums of `pre_activations`, each with the same sum in integers."""
    gray = image.reshape(-1).astype(np.int64)
    hidden = network.sums(image[None])
    (outputs,), (shifted,) = network.activations(hidden), network.shifted(hidden)
    both = {}
    for name, neuron in sums.items():
        k = neuron.number - 1
        if neuron.layer == 1:
            weights, biases, inputs = network.q1, network.b1q, gray
            scale = float(network.scale_1[k])
            values = (network.shift[k], network.rounding[k], shifted[k], outputs[k])
            shift = Shift(*map(int, values))
        else:
            weights, biases, inputs = network.q2, network.b2q, outputs
            scale, shift = network.scale_2, None
        integers = IntegerSum(
            weights[k].astype(np.int64),
            inputs,
            bias=int(biases[k]),
            scale=scale,
            shift=shift,
        )
        both[name] = replace(neuron, integers=integers)
    return both
