"""ONNX files of a trained network and of its integers, and their comparison.

`network.onnx` is the trained network in floats: pixels in [0, 1] -> logits and
probabilities. `network_int.onnx` computes the integers of `integers.py`: gray levels,
0 to 255 -> sums of layer_1 and logits. Both take any number of images.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from jaxtyping import UInt8
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnxruntime import InferenceSession, SessionOptions
from scipy.special import softmax

from pipeline.core import CLASSES, SIDE
from pipeline.core.network import snapshot, to_pixels
from pipeline.deploy.checks import Check, Outputs
from pipeline.deploy.integers import WHITE
from pipeline.deploy.quantized import QuantizedModel

FLOAT_FILE, INTEGER_FILE = "network.onnx", "network_int.onnx"
OPSET, IR_VERSION = 13, 7  # of onnx 1.8 (2020): old enough for embedded tools
# Of probabilities and, relative to the largest logit of an image if that is above 1, of
# logits: a small logit has the rounding errors of large terms that cancel.
TOLERANCE = 1e-4
# onnxruntime's CPU provider implements MatMul, Add, Max and Min for int32, and BitShift
# for uint32 but not for int32. MatMulInteger and quantized layers (QDQ) give different
# sums on processors without VNNI.
INTEGER_NODES = (
    ("Flatten", "images", "pixels_uint8"),  # (n, 784)
    ("Cast int32", "pixels_uint8", "pixels"),
    ("Cast int32", "q1", "weights_1"),
    ("MatMul", "pixels weights_1", "products_1"),  # (n, hidden)
    ("Add", "products_1 b1q", "sums"),
    ("Max", "sums zero", "positive"),
    ("Add", "positive rounding", "rounded"),
    ("Cast uint32", "rounded", "rounded_uint32"),
    ("BitShift RIGHT", "rounded_uint32 shift", "shifted_uint32"),
    ("Cast int32", "shifted_uint32", "shifted"),
    ("Min", "shifted white", "hidden"),
    ("Cast int32", "q2", "weights_2"),
    ("MatMul", "hidden weights_2", "products_2"),  # (n, 10)
    ("Add", "products_2 b2q", "logits"),
)
FLOAT_NODES = (
    ("Flatten", "pixels", "inputs"),  # (n, 784)
    ("Gemm transB", "inputs layer_1.weight layer_1.bias", "sums"),
    ("Relu", "sums", "hidden"),
    ("Gemm transB", "hidden layer_2.weight layer_2.bias", "logits"),
    ("Softmax", "logits", "probabilities"),
)


def write_onnx(model: QuantizedModel, folder: Path) -> None:
    """Write `network.onnx` and `network_int.onnx`, with the same bytes every time."""
    _write_float(model, folder / FLOAT_FILE)
    _write_integers(model, folder / INTEGER_FILE)


def check_onnx(
    folder: Path,
    model: QuantizedModel,
    images: UInt8[np.ndarray, "n 28 28"],
    expected: Outputs,
) -> list[Check]:
    """Compare both files with the network, in onnxruntime on one thread."""
    versions = {name: version(name) for name in ("onnx", "onnxruntime")}
    floats = Check(
        f"{FLOAT_FILE}, onnxruntime {versions['onnxruntime']}",
        images=len(images),
        compared=f"logits (to {TOLERANCE}) and answers",
        difference=_float_difference(folder / FLOAT_FILE, model, images),
        tools=versions,
    )
    sums, logits = _run(folder / INTEGER_FILE, images, ["sums", "logits"])
    outputs = Outputs(sums.astype(np.int64), logits.astype(np.int64))
    integers = Check(
        f"{INTEGER_FILE}, onnxruntime {versions['onnxruntime']}",
        images=len(images),
        difference=outputs.first_difference(expected),
        tools=versions,
    )
    return [floats, integers]


def _write_float(model: QuantizedModel, path: Path) -> None:
    float32 = TensorProto.FLOAT
    _write(
        path,
        FLOAT_NODES,
        constants=snapshot(model.trained.network),
        inputs=[_value("pixels", float32, SIDE, SIDE, about="gray level / 255")],
        outputs=[
            _value("logits", float32, CLASSES),
            _value("probabilities", float32, CLASSES, about="softmax of the logits"),
        ],
        about="Classifies images of 28x28 pixels; the trained network in floats.",
        metadata={"weights_sha256": model.trained.sha256},
    )


def _write_integers(model: QuantizedModel, path: Path) -> None:
    network, int32 = model.integers, TensorProto.INT32
    _write(
        path,
        INTEGER_NODES,
        constants={
            "q1": network.q1.T,  # (784, hidden)
            "b1q": network.b1q,
            "zero": np.array(0, np.int32),
            "rounding": network.rounding.astype(np.int32),
            "shift": network.shift.astype(np.uint32),
            "white": np.array(WHITE, np.int32),
            "q2": network.q2.T,  # (hidden, 10)
            "b2q": network.b2q,
        },
        inputs=[_value("images", TensorProto.UINT8, SIDE, SIDE, about="gray levels")],
        outputs=[
            _value("sums", int32, network.hidden, about="of layer_1, with biases"),
            _value("logits", int32, CLASSES, about="times scale_2: the real logits"),
        ],
        about="Classifies images of 28x28 pixels; the network in integers.",
        metadata={
            "weights_sha256": model.trained.sha256,
            "bits": network.bits,
            "finetune": model.finetuning_epochs,
            "scale_2": network.scale_2,
        },
    )


def _value(name: str, kind: int, *shape: int, about: str = "") -> ValueInfoProto:
    """Describe an input or output of n images."""
    return helper.make_tensor_value_info(name, kind, ["n", *shape], doc_string=about)


def _node(operator: str, inputs: str, output: str) -> NodeProto:
    """Make a node of the graph, such as "Cast int32"."""
    kind, _, option = operator.partition(" ")
    attributes: dict[str, Any] = {}
    if kind == "Cast":
        attributes["to"] = TensorProto.DataType.Value(option.upper())
    elif kind == "BitShift":
        attributes["direction"] = option
    elif kind == "Gemm":
        attributes[option] = 1
    return helper.make_node(kind, inputs.split(), [output], name=output, **attributes)


def _write(
    path: Path,
    nodes: Sequence[tuple[str, str, str]],
    *,
    constants: dict[str, np.ndarray],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    about: str,
    metadata: dict[str, object],
) -> None:
    """Write a model; the same model always gives the same bytes."""
    graph = helper.make_graph(
        [_node(*node) for node in nodes],
        path.stem,
        inputs,
        outputs,
        # numpy_helper writes the memory of an array, so a transposed one is copied.
        [
            numpy_helper.from_array(np.asarray(array, order="C"), name)
            for name, array in constants.items()
        ],
        doc_string=about,
    )
    model = helper.make_model(
        graph,
        producer_name="digit-pipeline",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _run(path: Path, images: np.ndarray, outputs: list[str]) -> list[np.ndarray]:
    """Return outputs of a file for images, which are (n, 28, 28)."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    results: list[np.ndarray] = session.run(outputs, {given.name: images})
    return results


