"""The integer columns and steps, which a worksheet shows next to those in float.

worksheet.txt explains the columns and the steps.
"""

from collections.abc import Sequence
from decimal import Decimal

from pipeline.interpret.integer_sum import IntegerSum
from pipeline.interpret.neuron_sum import NeuronSum
from pipeline.interpret.rounding import rounded


def integer_columns(
    neuron: NeuronSum, integers: IntegerSum, displayed: Sequence[int]
) -> dict[str, list[str]]:
    """Return the columns of the integer terms and their rounding differences."""
    x = "gray" if neuron.layer == 1 else "h"
    terms = [int(integers.terms[k]) for k in displayed]
    rest = integers.total - integers.bias - sum(terms)
    differences = [
        integers.value(term) - rounded(neuron.terms[k])
        for term, k in zip(terms, displayed, strict=True)
    ]
    bias_difference = integers.value(integers.bias) - rounded(neuron.bias)
    difference = integers.value(integers.total) - rounded(neuron.total)
    rest_difference = difference - bias_difference - sum(differences)
    products = [*terms, rest, integers.bias, integers.total]
    differences += [rest_difference, bias_difference, difference]
    return {
        "q": [*(f"{integers.weights[k]}" for k in displayed), "", "", ""],
        f"x {x}": [*(f"{integers.inputs[k]}" for k in displayed), "", "", ""],
        f"= q·{x}": [f"{product:,}" for product in products],
        "difference": [f"{each:+,}" for each in differences],
    }


def integer_steps(neuron: NeuronSum, integers: IntegerSum) -> list[str]:
    """Return the steps from the integer sum to its real number and to the output."""
    in_float, relu = rounded(neuron.total), rounded(neuron.relu)
    total, unit, shift = integers.total, integers.unit, integers.shift
    value = integers.value(total)
    comparison = f"{total:,} · {unit} = {value:,}; {_subtraction(value, in_float)}"
    if shift is None:
        return [f"scale  {unit}", f"       {comparison}"]
    n, half, shifted, h = shift.n, shift.half, shift.shifted, shift.output
    positive, output = max(0, total), rounded(h * 2**n * unit)
    moved = f"({positive:,} + {half:,}) >> {n} = {shifted:,}"
    return [
        f"scale  {integers.scale}; scale/255 = {unit}",
        f"       {comparison}",
        f"ReLU   max(0, {total:,}) = {positive:,}",
        f"shift  n = {n}, half = {half:,}: {moved}",
        f"clamp  min(255, {shifted:,}) = {h}: h of {neuron.name}",
        f"value  {h} · 2^{n} · {unit} = {output:,}; max(0, y) = {relu:,}",
        f"       {_subtraction(output, relu)}",
    ]


def integer_logits(
    sums: Sequence[IntegerSum], z: Sequence[Decimal], *, predicted: int
) -> dict[str, list[str]]:
    """Return the columns from the integer logits to both predictions.

    `z` are the rounded floating-point logits, and `predicted` is the class that the
    floating-point network predicts.
    """
    totals = [each.total for each in sums]
    values = [each.value(each.total) for each in sums]
    differences = [value - in_float for value, in_float in zip(values, z, strict=True)]
    marks = [""] * (len(sums) + 1)
    marks[predicted] = "float"
    first = totals.index(max(totals))
    marks[first] = "both" if first == predicted else "integers"
    return {
        "logit": [*(f"{total:,}" for total in totals), ""],
        "· scale": [*(f"{value:,}" for value in values), ""],
        "difference": [*(f"{each:+,}" for each in differences), ""],
        "prediction": marks,
    }


def _subtraction(a: Decimal, b: Decimal) -> str:
    second = f"({b:,})" if b < 0 else f"{b:,}"
    return f"{a:,} - {second} = {a - b:+,}"
