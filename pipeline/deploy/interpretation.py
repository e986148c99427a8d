"""The integers of exported networks for `interpret`: its page and its worksheets."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline.base.paths import displayed
from pipeline.base.terminal import counted, wrap
from pipeline.core.dataset import Dataset, LabeledImages
from pipeline.deploy.bit_widths import BIT_WIDTHS
from pipeline.deploy.exported_network import ExportedNetwork
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.integers_file import find_export
from pipeline.interpret import (
    IntegerSum,
    ModelAnalysis,
    PreActivation,
    Shift,
)
from pipeline.interpret.report import BitWidthData, PageIntegers, render
from pipeline.interpret.report.page import ACTIVATION_IMAGES
from pipeline.model import TrainedModel
from pipeline.plots import weight_scale


def render_page(
    trained: TrainedModel,
    dataset: Dataset,
    exports: Sequence[ExportedNetwork],
    *,
    name: str,
) -> str | None:
    """Return the page of a network with at least one export; see `render`."""
    analysis = ModelAnalysis.of(trained, dataset)
    integers = [_page_integers(exported, dataset.test) for exported in exports]
    return render(analysis, name=name, integers=integers)


def _page_integers(exported: ExportedNetwork, test: LabeledImages) -> PageIntegers:
    network, measured = exported.integers, exported.report
    largest = BIT_WIDTHS[network.bits].largest
    # With few bits, many weights have the largest size.
    scale = weight_scale(network.weights_1.astype(float))
    tensors = asdict(network)
    del tensors["bits"], tensors["scale_2"]
    tensors |= {"sum_unit": network.sum_unit, "output_unit": network.output_unit}
    sums = network.sums(test.images[:ACTIVATION_IMAGES])
    tensors["activations"] = network.activations(sums).astype(np.uint8)  # 0 to 255
    return PageIntegers(
        data=BitWidthData(
            bits=network.bits,
            largest_weight=largest,
            weight_scale=scale if network.bits == 8 else float(largest),
            finetune=measured.finetune,
            scale_2=network.scale_2,
            table_bytes=measured.table_bytes,
            accuracy=measured.accuracy,
            same_answers=measured.same_answers,
        ),
        predictions=network.classify(test.images),
        tensors={f"{network.bits}bit.{name}": t for name, t in tensors.items()},
    )


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
        trained.path.resolve().parent.parent / "export",  # of a run
        weights_sha256=trained.sha256,
        command=command,
    )
    bit_width = counted(network.bits, "bit")
    text = f"Integers: {displayed(path)}, {bit_width} per weight of layer 1."
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
            values = (network.shifts[k], network.rounding[k], shifted[k], outputs[k])
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
