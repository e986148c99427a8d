"""Worksheets that show a neuron's sum in integers beside the same sum in floats.

As in `interpret/worksheet.py`, the printed numbers add up exactly: integers are exact,
all other numbers are rounded before they are added, multiplied or subtracted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import files
from pipeline.console import table
from pipeline.datasets import DatasetSpec
from pipeline.deploy.integers import WHITE, IntegerNetwork
from pipeline.interpret.output import term_rows
from pipeline.interpret.worksheet import (
    MAX_TERMS,
    PreActivation,
    formula,
    notes,
    probabilities,
    rounded,
)
from pipeline.terminal import wrap

WEIGHTS = {8: "-127 to 127", 4: "-7 to 7", 2: "-1, 0 or 1", 1: "-1 or 1"}  # by bits


@dataclass(frozen=True)
class IntegerSum:
    """The sum of a neuron for an image, in integers and in floats."""

    in_floats: PreActivation
    weights: Int64[np.ndarray, " inputs"]
    inputs: Int64[np.ndarray, " inputs"]  # gray levels, or outputs of layer_1
    bias: int
    scale: Decimal  # of a weight in layer_1, of the sum in layer_2; as it is printed
    shift: int  # n; 0 in layer_2

    @property
    def terms(self) -> Int64[np.ndarray, " inputs"]:
        """The products of weights and inputs."""
        return np.asarray(self.weights * self.inputs)

    @property
    def unit(self) -> Decimal:
        """What a sum of 1 stands for, as it is printed."""
        is_hidden = self.in_floats.layer == 1
        return _significant(self.scale / WHITE) if is_hidden else self.scale

    @property
    def total(self) -> int:
        """The sum."""
        return int(self.terms.sum()) + self.bias

    def value(self, integer: int) -> Decimal:
        """Return what an integer of the sum stands for, rounded."""
        return rounded(integer * self.unit)


def integer_sums(
    network: IntegerNetwork,
    image: UInt8[np.ndarray, "28 28"],
    in_floats: Mapping[str, PreActivation],
) -> dict[str, IntegerSum]:
    """Return the sum of every neuron by name, beside those of `pre_activations`."""
    grey = image.reshape(-1).astype(np.int64)
    outputs = network.activations(network.sums(image[None]))[0]
    by_name = {}
    for name, neuron in in_floats.items():
        k = neuron.number - 1
        if neuron.layer == 1:
            weights, biases, inputs = network.q1, network.b1q, grey
            scale, shift = network.scale_1[k], int(network.shift[k])
        else:
            weights, biases, inputs = network.q2, network.b2q, outputs
            scale, shift = network.scale_2, 0
        by_name[name] = IntegerSum(
            neuron,
            weights[k].astype(np.int64),
            inputs,
            int(biases[k]),
            _significant(scale),
            shift,
        )
    return by_name


def integer_worksheets(
    sums: Mapping[str, IntegerSum],
    neurons: Sequence[str],
    spec: DatasetSpec,
    *,
    bits: int,
) -> str:
    """Return worksheets of the neurons and, if needed, of the answer, with notes.

    The notes are in worksheet.txt.
    """
    selected = [sums[name] for name in neurons]
    parts = [sum_worksheet(neuron, spec) for neuron in selected]
    layers = {neuron.in_floats.layer for neuron in selected}
    if 2 in layers:
        logits = [each for each in sums.values() if each.in_floats.layer == 2]
        parts.append(answer_worksheet(logits, spec))
    environment = Environment(
        loader=PackageLoader("pipeline.deploy", ""),
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    template = environment.get_template("worksheet.txt")
    text = template.render(layers=layers, weights=WEIGHTS[bits])
    in_floats = notes([neuron.in_floats for neuron in selected])
    return "\n\n".join([*parts, f"{text}\n{in_floats}"])


def sum_worksheet(neuron: IntegerSum, spec: DatasetSpec) -> str:
    """Return a neuron's sum: the largest terms, the rest, the bias, and the result."""
    in_floats = neuron.in_floats
    is_hidden = in_floats.layer == 1
    # After fine-tuning, a term can be 0 in only one of the two.
    sizes = np.abs([in_floats.terms, neuron.terms * float(neuron.unit)]).max(axis=0)
    order = np.argsort(-sizes, kind="stable")[:MAX_TERMS]
    displayed = [int(k) for k in order if sizes[k]]
    rows, products = [], []
    for k in displayed:
        factors = rounded(in_floats.weights[k]), rounded(in_floats.inputs[k])
        product = _beside(neuron, in_floats.terms[k], int(neuron.terms[k]))
        numbers = *factors, product[0], neuron.weights[k], neuron.inputs[k], product[1]
        cells = [f"{number:,}" for number in numbers]
        rows.append([in_floats.term_names[k], *cells, f"{product[2]:+,}"])
        products.append(product)
    bias = _beside(neuron, in_floats.bias, neuron.bias)
    total = _beside(neuron, in_floats.z, neuron.total)
    others = (sum(column) for column in zip(bias, *products, strict=True))
    rest = [result - other for result, other in zip(total, others, strict=True)]
    names = ("rest", "C", "y") if is_hidden else ("rest", "bias", "z")
    for name, (number, integer, difference) in zip(
        names, (rest, bias, total), strict=True
    ):
        cells = ["", "", f"{number:,}", "", "", f"{integer:,}", f"{difference:+,}"]
        rows.append([name, *cells])
    columns = ["term", "weight", "x pixel", "= product", "q", "x gray", "= q·gray"]
    if not is_hidden:
        columns = ["term", "weight", "x neuron", "= product", "q", "x h", "= q·h"]
    title = "" if is_hidden else f", for {spec.title(in_floats.number - 1)}"
    zeros = int((sizes == 0).sum())
    lines = [
        f"{in_floats.neuron}: neuron {in_floats.number} of layer_{in_floats.layer}"
        f"{title}, in floats and in integers",
        formula(in_floats),
        table([*columns, "difference"], rows, left=["term"]),
        f"rest   smaller terms: {len(sizes) - zeros - len(displayed)}, equal to 0 in "
        f"both: {zeros}",
        *_steps(neuron),
    ]
    return "\n".join(lines)


