"""The sums of a worksheet in integers, as an export has them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline.base.paths import displayed
from pipeline.base.terminal import counted, wrap
from pipeline.deploy.integer_network import IntegerNetwork
from pipeline.deploy.integers_file import find_export
from pipeline.interpret import IntegerSum, PreActivation, Shift
from pipeline.model import TrainedModel


def add_exported_integers(
    sums: Mapping[str, PreActivation],
    image: UInt8[np.ndarray, "28 28"],
    *,
    trained: TrainedModel,
    folder: Path,
    command: str,
) -> tuple[dict[str, PreActivation], str]:
    """Add the integers of an export to the sums of a network for an image.

    Args:
        sums: The result of `pre_activations`.
        image: The image.
        trained: The network.
        folder: See `find_export`.
        command: See `find_export`.

    Returns:
        The sums in floats and in integers, and a paragraph that says where the
        integers come from, and why they differ from the weights.
    """
    path, network, metadata = find_export(
        folder,
        trained.exports_folder,
        weights_sha256=trained.sha256,
        command=command,
    )
    text = f"Integers: {displayed(path)}, {network.bit_width} per weight of layer 1."
    if finetune := metadata.get("finetune", 0):
        text += (
            f" The network was fine-tuned for {counted(finetune, 'epoch')} before its "
            "weights were rounded. The floating-point values are those before "
            "fine-tuning, so the weights differ by more than the rounding error."
        )
    return add_integers(sums, network, image), wrap(text, indent=0)


def add_integers(
    sums: Mapping[str, PreActivation],
    network: IntegerNetwork,
    image: UInt8[np.ndarray, "28 28"],
) -> dict[str, PreActivation]:
    """Return the sums of `pre_activations` in floats and in integers."""
    gray = image.reshape(-1).astype(np.int64)
    hidden = network.sums(image[None])
    (outputs,), (shifted,) = network.activations(hidden), network.shifted(hidden)
    both = {}
    for name, in_floats in sums.items():
        k = in_floats.neuron
        if in_floats.layer == 1:
            weights, biases, inputs = network.weights_1, network.biases_1, gray
            scale = float(network.scale_1[k])
            values = (network.shifts[k], network.half[k], shifted[k], outputs[k])
            shift = Shift(*map(int, values))
        else:
            weights, biases, inputs = network.weights_2, network.biases_2, outputs
            scale, shift = network.scale_2, None
        integers = IntegerSum(
            weights[k].astype(np.int64),
            inputs,
            bias=int(biases[k]),
            scale=scale,
            shift=shift,
        )
        both[name] = replace(in_floats, integers=integers)
    return both
