"""Renders a quantized network as C99: the code in c/*.jinja, with its tables.

`compilers.py` compiles the files and compares their results with the reference.
"""

import string
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.core import CLASSES, PIXELS
from pipeline.datasets import spec
from pipeline.deploy.checks import Outputs
from pipeline.deploy.integers import WHITE, IntegerNetwork
from pipeline.deploy.quantized import QuantizedModel
from pipeline.files import printable

SOURCES = ("digits.h", "digits.c", "selftest.h", "selftest.c", "example.c")
IMAGE_FILE = "image0.bin"  # 784 gray levels, row by row
WIDTH = 80  # columns of a table
CANDIDATES = 1000  # test images from which those of the self-test are selected
MAX_IMAGES = 8  # of the self-test; each takes 784 bytes of flash


def write_source(model: QuantizedModel, folder: Path) -> None:
    """Write the files in `SOURCES`, and test image 0 as input of example.c."""
    environment = Environment(
        loader=PackageLoader("pipeline.deploy", "c"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["comment"] = comment
    environment.filters["literal"] = literal
    values = {**_origin(model), **_tables(model.integers), **_selftest(model)}
    for name in SOURCES:
        text = environment.get_template(f"{name}.jinja").render(values)
        (folder / name).write_text(text, encoding="ascii")
    (folder / IMAGE_FILE).write_bytes(model.dataset.test.images[0].tobytes())


def comment(text: object) -> str:
    """Return text of unknown origin, changed so that it cannot end a C comment."""
    ascii_text = printable(str(text)).encode("ascii", "backslashreplace").decode()
    for special in ("*/", "/*", "??"):  # ?? starts a trigraph
        while special in ascii_text:
            ascii_text = ascii_text.replace(special, f"{special[0]} {special[1]}")
    return ascii_text


def literal(text: str) -> str:
    """Return text of unknown origin as a C string literal in UTF-8."""
    safe = f"{string.ascii_letters}{string.digits} -_.,:;()/+".encode()
    content = printable(text).encode("utf-8", "replace")
    return '"' + "".join(chr(b) if b in safe else f"\\{b:03o}" for b in content) + '"'


def _origin(model: QuantizedModel) -> dict[str, Any]:
    """Return what the comments say about the network."""
    known = model.trained.metadata.hyperparameters
    names = spec(model.trained.dataset).class_names
    settings = [f"{key}={value}" for key, value in known or ()]
    return {
        "sha256": model.trained.sha256,
        "training": " ".join(settings) or "not recorded",
        "dataset": model.dataset.name,  # not the path of a folder
        "class_names": names,
        "named": list(names) != [str(label) for label in range(CLASSES)],
        "finetune": model.finetuning_epochs,
        "accuracy": f"{model.accuracy:.2%}",
        "float_accuracy": f"{model.float_accuracy:.2%}",
        "same_answers": f"{model.same_answers:.2%}",
        "images": len(model.dataset.test),
    }


def _tables(network: IntegerNetwork) -> dict[str, Any]:
    """Return the constants of digits.h and digits.c."""
    assert network.hidden < 2**16, "the C code counts neurons in a uint_fast16_t"
    assert network.shift.max() < 32, "C does not define a shift by 32 or more bits"
    bits, hidden, packed = network.bits, network.hidden, pack_weights(network)
    return {
        "bits": bits,
        "hidden": hidden,
        "per_byte": 8 // bits,
        "log2_per_byte": (8 // bits).bit_length() - 1,
        "position_t": f"uint_fast{16 if PIXELS * hidden < 2**16 else 32}_t",
        "table_bytes": len(packed),
        "bounds": network.largest_values(),
        "scale_2": network.scale_2,
        "weights_1": rows(network.q1.T) if bits == 8 else numbers(packed, form="#04x"),
        "biases_1": numbers(network.b1q),
        "shifts": numbers(network.shift),
        "weights_2": rows(network.q2.T),
        "biases_2": numbers(network.b2q),
    }


def pack_weights(network: IntegerNetwork) -> UInt8[np.ndarray, " bytes"]:
    """Return the table: pixel by pixel, and for each pixel neuron by neuron.

    There are no gaps between pixels. The first weight of a byte is in its lowest bits,
    and unused bits of the last byte are 0.
    """
    weights = network.q1.T.ravel()  # (784 * hidden)
    if network.bits == 8:
        return weights.view(np.uint8)
    if network.bits == 4:
        codes = weights + 8
    elif network.bits == 2:
        codes = weights % 3
    else:
        codes = weights > 0
    codes = codes.astype(np.uint8)
    allowed = (1 << network.bits) - (network.bits == 2)
    assert codes.max() < allowed, "a weight does not fit in its bits"
    # (784 * hidden, bits), the lowest bit first
    bits = codes[:, None] >> np.arange(network.bits, dtype=np.uint8) & 1
    return np.packbits(bits, bitorder="little")


def selftest_rows(model: QuantizedModel) -> list[int]:
    """Select test images so that each hidden neuron fires in one of them, if possible.

    The first is image 0. Each of the others adds as many neurons as possible whose
    output is 2 to 254: then a wrong shift, or a wrong weight of layer_2, changes a
    logit. Neurons that only reach an output of 1 come last.
    """
    network, images = model.integers, model.dataset.test.images[:CANDIDATES]
    outputs = network.activations(network.sums(images))  # (candidates, hidden)
    selected = [0]
    for lowest in (2, 1):
        fires = (outputs >= lowest) & (outputs < WHITE)
        while len(selected) < MAX_IMAGES:
            added = (fires & ~fires[selected].any(axis=0)).sum(axis=1)
            if not added.any():
                break
            selected.append(int(added.argmax()))
    return selected


def _selftest(model: QuantizedModel) -> dict[str, Any]:
    """Return the images and results of selftest.c and example.c."""
    selected = selftest_rows(model)
    images = model.dataset.test.images[selected]
    white = np.full_like(images[:1], WHITE)
    expected = Outputs.of(model.integers, np.concatenate([images, white]))
    names = [printable(name) for name in spec(model.trained.dataset).class_names]
    width = max(len(name.encode()) for name in names)
    answer = names[int(expected.logits[0].argmax())]
    lines = [
        f"{name}{' ' * (width - len(name.encode()))} {logit:11d}"
        for name, logit in zip(names, expected.logits[0].tolist(), strict=True)
    ]
    return {
        "selftest_count": len(selected),
        "selftest_rows": ", ".join(map(str, selected)),
        "selftest_images": "\n".join(map(_image, images)),
        "expected_sums": rows(expected.sums),
        "expected_logits": rows(expected.logits),
        "expected_output": [*lines, f"answer: {answer}"],
        "answer_text": f"The answer to image 0 is {answer}",
        "name_width": width,
    }


def rows(matrix: Integer[np.ndarray, "rows columns"]) -> str:
    """Format a matrix as an initializer: each row in braces, wrapped at `WIDTH`."""
    lines = [
        textwrap.fill(
            "{" + ", ".join(map(str, row)) + "},",
            WIDTH,
            initial_indent="    ",
            subsequent_indent="     ",
        )
        for row in matrix.tolist()
    ]
    return "\n".join(lines)


def numbers(values: Integer[np.ndarray, " n"], *, form: str = "d") -> str:
    """Format numbers as lines of an initializer."""
    text = " ".join(f"{value:{form}}," for value in values.tolist())
    return textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def _image(image: UInt8[np.ndarray, "28 28"]) -> str:
    """Format an image in columns, so that its rows show it."""
    lines = (" ".join(f"{value:3d}," for value in row) for row in image.tolist())
    return "\n".join(["    {", *(f"    {line}" for line in lines), "    },"])
