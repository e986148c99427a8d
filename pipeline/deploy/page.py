"""The page of a network in floating point and in integers."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from pipeline.core.dataset import Dataset, LabeledImages
from pipeline.deploy.bit_widths import BIT_WIDTHS
from pipeline.deploy.exported_network import ExportedNetwork
from pipeline.interpret import ModelAnalysis
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
            same_predictions=measured.same_predictions,
        ),
        predictions=network.classify(test.images),
        tensors={f"{network.bits}bit.{name}": t for name, t in tensors.items()},
    )
