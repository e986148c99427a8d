"""The shapes of a network's tensors, without importing PyTorch (one second)."""

import math

from pipeline.core import CLASSES, PIXELS


def tensor_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a network with `hidden` neurons, by name."""
    return {
        "layer_1.weight": (hidden, PIXELS),
        "layer_1.bias": (hidden,),
        "layer_2.weight": (CLASSES, hidden),
        "layer_2.bias": (CLASSES,),
    }


def parameter_count(hidden: int) -> int:
    """Return the number of weights and biases of a network with `hidden` neurons."""
    return sum(map(math.prod, tensor_shapes(hidden).values()))
