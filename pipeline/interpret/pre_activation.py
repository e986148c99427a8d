"""The sum that a neuron computes, and how it is printed; `worksheet` arranges the text.

All numbers are rounded before they are added. The row `rest` of a sum includes the
rounding error, so a reader who adds the printed numbers gets the printed sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from pipeline import neuron_name
from pipeline.core import PIXELS, SIDE
from pipeline.core.network import Network
from pipeline.datasets import DatasetSpec
from pipeline.interpret.names import ParameterLocation


def rounded(value: float | Decimal, decimals: int = 4) -> Decimal:
    """Round a value to a `Decimal`; sums of decimals are exact."""
    return Decimal(f"{value:z.{decimals}f}")  # z: never -0.0000


@dataclass(frozen=True)
class PreActivation:
    """The sum that a neuron computes for an image: weights · inputs + bias.

    `QuantizedPreActivation` has the same methods, and adds the integers to their
    results.
    """

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
    def total(self) -> float:
        """The sum: y in layer_1, the logit z in layer_2."""
        return float(self.terms.sum()) + self.bias

    @property
    def relu(self) -> float:
        """The sum after ReLU: the output of a neuron of layer_1."""
        return max(0.0, self.total)

    @property
    def term_names(self) -> list[str]:
        """The products in letters: M and X for pixels, W and N for neurons."""
        m, x = ("M", "X") if self.layer == 1 else ("W", "N1")
        return [f"{m}{n}·{x}{n}" for n in range(1, len(self.weights) + 1)]

    @property
    def sizes(self) -> Float[np.ndarray, " inputs"]:
        """The absolute values of the terms, which determine their order."""
        return np.asarray(np.abs(self.terms))

    @property
    def title(self) -> str:
        """What the title of the worksheet adds to the name of the neuron."""
        return ""

    def columns(self, displayed: Sequence[int]) -> dict[str, list[str]]:
        """Return the columns of a sum by heading, with the largest terms."""
        names = ["rest", "C", "y"] if self.layer == 1 else ["rest", "bias", "z"]
        terms = [rounded(self.terms[k]) for k in displayed]
        weights = [f"{rounded(self.weights[k]):,}" for k in displayed]
        inputs = [f"{rounded(self.inputs[k]):,}" for k in displayed]
        return {
            "term": [*(self.term_names[k] for k in displayed), *names],
            "weight": [*weights, "", "", ""],
            "x pixel" if self.layer == 1 else "x neuron": [*inputs, "", "", ""],
            "= product": with_rest(terms, rounded(self.bias), rounded(self.total)),
        }

    def remarks(self, displayed: Sequence[int], others: str) -> dict[str, list[str]]:
        """Return a last column with notes on the rows; `others` is about the rest."""
        places = [f"pixel {k}: row {k // SIDE}, column {k % SIDE}" for k in displayed]
        places = places if self.layer == 1 else [""] * len(displayed)
        return {"": [*places, others, "", "the sum"]}

    def steps(self, others: str) -> list[str]:
        """Return the lines after the table, from the sum to the output."""
        if self.layer == 2:
            return []
        state = "active" if self.total > 0 else "not active"
        relu = f"{self.neuron} = max(0, y) = {rounded(self.relu):,}"
        return [f"ReLU: {relu}; the neuron is {state}"]

    def term_rows(self) -> list[dict[str, Any]]:
        """Return all terms, unrounded, with the bias as a term with input 1."""
        weights = [*self.weights.tolist(), self.bias]
        inputs = [*self.inputs.tolist(), 1.0]
        names = [*self.input_names, "bias"]
        return [
            {"neuron": self.neuron, "input": name, "weight": weight}
            | {"value": value, "product": weight * value}
            for name, weight, value in zip(names, weights, inputs, strict=True)
        ]

    @classmethod
    def softmax_columns(
        cls,
        logits: "Sequence[PreActivation]",
        rounded_logits: Sequence[Decimal],
        shares: Sequence[str],
    ) -> dict[str, list[str]]:
        """Return the columns from the logits to the prediction, by heading.

        Args:
            logits: The sums of layer_2.
            rounded_logits: Their values.
            shares: The probabilities and their sum, as texts.
        """
        largest = max(rounded_logits)
        powers = [rounded(np.exp(float(z - largest)), 6) for z in rounded_logits]
        first = int(np.argmax([each.total for each in logits]))
        return {
            "e^(z - max)": [f"{power}" for power in (*powers, sum(powers))],
            "probability": [*shares],
            "": ["the prediction" if k == first else "" for k in range(len(shares))],
        }

    @classmethod
    def softmax_note(cls, spec: DatasetSpec) -> str:
        """Return what else to say about the prediction."""
        return ""

    @classmethod
    def notes(cls, layers: set[int]) -> str:
        """Return notes on the worksheets of neurons of these layers."""
        return ""


def with_rest(
    terms: Sequence[int | Decimal],
    bias: int | Decimal,
    total: int | Decimal,
    *,
    sign: str = "-",
) -> list[str]:
    """Format terms of a sum, the sum of all other terms, the bias, and the sum."""
    values = [*terms, total - bias - sum(terms), bias, total]
    return [f"{value:{sign},}" for value in values]


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
