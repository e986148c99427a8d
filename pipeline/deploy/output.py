"""The files of a quantised network, and their comparison with the reference.

`export_model` writes one network with one width into one folder; it can run in a
process of its own.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipeline import datasets, files, plots
from pipeline.deploy.c_source import write_source
from pipeline.deploy.checks import Check
from pipeline.deploy.emulators import check_on_emulators
from pipeline.deploy.host import check_on_host
from pipeline.deploy.onnx_files import check_onnx, missing_packages, write_onnx
from pipeline.deploy.probes import probe_images
from pipeline.deploy.quantized import INTEGERS_FILE, QuantizedModel, bits_text

REPORT_FILE = "report.json"
WEIGHTS_PLOT, CHANGES_PLOT = "weights.png", "changed.png"


def export_model(model: QuantizedModel, folder: Path, *, verify: str) -> list[Check]:
    """Write all files of a quantised network, and compare its implementations.

    Args:
        model: The network, its integers and its data set.
        folder: An existing, empty folder.
        verify: "host" for the checks on this computer, "all" to add the emulators.

    Returns:
        A check for each implementation; its `difference` is "" if there is none.

    Raises:
        UserError: If a tool fails, such as the C compiler.
    """
    model.save(folder / INTEGERS_FILE)
    files.write_json(folder / REPORT_FILE, report(model))
    plot_weights(model).save(folder / WEIGHTS_PLOT)
    plot_changes(model).save(folder / CHANGES_PLOT)
    write_source(model, folder)
    if not missing_packages():
        write_onnx(model, folder)
    images, test = check_images(model), len(model.dataset.test)
    checks = check_onnx(folder, model, images)
    checks += check_on_host(folder, model.integers, images)
    if verify == "all":
        checks += check_on_emulators(folder, model.integers, images, measured=test)
    return checks


def check_images(model: QuantizedModel) -> UInt8[np.ndarray, "n 28 28"]:
    """Return the images with which implementations are compared: test and probes."""
    generator = np.random.default_rng(0)
    probes = probe_images(model.integers, generator=generator)
    return np.concatenate([model.dataset.test.images, probes])


def report(model: QuantizedModel) -> dict[str, Any]:
    """Return the results that are the same on every machine, ready for JSON.

    After fine-tuning, they depend on the type of the processor, as training does.
    """
    return {
        "bits": model.integers.bits,
        "finetune": model.finetuning_epochs,
        "hidden": model.integers.hidden,
        "dataset": model.dataset.name,
        "test_images": len(model.dataset.test),
        "accuracy": model.accuracy,
        "float_accuracy": model.float_accuracy,
        "same_answers": model.same_answers,
        "table_bytes": model.integers.table_bytes,
        "weights_sha256": model.trained.sha256,
    }


def plot_weights(model: QuantizedModel) -> Image.Image:
    """Plot the weights of layer_1 beside those that the integers represent."""
    kernel, _ = model.trained.network.layer_1.get_weights()
    integers = model.integers
    train = model.dataset.split(model.trained.split).train
    return plots.rounded_weights(
        kernel.T.astype(float),
        integers.q1 * integers.scale_1[:, None],
        always_zero=~train.images.any(axis=0).ravel(),
        width=bits_text(integers.bits),
    )


def plot_changes(model: QuantizedModel) -> Image.Image:
    """Plot the test images whose answer in integers differs from that in floats."""
    test = model.dataset.test
    return plots.changed_answers(
        test.images,
        test.labels,
        model.float_answers,
        model.answers,
        class_names=datasets.spec(model.trained.dataset).class_names,
        width=bits_text(model.integers.bits),
    )
