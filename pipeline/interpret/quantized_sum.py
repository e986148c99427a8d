"""The same sums in integers: the second group of columns, which worksheet.txt explains.

`deploy` computes the integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from pipeline import WHITE
from pipeline.datasets import DatasetSpec
from pipeline.interpret.pre_activation import PreActivation, rounded, with_rest
from pipeline.interpret.templates import render


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
class QuantizedPreActivation(PreActivation):
    """The sum of a neuron in floating point, together with the same sum in integers."""

    integers: IntegerSum

    @property
    def sizes(self) -> Float[np.ndarray, " inputs"]:
        """The larger absolute values of the terms in floats and in integers.

        After fine-tuning, a term can be 0 in only one of them.
        """
        represented = np.abs(self.integers.terms * float(self.integers.unit))
        return np.asarray(np.maximum(super().sizes, represented))

    @property
    def title(self) -> str:
        """What the title of the worksheet adds to the name of the neuron."""
        return ", in floats and in integers"

    def columns(self, displayed: Sequence[int]) -> dict[str, list[str]]:
        """Return the columns in floats, then in integers."""
        integers, x = self.integers, "gray" if self.layer == 1 else "h"
        whole = [int(integers.terms[k]) for k in displayed]
        differences = [
            integers.value(term) - rounded(self.terms[k])
            for term, k in zip(whole, displayed, strict=True)
        ]
        bias_difference = integers.value(integers.bias) - rounded(self.bias)
        difference = integers.value(integers.total) - rounded(self.total)
        return super().columns(displayed) | {
            "q": [*(f"{integers.weights[k]}" for k in displayed), *[""] * 3],
            f"x {x}": [*(f"{integers.inputs[k]}" for k in displayed), *[""] * 3],
            f"= q·{x}": with_rest(whole, integers.bias, integers.total),
            "difference": with_rest(differences, bias_difference, difference, sign="+"),
        }

    def remarks(self, displayed: Sequence[int], others: str) -> dict[str, list[str]]:
        """Return no column, because there is no space for it."""
        return {}

    def steps(self, others: str) -> list[str]:
        """Return the steps from the sum to what it stands for and to the output."""
        integers, (exact, relu) = self.integers, map(rounded, (self.total, self.relu))
        total, unit, shift = integers.total, integers.unit, integers.shift
        value, rest = integers.value(total), f"rest   {others}"
        comparison = f"{total:,} · {unit} = {value:,}; {_subtraction(value, exact)}"
        if shift is None:
            return [rest, f"scale  {unit}", f"       {comparison}"]
        n, half, shifted, h = shift.n, shift.half, shift.shifted, shift.output
        positive, output = max(0, total), rounded(h * 2**n * unit)
        moved = f"({positive:,} + {half:,}) >> {n} = {shifted:,}"
        return [
            rest,
            f"scale  {significant(integers.scale)}; scale/255 = {unit}",
            f"       {comparison}",
            f"ReLU   max(0, {total:,}) = {positive:,}",
            f"shift  n = {n}, r = {half:,}: {moved}",
            f"clamp  min(255, {shifted:,}) = {h}: h of {self.neuron}",
            f"value  {h} · 2^{n} · {unit} = {output:,}; max(0, y) = {relu:,}",
            f"       {_subtraction(output, relu)}",
        ]

    def term_rows(self) -> list[dict[str, Any]]:
        """Return all terms, in floats and in integers."""
        integers = self.integers
        weights = [*integers.weights.tolist(), integers.bias]
        inputs, unit = [*integers.inputs.tolist(), 1], float(integers.unit)
        return [
            row
            | {"integer_weight": q, "integer_value": x, "integer_product": q * x}
            | {"stands_for": q * x * unit}
            for row, q, x in zip(super().term_rows(), weights, inputs, strict=True)
        ]

    @classmethod
    def softmax_columns(
        cls,
        logits: Sequence[PreActivation],
        rounded_logits: Sequence[Decimal],
        shares: Sequence[str],
    ) -> dict[str, list[str]]:
        """Return the columns from the logits to both predictions."""
        sums = [each.integers for each in logits if isinstance(each, cls)]
        totals = [each.total for each in sums]
        values = [each.value(each.total) for each in sums]
        pairs = zip(values, rounded_logits, strict=True)
        differences = [integer - exact for integer, exact in pairs]
        first = int(np.argmax([each.total for each in logits]))
        second = totals.index(max(totals))
        marks = {first: "floats", second: "integers"}
        marks = {first: "both"} if first == second else marks
        return {
            "probability": [*shares],
            "logit": [*(f"{total:,}" for total in totals), ""],
            "· scale": [*(f"{value:,}" for value in values), ""],
            "difference": [*(f"{each:+,}" for each in differences), ""],
            "prediction": [marks.get(k, "") for k in range(len(shares))],
        }

    @classmethod
    def softmax_note(cls, spec: DatasetSpec) -> str:
        """Return how the prediction follows from the integers."""
        return (
            f" In integers, the prediction is the {spec.noun} with the highest logit; "
            "of equal logits, the first."
        )

    @classmethod
    def notes(cls, layers: set[int]) -> str:
        """Return an explanation of the columns in integers."""
        return f"{render('worksheet.txt', layers=layers)}\n"


def _subtraction(a: Decimal, b: Decimal) -> str:
    second = f"({b:,})" if b < 0 else f"{b:,}"
    return f"{a:,} - {second} = {a - b:+,}"
