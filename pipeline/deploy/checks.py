"""Compares the integers of an implementation with the integers of the reference.

c/host.c documents the bytes that a program writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8

from pipeline import UserError
from pipeline.base.text import neuron_name, wrap
from pipeline.core import CLASSES
from pipeline.integers import IntegerNetwork

HEADER = 2  # bytes that a program writes before the results of the images


@dataclass(frozen=True, eq=False)
class Outputs:
    """The results of an implementation for some images."""

    sums: Int64[np.ndarray, "n hidden"]  # the sums of layer 1
    logits: Int64[np.ndarray, "n 10"]

    @classmethod
    def of(
        cls, network: IntegerNetwork, images: UInt8[np.ndarray, "n 28 28"]
    ) -> "Outputs":
        """Compute the sums and logits with the reference."""
        sums = network.sums(images)
        return cls(sums, network.logits(sums))

    def first_difference(self, expected: "Outputs") -> str:
        """Describe the first value that differs; return "" if all are equal."""
        for layer, name in ((1, "sums"), (2, "logits")):
            actual, wanted = getattr(self, name), getattr(expected, name)
            if actual.shape != wanted.shape:
                return f"{name} have the shape {actual.shape}, not {wanted.shape}"
            rows, columns = np.nonzero(actual != wanted)
            if len(rows):
                row, column = int(rows[0]), int(columns[0])
                neuron = neuron_name(layer, column)
                values = f"{actual[row, column]}, not {wanted[row, column]}"
                return f"image {row}: the sum of {neuron} is {values}"
        return ""


@dataclass(frozen=True)
class Check:
    """The result of a comparison with the reference."""

    name: str  # the implementation, such as "C code, gcc 14.2.0"
    images: int = 0  # the number of compared images
    compared: str = "sums and logits"  # the values that were compared
    difference: str = ""  # the first difference; "" if there is none
    skipped: str = ""  # why nothing was compared; "" if images were compared
    tools: Mapping[str, str] = field(default_factory=dict)  # versions of tools, by name


def result_type(hidden: int) -> np.dtype[np.void]:
    """Return the type of the record that a program writes for each image."""
    integers = [("sums", "i4", (hidden,)), ("logits", "i4", (CLASSES,))]
    return np.dtype([*integers, ("class", "u1")])


def compare(
    output: bytes, record: np.dtype[np.void], expected: Outputs, *, name: str
) -> str:
    """Compare the output of a program with the reference; return the first difference.

    Raises:
        UserError: If the program `name` wrote too few or too many bytes.
    """
    images = len(expected.sums)
    size = HEADER + images * record.itemsize
    if len(output) != size:
        written = f"{len(output):,} bytes for {images:,} images, not {size:,}"
        raise UserError(f"{name} failed: it wrote {written}")
    selftest, class_of_equal = output[:HEADER]
    results = np.frombuffer(output, record, offset=HEADER)
    sums, logits = (results[x].astype(np.int64) for x in ("sums", "logits"))
    difference = Outputs(sums, logits).first_difference(expected)
    if difference:
        return difference
    if selftest:
        return f"the self-test returned {selftest}, not 0"
    if class_of_equal:
        return f"for equal logits, the predicted class is {class_of_equal}, not 0"
    classes = expected.logits.argmax(axis=1)
    for row in np.flatnonzero(results["class"] != classes)[:1].tolist():
        return f"image {row}: the class is {results['class'][row]}, not {classes[row]}"
    return ""


def describe_checks(exports: Sequence[Sequence[Check]]) -> str:
    """Return a line for each comparison of exports; skipped comparisons come last."""
    images: dict[tuple[bool, str], list[int]] = {}  # by (skipped, text)
    for checks in exports:
        for check in checks:
            text = f"{check.name}: {check.skipped or check.compared}"
            images.setdefault((bool(check.skipped), text), []).append(check.images)
    lines = ["Compared with NumPy (integers) and with PyTorch (floating point):"]
    for (skipped, text), counts in sorted(images.items(), key=lambda item: item[0][0]):
        start = "  not run  " if skipped else "  equal    "
        text += "" if skipped else f" of {sum(counts):,} images"
        if len(exports) > 1:
            text += "" if skipped else " in total"
            text += f" ({len(counts):,} of {len(exports):,} exports)"
        lines.append(wrap(text, indent=len(start), start=start))
    return "\n".join(lines)
