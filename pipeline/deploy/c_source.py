"""Renders a quantized network as C99: the code in c/*.jinja, with its tables.

`compilers.py` compiles the files and compares their results with the reference.
"""

import shutil
import string
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8

from pipeline.base.templates import template_environment
from pipeline.base.text import printable
from pipeline.core import CLASSES, WHITE
from pipeline.deploy.checks import Outputs
from pipeline.integers import MAX_OUTPUT, QuantizedModel

SOURCES = ("digits.h", "digits.c", "selftest.h", "selftest.c", "example.c")
STRAIGHTEN = Path(__file__).parent / "c" / "straighten.c"  # for mnist_upright
IMAGE_FILE = "image0.bin"  # 784 gray levels, row by row
WIDTH = 80  # columns of a table
CANDIDATES = 1000  # test images from which the self-test's images are selected
MAX_SELFTEST_IMAGES = 8  # images in the self-test; each takes 784 bytes of flash


def write_source(model: QuantizedModel, folder: Path) -> None:
    """Write the files in `SOURCES`, and test image 0 as input of example.c.

    A network trained on mnist_upright also needs straighten.c, which is not a template.
    """
    network = model.integers
    assert network.hidden < 2**16, "the C code counts neurons in a uint_fast16_t"
    assert network.shifts.max() < 32, "C does not define a shift by 32 or more bits"
    filters = (comment, literal, rows, numbers, image, percent)
    templates = template_environment(
        "pipeline.deploy", "c", *filters, keep_trailing_newline=True
    )
    metadata = model.trained.metadata
    settings = dict(metadata.hyperparameters) if metadata else {}
    dataset = model.trained.spec
    names = dataset.class_names
    values = {
        "report": model.report,
        "network": network,
        "stored_bits": network.bit_width.stored_bits,
        "packed": network.bit_width.pack(network.weights_1),
        "training": " ".join(f"{k}={v}" for k, v in settings.items()) or "not recorded",
        "class_names": names,
        "is_upright": dataset.is_upright,
        "named": [*names] != [*map(str, range(CLASSES))],
        **_selftest(model),
    }
    for name in SOURCES:
        text = templates.get_template(f"{name}.jinja").render(values)
        (folder / name).write_text(text, encoding="ascii")
    if dataset.is_upright:
        shutil.copyfile(STRAIGHTEN, folder / STRAIGHTEN.name)
    (folder / IMAGE_FILE).write_bytes(model.dataset.test.images[0].tobytes())


def percent(share: float) -> str:
    """Format a fraction in [0, 1] in percent."""
    return f"{share:.2%}"


def comment(text: object) -> str:
    """Change text of unknown origin so that the text cannot end a C comment."""
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


def selftest_rows(model: QuantizedModel) -> list[int]:
    """Select test images that together activate as many hidden neurons as possible.

    The first image is image 0. Each additional image adds as many neurons as possible
    with an output from 2 to 254. With such an output, a wrong shift or a wrong weight
    of layer 2 changes a logit. Neurons that only reach an output of 1 come last.
    """
    network = model.integers
    images = model.dataset.test.images[:CANDIDATES]
    outputs = network.activations(network.sums(images))  # (candidates, hidden)
    selected = [0]
    for lowest in (2, 1):
        fires = (outputs >= lowest) & (outputs < MAX_OUTPUT)
        while len(selected) < MAX_SELFTEST_IMAGES:
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
    names = [printable(name) for name in model.trained.spec.class_names]
    width = max(len(name.encode()) for name in names)
    return {
        "selected": selected,
        "images": images,
        "expected": expected,
        "expected_lines": [
            f"{name}{' ' * (width - len(name.encode()))} {logit:11d}"
            for name, logit in zip(names, expected.logits[0].tolist(), strict=True)
        ],
        "predicted": names[int(expected.logits[0].argmax())],
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


def image(pixels: UInt8[np.ndarray, "28 28"]) -> str:
    """Format an image in columns, so that the lines of the code show the digit."""
    lines = (" ".join(f"{value:3d}," for value in row) for row in pixels.tolist())
    return "\n".join(["    {", *(f"    {line}" for line in lines), "    },"])