def _float_difference(
    path: Path, model: QuantizedModel, images: UInt8[np.ndarray, "n 28 28"]
) -> str:
    """Describe the first result or answer that differs from PyTorch's."""
    names = ["logits", "probabilities"]
    logits, probabilities = _run(path, to_pixels(images).numpy(), names)
    expected = model.trained.network.logits(images).numpy()  # (n, 10)
    largest = np.abs(expected).max(axis=1, keepdims=True, initial=1)
    for name, actual, wanted, limit in (
        ("logits", logits, expected, TOLERANCE * largest),
        # Of the logits in the file: a large logit has a large rounding error.
        ("probabilities", probabilities, softmax(logits, axis=1), TOLERANCE),
    ):
        wrong = np.argwhere(~(np.abs(actual - wanted) <= limit))  # nan is wrong, too
        if len(wrong):
            row, column = wrong[0].tolist()
            values = f"{actual[row, column]:.6g}, not {wanted[row, column]:.6g}"
            return f"image {row}: {name}[{column}] is {values}"
    answers, wanted_answers = logits.argmax(axis=1), expected.argmax(axis=1)
    for row in np.flatnonzero(answers != wanted_answers)[:1].tolist():
        return f"image {row}: {answers[row]}, not {wanted_answers[row]}"
    return ""
