"""network.onnx: the trained floating-point network, for tools that read ONNX.

The network takes any number of images with pixels in [0, 1], and returns logits and
probabilities. The README explains why there is no ONNX file of the integers.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import UInt8
from onnx import numpy_helper
from onnxruntime import InferenceSession, SessionOptions
from scipy.special import softmax

from pipeline.core import WHITE
from pipeline.core.network import snapshot
from pipeline.deploy.checks import Check
from pipeline.model import TrainedNetwork

FILE = "network.onnx"
# Opset 13 and IR version 7 belong to onnx 1.8 (2020): old enough for embedded tools.
MODEL = """
<ir_version: 7, opset_import: ["": 13], producer_name: "digit-pipeline",
 doc_string: "Classifies images of 28x28 pixels; a pixel is its gray level / 255.">
network (float[n, 28, 28] pixels) => (float[n, 10] logits, float[n, 10] probabilities)
{
    inputs = Flatten (pixels)
    sums = Gemm <transB = 1> (inputs, layer_1_weight, layer_1_bias)
    hidden = Relu (sums)
    logits = Gemm <transB = 1> (hidden, layer_2_weight, layer_2_bias)
    probabilities = Softmax (logits)
}
"""
# Tolerance of probabilities and logits. For logits, the tolerance is relative to the
# largest logit of the image if this logit is above 1. A small logit can be a sum of
# large terms that cancel. The predicted class is the same unless two logits are closer
# than twice the tolerance.
TOLERANCE = 1e-4


def write_onnx(trained: TrainedNetwork, folder: Path) -> None:
    """Write `network.onnx`; the same network always gives a byte-identical file."""
    model = onnx.parser.parse_model(MODEL)
    for name, array in snapshot(trained.network).items():
        tensor = numpy_helper.from_array(array, name.replace(".", "_"))
        model.graph.initializer.append(tensor)
    onnx.helper.set_model_props(model, {"weights_sha256": trained.weights_sha256})
    onnx.checker.check_model(model, full_check=True)
    (folder / FILE).write_bytes(model.SerializeToString(deterministic=True))


def check_onnx(
    trained: TrainedNetwork, folder: Path, images: UInt8[np.ndarray, "n 28 28"]
) -> Check:
    """Compare the file, in onnxruntime with one thread, with the trained network."""
    versions = {name: version(name) for name in ("onnx", "onnxruntime")}
    return Check(
        f"{FILE}, onnxruntime {versions['onnxruntime']}",
        images=len(images),
        compared=f"logits and probabilities (within {TOLERANCE})",
        difference=_difference(trained, folder / FILE, images),
        tools=versions,
    )


def _difference(
    trained: TrainedNetwork, path: Path, images: UInt8[np.ndarray, "n 28 28"]
) -> str:
    """Describe the first logit or probability that differs from the expected value."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    pixels = images / np.float32(WHITE)
    logits, probabilities = session.run(None, {"pixels": pixels})
    expected = trained.network.logits(images).numpy()  # (n, 10)
    largest = np.abs(expected).max(axis=1, keepdims=True, initial=1)
    for name, actual, wanted, limit in (
        ("logits", logits, expected, TOLERANCE * largest),
        # The softmax of the file's logits, so that their errors are not counted twice.
        ("probabilities", probabilities, softmax(logits, axis=1), TOLERANCE),
    ):
        wrong = np.argwhere(
            ~(np.abs(actual - wanted) <= limit)
        )  # NaN counts as a difference
        if len(wrong):
            row, column = wrong[0].tolist()
            values = f"{actual[row, column]:.6g}, not {wanted[row, column]:.6g}"
            return f"image {row}: {name}[{column}] is {values}"
    return ""