def _beside(
    neuron: IntegerSum, number: float, integer: int
) -> tuple[Decimal, int, Decimal]:
    """Return a part of the sum in floats and in integers, and the difference."""
    decimal = rounded(number)
    return decimal, integer, neuron.value(integer) - decimal


def _steps(neuron: IntegerSum) -> list[str]:
    """Return the steps from the sum to what it stands for and to the output."""
    in_floats, total, unit = neuron.in_floats, neuron.total, neuron.unit
    value, z, name = neuron.value(total), rounded(in_floats.z), in_floats.neuron
    comparison = f"{total:,} · {unit} = {value:,}; {_subtraction(value, z)}"
    if in_floats.layer == 2:
        return [f"scale  {unit}", f"       {comparison}"]
    n, relu = neuron.shift, rounded(in_floats.relu)
    positive, r = max(0, total), (1 << n) >> 1
    shifted = (positive + r) >> n
    h = min(WHITE, shifted)
    output = rounded(h * (1 << n) * unit)
    return [
        f"scale  {neuron.scale}; scale/255 = {unit}",
        f"       {comparison}",
        f"ReLU   max(0, {total:,}) = {positive:,}",
        f"shift  n = {n}, r = {r:,}: ({positive:,} + {r:,}) >> {n} = {shifted:,}",
        f"clamp  min(255, {shifted:,}) = {h}: h of {name}",
        f"value  {h} · 2^{n} · {unit} = {output:,}; max(0, y) = {relu:,}",
        f"       {_subtraction(output, relu)}",
    ]


def _subtraction(a: Decimal, b: Decimal) -> str:
    second = f"({b:,})" if b < 0 else f"{b:,}"
    return f"{a:,} - {second} = {a - b:+,}"


def _significant(value: float | Decimal) -> Decimal:
    """Round to 8 significant digits."""
    return Decimal(f"{value:.7e}")


def answer_worksheet(logits: Sequence[IntegerSum], spec: DatasetSpec) -> str:
    """Return the ten logits in integers and in floats, and the answers."""
    z = np.array([logit.in_floats.z for logit in logits])
    integers = [logit.total for logit in logits]
    answers = {"floats": int(z.argmax()), "integers": integers.index(max(integers))}
    rows = []
    shares = probabilities(z)
    for k, logit in enumerate(logits):
        value, number = logit.value(logit.total), rounded(z[k])
        given = [name for name, answer in answers.items() if answer == k]
        answer = "both" if len(given) == 2 else "".join(given)
        numbers = f"{number:,}", f"{shares[k]}%", f"{logit.total:,}"
        cells = f"{value:,}", f"{value - number:+,}", answer
        rows.append([spec.class_names[k], logit.in_floats.neuron, *numbers, *cells])
    columns = [spec.noun, "neuron", "z", "softmax", "logit", "· scale", "difference"]
    grid = table([*columns, "answer"], rows, left=[spec.noun, "neuron", "answer"])
    text = (
        f"Answer: in floats, the {spec.noun} with the highest probability; softmax is "
        f"e^z, divided by the sum of all e^z. In integers, the {spec.noun} with the "
        "highest logit; of equal logits, the first."
    )
    return f"{wrap(text, indent=0)}\n{grid}"


def write_integer_terms(sums: Sequence[IntegerSum], folder: Path) -> None:
    """Write all terms of sums to terms.csv, in floats and in integers."""
    files.write_csv(folder / "terms.csv", [row for s in sums for row in _csv_rows(s)])


def _csv_rows(neuron: IntegerSum) -> list[dict[str, Any]]:
    """Return all terms of a sum, with the bias as a term with input 1."""
    weights, inputs = [*neuron.weights.tolist(), neuron.bias], [*neuron.inputs, 1]
    unit = float(neuron.unit)
    return [
        row
        | {"integer_weight": q, "integer_value": int(x), "integer_product": q * int(x)}
        | {"stands_for": q * int(x) * unit}
        for row, q, x in zip(term_rows(neuron.in_floats), weights, inputs, strict=True)
    ]
