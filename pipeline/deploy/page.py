"""The page of `interpret` with a switch between the widths of the weights."""

from collections.abc import Mapping

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
    return report.IntegerVersion(
        bits=network.bits,
        q1=network.q1,
        b1q=network.b1q,
        shift=network.shift,
        q2=network.q2,
        b2q=network.b2q,
        scale_1=network.scale_1,
        scale_2=network.scale_2,
        activations=network.activations(network.sums(images)),
        answers=model.answers,
        accuracy=model.accuracy,
        same_answers=model.same_answers,
        table_bytes=network.table_bytes,
        finetuning_epochs=model.finetuning_epochs,
    )
