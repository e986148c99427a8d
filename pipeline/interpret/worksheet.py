"""Tables that show the calculations for one image; the printed numbers add up exactly.

All numbers are rounded before they are added. The row `rest` of a sum includes the
rounding error, so a reader who adds the printed numbers gets the printed sum. If a sum
has integers, they are a second group of columns, which worksheet.txt explains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from jaxtyping import Float, Int64, UInt8
from scipy.special import softmax

from pipeline import WHITE, neuron_name
from pipeline.core import PIXELS, SIDE
from pipeline.core.network import Network
from pipeline.datasets import DatasetSpec
from pipeline.interpret.names import ParameterLocation
from pipeline.interpret.templates import render
from pipeline.terminal import wrap
from pipeline.text import table

MAX_TERMS = 12  # of a sum, those with the largest absolute values


def rounded(value: float | Decimal, decimals: int = 4) -> Decimal:
    """Round a value to a `Decimal`; sums of decimals are exact."""
    return Decimal(f"{value:z.{decimals}f}")  # z: never -0.0000


def significant(value: float | Decimal) -> Decimal:
    """Round a value to 8 significant digits."""
    return Decimal(f"{value:.7e}")


@dataclass(frozen=True)
class Shift:
    """How a sum of layer_1 becomes the output of its neuron in integers."""

    n: int  # the sum is divided by 2^n
    half: int  # of 2^n, which is added first
    shifted: int  # the result
    output: int  # the result after the clamp


@dataclass(frozen=True)
class IntegerSum:
    """The sum that a neuron computes in integers, as the C code of `export` does."""

    weights: Int64[np.ndarray, " inputs"]
    inputs: Int64[np.ndarray, " inputs"]  # gray levels, or outputs of layer_1
    bias: int
    scale: float  # of a weight in layer_1, of the sum in layer_2
    shift: Shift | None  # None in layer_2

    @property
    def terms(self) -> Int64[np.ndarray, " inputs"]:
        """The products of weights and inputs."""
        return np.asarray(self.weights * self.inputs)

    @property
    def total(self) -> int:
        """The sum."""
        return int(self.terms.sum()) + self.bias

    @property
    def unit(self) -> Decimal:
        """What a sum of 1 stands for, as it is printed."""
        scale = significant(self.scale)
        return scale if self.shift is None else significant(scale / WHITE)

    def value(self, integer: int) -> Decimal:
        """Return what an integer of the sum stands for, rounded."""
        return rounded(integer * self.unit)


@dataclass(frozen=True)
class PreActivation:
    """The sum that a neuron computes for an image: weights · inputs + bias."""

    layer: int  # 1: hidden, 2: one neuron for each class
    number: int  # of the neuron in its layer, from 1
    weights: Float[np.ndarray, " inputs"]
    inputs: Float[np.ndarray, " inputs"]  # pixels in [0, 1], or outputs of layer_1
    bias: float
    integers: IntegerSum | None = None  # the same sum in integers

    @property
    def neuron(self) -> str:
        """The name of the neuron, such as N11 or N210."""
        return neuron_name(self.layer, self.number - 1)

    @property
    def input_names(self) -> list[str]:
        """The pixels, or the neurons of layer_1."""
        inputs = range(len(self.inputs))
        if self.layer == 1:
            return [f"pixel {k}" for k in inputs]
        return [neuron_name(1, k) for k in inputs]

    @property
    def terms(self) -> Float[np.ndarray, " inputs"]:
        """The products of weights and inputs."""
        return np.asarray(self.weights * self.inputs)

    @property
    def main_weight(self) -> ParameterLocation:
        """The weight of the product that contributes most to the sum."""
        row = int(np.abs(self.terms).argmax())
        return ParameterLocation(self.layer, row, self.number - 1)

    @property
    def z(self) -> float:
        """The sum, before ReLU or softmax."""
        return float(self.terms.sum()) + self.bias

    @property
    def relu(self) -> float:
        """The sum after ReLU: the output of a neuron of layer_1."""
        return max(0.0, self.z)

    @property
    def term_names(self) -> list[str]:
        """The products in letters: M and X for pixels, W and N for neurons."""
        m, x = ("M", "X") if self.layer == 1 else ("W", "N1")
        return [f"{m}{n}·{x}{n}" for n in range(1, len(self.weights) + 1)]


def pre_activations(
    network: Network, image: UInt8[np.ndarray, "28 28"]
) -> dict[str, PreActivation]:
    """Return the sum of every neuron by name, those of layer_1 first, in float64.

    PyTorch computes the same sums in float32; they differ in the sixth digit.
    """
    inputs = image.reshape(PIXELS) / 255
    by_name: dict[str, PreActivation] = {}
    for number, dense in ((1, network.layer_1), (2, network.layer_2)):
        kernel, bias = (array.astype(float) for array in dense.get_weights())
        layer = [
            PreActivation(number, k + 1, kernel[:, k], inputs, float(bias[k]))
            for k in range(len(bias))
        ]
        by_name |= {neuron.neuron: neuron for neuron in layer}
        inputs = np.array([neuron.relu for neuron in layer])
    return by_name


def worksheets(
    sums: Mapping[str, PreActivation], neurons: Sequence[str], spec: DatasetSpec
) -> str:
    """Return worksheets of neurons and, if needed, of the prediction, with notes."""
    selected = [sums[name] for name in neurons]
    parts = [sum_worksheet(neuron, spec) for neuron in selected]
    if any(neuron.layer == 2 for neuron in selected):
        logits = [neuron for neuron in sums.values() if neuron.layer == 2]
        parts.append(softmax_worksheet(logits, spec))
    return "\n\n".join([*parts, notes(selected)])


def formula(pre_activation: PreActivation) -> str:
    """Return the sum in letters."""
    terms = pre_activation.term_names
    if len(terms) > 3:
        terms = [*terms[:2], "...", terms[-1]]
    result = "C = y" if pre_activation.layer == 1 else "bias = z"
    return " + ".join([*terms, result])


def sum_worksheet(p: PreActivation, spec: DatasetSpec) -> str:
    """Return the sum of a neuron: its largest terms, the rest, the bias, the result."""
    sizes, is_hidden = np.abs(p.terms), p.layer == 1
    if p.integers:  # after fine-tuning, a term can be 0 in only one of the two
        sizes = np.maximum(sizes, np.abs(p.integers.terms * float(p.integers.unit)))
    order = np.argsort(-sizes, kind="stable")[:MAX_TERMS]
    displayed = [int(k) for k in order if sizes[k]]
    zeros = int((sizes == 0).sum())
    smaller = len(sizes) - zeros - len(displayed)
    others = f"smaller: {smaller}, equal to 0: {zeros}" if smaller else "rounding"
    title = "" if is_hidden else f", for {spec.title(p.number - 1)}"
    columns, steps = _columns(p, displayed), []
    if p.integers:
        title += ", in floats and in integers"
        steps = [f"rest   {others}", *_integer_steps(p, p.integers)]
    else:
        places = [f"pixel {k}: row {k // SIDE}, column {k % SIDE}" for k in displayed]
        places = places if is_hidden else [""] * len(displayed)
        columns[""] = [*places, others, "", "the sum"]
        if is_hidden:
            state = "active" if p.z > 0 else "not active"
            relu = f"{p.neuron} = max(0, y) = {rounded(p.relu):,}"
            steps = [f"ReLU: {relu}; the neuron is {state}"]
    lines = [
        f"{p.neuron}: neuron {p.number} of layer_{p.layer}{title}",
        formula(p),
        _explain_names(p),
        table([*columns], zip(*columns.values(), strict=True), left=["term", ""]),
        *steps,
    ]
    return "\n".join(lines)


def _explain_names(p: PreActivation) -> str:
    """Say how the names of a weight in its sum and in the array are related."""
    location = p.main_weight
    assert location.input is not None  # it is not a bias
    weight, _ = p.term_names[location.input].split("·")
    return (
        f"{weight} is {location.name}, the weight of {p.input_names[location.input]}: "
        "array indices start at 0."
    )


def _columns(p: PreActivation, displayed: Sequence[int]) -> dict[str, list[str]]:
    """Return the columns of a sum by heading: in floats, then in integers."""
    names = ["rest", "C", "y"] if p.layer == 1 else ["rest", "bias", "z"]
    terms = [rounded(p.terms[k]) for k in displayed]
    bias, z = rounded(p.bias), rounded(p.z)
    x = "x pixel" if p.layer == 1 else "x neuron"
    columns = {
        "term": [*(p.term_names[k] for k in displayed), *names],
        "weight": [*(f"{rounded(p.weights[k]):,}" for k in displayed), *[""] * 3],
        x: [*(f"{rounded(p.inputs[k]):,}" for k in displayed), *[""] * 3],
        "= product": _with_rest(terms, bias, z),
    }
    if not (integers := p.integers):
        return columns
    x = "gray" if p.layer == 1 else "h"
    whole = [int(integers.terms[k]) for k in displayed]
    differences = [integers.value(a) - b for a, b in zip(whole, terms, strict=True)]
    bias_difference = integers.value(integers.bias) - bias
    difference = integers.value(integers.total) - z
    return columns | {
        "q": [*(f"{integers.weights[k]}" for k in displayed), *[""] * 3],
        f"x {x}": [*(f"{integers.inputs[k]}" for k in displayed), *[""] * 3],
        f"= q·{x}": _with_rest(whole, integers.bias, integers.total),
        "difference": _with_rest(differences, bias_difference, difference, sign="+"),
    }


def _with_rest(
    terms: Sequence[int | Decimal],
    bias: int | Decimal,
    total: int | Decimal,
    *,
    sign: str = "-",
) -> list[str]:
    """Format terms of a sum, the sum of all other terms, the bias, and the sum."""
    values = [*terms, total - bias - sum(terms), bias, total]
    return [f"{value:{sign},}" for value in values]


def _integer_steps(p: PreActivation, integers: IntegerSum) -> list[str]:
    """Return the steps from a sum to what it stands for and to the output."""
    total, unit, shift = integers.total, integers.unit, integers.shift
    value, z, relu = integers.value(total), rounded(p.z), rounded(p.relu)
    comparison = f"{total:,} · {unit} = {value:,}; {_subtraction(value, z)}"
    if shift is None:
        return [f"scale  {unit}", f"       {comparison}"]
    n, half, shifted, h = shift.n, shift.half, shift.shifted, shift.output
    positive, output = max(0, total), rounded(h * 2**n * unit)
    return [
        f"scale  {significant(integers.scale)}; scale/255 = {unit}",
        f"       {comparison}",
        f"ReLU   max(0, {total:,}) = {positive:,}",
        f"shift  n = {n}, r = {half:,}: ({positive:,} + {half:,}) >> {n} = {shifted:,}",
        f"clamp  min(255, {shifted:,}) = {h}: h of {p.neuron}",
        f"value  {h} · 2^{n} · {unit} = {output:,}; max(0, y) = {relu:,}",
        f"       {_subtraction(output, relu)}",
    ]


def _subtraction(a: Decimal, b: Decimal) -> str:
    second = f"({b:,})" if b < 0 else f"{b:,}"
    return f"{a:,} - {second} = {a - b:+,}"


def notes(pre_activations: Sequence[PreActivation]) -> str:
    """Return notes for the reader of the worksheets."""
    text = "Each product is computed before its factors are rounded."
    if pre_activations[0].integers:
        layers = {p.layer for p in pre_activations}
        text = f"{render('worksheet.txt', layers=layers)}\n{text}"
    return text


def softmax_worksheet(logits: Sequence[PreActivation], spec: DatasetSpec) -> str:
    """Return the steps from ten sums to ten probabilities, which add up to 100%.

    In integers, the prediction is the class with the highest sum.
    """
    exact = np.array([each.z for each in logits])
    z, shares = [*map(rounded, exact)], probabilities(exact)
    marks = {int(exact.argmax()): "the prediction"}
    columns = {
        spec.noun: [*spec.class_names, "sum"],
        "neuron": [*(each.neuron for each in logits), ""],
        "z": [*(f"{value:,}" for value in z), ""],
    }
    text = (
        f"Softmax: e^(z - max) of each {spec.noun}, with max = {max(z):,}, is "
        "divided by the sum of all. The probabilities are rounded to add up to 100%."
    )
    integers = [each.integers for each in logits if each.integers]
    if not integers:  # otherwise there is no space for this column
        powers = [rounded(np.exp(float(value - max(z))), 6) for value in z]
        columns["e^(z - max)"] = [f"{power}" for power in (*powers, sum(powers))]
    columns["probability"] = [f"{share}%" for share in (*shares, sum(shares))]
    if integers:
        totals = [each.total for each in integers]
        values = [each.value(each.total) for each in integers]
        differences = [a - b for a, b in zip(values, z, strict=True)]
        columns["logit"] = [*(f"{total:,}" for total in totals), ""]
        columns["· scale"] = [*(f"{value:,}" for value in values), ""]
        columns["difference"] = [*(f"{each:+,}" for each in differences), ""]
        text += (
            f" In integers, the prediction is the {spec.noun} with the highest logit; "
            "of equal logits, the first."
        )
        first, second = int(exact.argmax()), totals.index(max(totals))
        marks = {first: "floats", second: "integers"}
        marks = {first: "both"} if first == second else marks
    columns["prediction" if integers else ""] = [marks.get(k, "") for k in range(11)]
    rows = zip(*columns.values(), strict=True)
    grid = table([*columns], rows, left=[spec.noun, "neuron", "prediction", ""])
    return f"{wrap(text, indent=0)}\n{grid}"


def probabilities(logits: Float[np.ndarray, "10"]) -> list[Decimal]:
    """Return the softmax in percent, rounded so that the sum is exactly 100%."""
    exact = softmax(logits) * 10**4
    shares = [int(share) for share in exact]
    # The largest remainders get a unit each until the sum is 100%, so the error of
    # every probability is less than a unit (largest remainder method).
    for k in np.argsort(shares - exact, kind="stable")[: 10**4 - sum(shares)]:
        shares[k] += 1
    return [rounded(Decimal(share) / 100, 2) for share in shares]
