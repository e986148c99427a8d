"""The files of a quantized network, and the comparison of its implementations."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipeline import UserError, plots
from pipeline.base import files
from pipeline.base.text import short_repr
from pipeline.deploy.c_source import write_source
from pipeline.deploy.checks import Check, Outputs
from pipeline.deploy.compilers import COMPILERS, check_compiled
from pipeline.deploy.probes import probe_images
from pipeline.integers import (
    INTEGERS_FILE,
    ExportReport,
    IntegerNetwork,
    QuantizedModel,
    save_integers,
)
from pipeline.model import TrainedNetwork

REPORT_FILE = "report.json"
WEIGHTS_PLOT, CHANGES_PLOT = "weights.png", "changed.png"
ONNX_PACKAGES = ("onnx", "onnxruntime")


@dataclass(frozen=True, eq=False)
class ExportedNetwork:
    """The result of a job, without tensors and data set, for transfer from a worker."""

    integers: IntegerNetwork
    report: ExportReport
    dead_neurons: Sequence[int]  # see `QuantizedModel.dead_neurons`
    checks: Sequence[Check]
    files: Mapping[str, bytes]  # by name

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all files."""
        report = self.report
        return short_repr(self, bits=report.bits, accuracy=report.accuracy)

    def write(self, folder: Path) -> None:
        """Write the files to a folder, which is created if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def export_quantized(model: QuantizedModel) -> ExportedNetwork:
    """Create all files of a quantized network, and compare its implementations.

    Raises:
        UserError: If the implementations differ, or a tool such as a compiler fails.
    """
    report = model.report
    images = compared_images(model)
    expected = Outputs.of(model.integers, images)
    with TemporaryDirectory(prefix="digits-") as temporary:
        folder = Path(temporary)
        save_integers(folder / INTEGERS_FILE, model)
        files.write_json(folder / REPORT_FILE, asdict(report))
        plot_weights(model).save(folder / WEIGHTS_PLOT)
        plot_changes(model).save(folder / CHANGES_PLOT)
        write_source(model, folder)
        checks = [export_onnx(model.trained, folder, images)]
        contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        checks += [
            check_compiled(compiler, folder, images, expected) for compiler in COMPILERS
        ]
    differences = [f"{c.name}: {c.difference}" for c in checks if c.difference]
    if differences:
        raise UserError(
            f"the implementations with {model.integers.bit_width} differ: "
            f"{'; '.join(differences)}"
        )
    return ExportedNetwork(model.integers, report, model.dead_neurons, checks, contents)


def export_onnx(
    trained: TrainedNetwork, folder: Path, images: UInt8[np.ndarray, "n 28 28"]
) -> Check:
    """Write and compare network.onnx, if the packages for ONNX are installed."""
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        reason = f"network.onnx needs {names}: pip install -e '.[export]'"
        return Check("onnxruntime", skipped=reason)
    from pipeline.deploy.onnx_file import check_onnx, write_onnx

    write_onnx(trained, folder)
    return check_onnx(trained, folder, images)


def compared_images(model: QuantizedModel) -> UInt8[np.ndarray, "n 28 28"]:
    """Return the images of the comparisons: test images, then probe images."""
    generator = np.random.default_rng(0)
    probes = probe_images(model.integers, generator=generator)
    return np.concatenate([model.dataset.test.images, probes])


def plot_weights(model: QuantizedModel) -> Image.Image:
    """Plot the weights of layer 1 and the weights that the integers represent."""
    kernel, _ = model.trained.network.layer_1.get_weights()
    integers = model.integers
    return plots.rounded_weights(
        kernel.T.astype(float),
        integers.weights_1 * integers.scale_1[:, None],
        always_zero=model.trained.always_zero(model.dataset),
        bit_width_text=str(integers.bit_width),
        largest=integers.bit_width.largest,
        finetuned=model.finetuning_epochs > 0,
    )


def plot_changes(model: QuantizedModel) -> Image.Image:
    """Plot the test images whose prediction differs after quantization."""
    test = model.dataset.test
    return plots.changed_predictions(
        test.images,
        test.labels,
        model.float_predictions,
        model.predictions,
        class_names=model.trained.spec.class_names,
        bit_width_text=str(model.integers.bit_width),
    )
