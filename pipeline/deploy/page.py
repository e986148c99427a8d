"""The page of `interpret` with a switch between the widths of the weights."""

from collections.abc import Mapping

import numpy as np

from pipeline.deploy.quantized import QuantizedModel
from pipeline.interpret import ModelAnalysis, report
from pipeline.interpret.report.page import ACTIVATION_IMAGES

PAGE_FILE = "report.html"  # in outputs/export/


def render_page(models: Mapping[int, QuantizedModel], *, name: str) -> str:
    """Return a self-contained HTML page of at most 2 MB.

    Args:
        models: At least one, by width; all come from the same trained network.
        name: The name of the network.
    """
    first = next(iter(models.values()))
    analysis = ModelAnalysis.of(first.trained, first.dataset)
    versions = [_version(model) for _, model in sorted(models.items(), reverse=True)]
    return report.render(analysis, name=name, integers=versions)


def _version(model: QuantizedModel) -> report.IntegerVersion:
    network = model.integers
    images = model.dataset.test.images[:ACTIVATION_IMAGES]
    names = ("q1", "b1q", "shift", "q2", "b2q", "scale_1")
    tensors = {name: getattr(network, name) for name in names}
    activations = network.activations(network.sums(images))  # 0 to 255
    tensors["activations"] = activations.astype(np.uint8)
    return report.IntegerVersion(
        answers=model.answers,
        tensors={f"{network.bits}bit.{name}": t for name, t in tensors.items()},
        metadata={
            "bits": network.bits,
            "scale_2": network.scale_2,
            "accuracy": model.accuracy,
            "same_answers": model.same_answers,
            "table_bytes": network.table_bytes,
            "finetuning_epochs": model.finetuning_epochs,
        },
    )
