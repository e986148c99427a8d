"""The page of `interpret` with a switch between the bit widths of the weights."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from pipeline.core.dataset import Dataset, LabeledImages
from pipeline.deploy.output import ExportedNetwork
from pipeline.interpret import ModelAnalysis, report
from pipeline.interpret.report.page import ACTIVATION_IMAGES
from pipeline.model import TrainedModel


def render_page(
    trained: TrainedModel,
    dataset: Dataset,
    exports: Sequence[ExportedNetwork],
    *,
    name: str,
) -> str | None:
    """Return the page of a network with at least one export; see `report.render`."""
    analysis = ModelAnalysis.of(trained, dataset)
    versions = [_version(exported, dataset.test) for exported in exports]
    return report.render(analysis, name=name, integers=versions)


def _version(exported: ExportedNetwork, test: LabeledImages) -> report.IntegerVersion:
    network, results = exported.integers, exported.facts
    tensors = asdict(network)
    del tensors["bits"], tensors["scale_2"]
    sums = network.sums(test.images[:ACTIVATION_IMAGES])
    tensors["activations"] = network.activations(sums).astype(np.uint8)  # 0 to 255
    names = ("finetune", "table_bytes", "accuracy", "same_answers")
    numbers = {name: results[name] for name in names}
    return report.IntegerVersion(
        data=report.BitWidthData(network.bits, scale_2=network.scale_2, **numbers),
        predictions=network.classify(test.images),
        tensors={f"{network.bits}bit.{name}": t for name, t in tensors.items()},
    )
