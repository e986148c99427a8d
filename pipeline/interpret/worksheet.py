"""Tables that show the calculations for one image; the printed numbers add up exactly.

All numbers are rounded before they are added. The row `rest` of a sum includes the
rounding error, so a reader who adds the printed numbers gets the printed sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from jaxtyping import Float, UInt8
from scipy.special import softmax

from pipeline import neuron_name
from pipeline.console import table
from pipeline.core import PIXELS, SIDE
from pipeline.core.network import Network
from pipeline.datasets import DatasetSpec
from pipeline.interpret.names import ParameterLocation
from pipeline.terminal import wrap

MAX_TERMS = 12  # of a sum, those with the largest absolute values


def rounded(value: float | Decimal, decimals: int = 4) -> Decimal:
    """Round a value to a `Decimal`; sums of decimals are exact."""
    return Decimal(f"{value:z.{decimals}f}")  # z: never -0.0000


@dataclass(frozen=True)
class PreActivation:
    """The sum that a neuron computes for an image: weights · inputs + bias."""

    layer: int  # 1: hidden, 2: one neuron for each class
    number: int  # of the neuron in its layer, from 1
    weights: Float[np.ndarray, " inputs"]
    inputs: Float[np.ndarray, " inputs"]  # pixels in [0, 1], or outputs of layer_1
    bias: float

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
    """Return worksheets of the neurons and, if needed, of the softmax, with notes."""
    selected = [sums[name] for name in neurons]
    parts = [sum_worksheet(neuron, spec) for neuron in selected]
    if any(neuron.layer == 2 for neuron in selected):
        logits = np.array([neuron.z for neuron in sums.values() if neuron.layer == 2])
        parts.append(softmax_worksheet(logits, spec))
    return "\n\n".join([*parts, notes(selected)])


def formula(pre_activation: PreActivation) -> str:
    """Return the sum in letters."""
    terms = pre_activation.term_names
    if len(terms) > 3:
        terms = [*terms[:2], "...", terms[-1]]
    result = "C = y" if pre_activation.layer == 1 else "bias = z"
    return " + ".join([*terms, result])


def sum_worksheet(pre_activation: PreActivation, spec: DatasetSpec) -> str:
    """Return the sum of a neuron: its largest terms, the rest, the bias, the result."""
    neuron, number = pre_activation.neuron, pre_activation.number
    terms, names = pre_activation.terms, pre_activation.term_names
    is_hidden = pre_activation.layer == 1
    order = np.argsort(-np.abs(terms), kind="stable")[:MAX_TERMS]
    displayed = [int(k) for k in order if terms[k]]
    rows = []
    for k in displayed:
        values = pre_activation.weights[k], pre_activation.inputs[k], terms[k]
        numbers = [f"{rounded(value):,}" for value in values]
        place = f"pixel {k}: row {k // SIDE}, column {k % SIDE}" if is_hidden else ""
        rows.append([names[k], *numbers, place])
    z, bias = rounded(pre_activation.z), rounded(pre_activation.bias)
    rest = z - bias - sum(rounded(terms[k]) for k in displayed)
    zeros = int((terms == 0).sum())
    smaller = len(terms) - zeros - len(displayed)
    others = f"smaller: {smaller}, equal to 0: {zeros}" if smaller else "rounding"
    rows.append(["rest", "", "", f"{rest:,}", others])
    rows.append(["C" if is_hidden else "bias", "", "", f"{bias:,}", ""])
    rows.append(["y" if is_hidden else "z", "", "", f"{z:,}", "the sum"])
    title = "" if is_hidden else f", for {spec.title(number - 1)}"
    factor = "x pixel" if is_hidden else "x neuron"
    lines = [
        f"{neuron}: neuron {number} of layer_{pre_activation.layer}{title}",
        formula(pre_activation),
        table(["term", "weight", factor, "= product", ""], rows, left=["term", ""]),
    ]
    if is_hidden:
        state = "active" if z > 0 else "not active"
        relu = f"{neuron} = max(0, y) = {rounded(pre_activation.relu):,}"
        lines.append(f"ReLU: {relu}; the neuron is {state}")
    return "\n".join(lines)


def notes(pre_activations: Sequence[PreActivation]) -> str:
    """Return notes for the reader of the worksheets, including one for each layer."""
    lines = ["Each product is computed before its factors are rounded."]
    for example in {p.layer: p for p in reversed(pre_activations)}.values():
        location = example.main_weight
        assert location.row is not None  # it is not a bias
        weight, _ = example.term_names[location.row].split("·")
        text = (
            f"{weight} of {example.neuron} belongs to "
            f"{example.input_names[location.row]} and is {location.name}: indices "
            "start at 0."
        )
        lines.append(wrap(text, indent=0))
    return "\n".join(lines)


def softmax_worksheet(logits: Float[np.ndarray, "10"], spec: DatasetSpec) -> str:
    """Return the steps from ten sums to ten probabilities, which add up to 100%."""
    z = [rounded(logit) for logit in logits]
    powers = [rounded(np.exp(float(value - max(z))), 6) for value in z]
    shares = probabilities(logits)
    rows = []
    for k, name in enumerate(spec.class_names):
        numbers = f"{z[k]:,}", f"{powers[k]}", f"{shares[k]}%"
        answer = "the answer" if k == z.index(max(z)) else ""
        rows.append([name, neuron_name(2, k), *numbers, answer])
    rows.append(["sum", "", "", f"{sum(powers)}", f"{sum(shares)}%", ""])
    columns = [spec.noun, "neuron", "z", "e^(z - max)", "probability", ""]
    text = (
        f"Softmax: e^(z - max) of each {spec.noun}, with max = {max(z):,}, is "
        "divided by the sum of all. The probabilities are rounded to add up to 100%."
    )
    grid = table(columns, rows, left=[spec.noun, "neuron", ""])
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
