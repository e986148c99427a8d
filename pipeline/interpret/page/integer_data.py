"""The numbers and tensors of a quantized network for the page."""

from dataclasses import asdict

import numpy as np
from jaxtyping import UInt8

from pipeline.integers import ExportReport, IntegerNetwork
from pipeline.interpret.page.page_data import BitWidthData
from pipeline.plots import weight_scale


def bit_width_data(network: IntegerNetwork, report: ExportReport) -> BitWidthData:
    """Return the numbers of a quantized network, and its measurements."""
    width = network.bit_width
    scale = weight_scale(network.weights_1.astype(float))
    return BitWidthData(
        report=report,
        largest_weight=width.largest,
        weight_scale=float(width.largest) if width.is_coarse else scale,
        logit_unit=network.scale_2,
    )


def integer_tensors(
    network: IntegerNetwork, images: UInt8[np.ndarray, "n 28 28"]
) -> dict[str, np.ndarray]:
    """Return the arrays and units of a network, and its hidden outputs for images.

    The names of the arrays begin with the bit width, as in 8bit.weights_1.
    """
    tensors = asdict(network)
    del tensors["bits"], tensors["scale_2"]
    tensors |= {"sum_unit": network.sum_unit, "output_unit": network.output_unit}
    outputs = network.activations(network.sums(images))
    tensors["activations"] = outputs.astype(np.uint8)  # 0 to 255
    return {f"{network.bits}bit.{name}": tensor for name, tensor in tensors.items()}
