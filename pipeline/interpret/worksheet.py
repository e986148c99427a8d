"""Tables that show the calculations for one image; the printed numbers add up exactly.

All numbers are rounded before they are added. The row `rest` of a sum includes the
rounding error, so a reader who adds the printed numbers gets the printed sum. If the
integer sum is known too, `integer_worksheet` adds columns and steps.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from pipeline.base.tables import table
from pipeline.base.text import counted, wrap
from pipeline.core import SIDE
from pipeline.datasets import DatasetSpec
from pipeline.interpret.integer_worksheet import (
    integer_columns,
    integer_logits,
    integer_steps,
)
from pipeline.interpret.names import BIAS
from pipeline.interpret.neuron_sum import NeuronSum
from pipeline.interpret.rounding import rounded
from pipeline.interpret.templates import render_text

MAX_LISTED_TERMS = 12  # terms of a sum that are printed: the largest absolute values


def worksheets(
    sums: Mapping[str, NeuronSum], neurons: Sequence[str], spec: DatasetSpec
) -> str:
    """Return worksheets of neurons and, if needed, of the prediction, with notes."""
    selected = [sums[name] for name in neurons]
    layers = {neuron.layer for neuron in selected}
    parts = [sum_worksheet(neuron, spec) for neuron in selected]
    if 2 in layers:
        logits = [neuron for neuron in sums.values() if neuron.layer == 2]
        parts.append(softmax_worksheet(logits, spec))
    integers = selected[0].in_integers
    width = integers.bit_width if integers else None
    notes = render_text("worksheet.txt", layers=layers, bit_width=width)
    return "\n\n".join([*parts, notes])


def formula(neuron: NeuronSum) -> str:
    """Return the formula of the sum, in symbols."""
    terms = neuron.term_names
    if len(terms) > 3:
        terms = [*terms[:2], "...", terms[-1]]
    return " + ".join([*terms, "C = y" if neuron.layer == 1 else "bias = z"])


def sum_worksheet(neuron: NeuronSum, spec: DatasetSpec) -> str:
    """Return the sum of a neuron: its largest terms, the rest, the bias, the result."""
    order = np.argsort(-neuron.sizes, kind="stable")[:MAX_LISTED_TERMS]
    displayed = [int(k) for k in order if neuron.sizes[k]]
    zeros = int((neuron.sizes == 0).sum())
    smaller = len(neuron.sizes) - zeros - len(displayed)
    rest = "rounding"
    if smaller:
        equal = f"{counted(zeros, 'term')} equal to 0"
        rest = f"{counted(smaller, 'smaller term')}, {equal}"
    title = f"{neuron.name}: neuron {neuron.neuron + 1} of layer {neuron.layer}"
    title += "" if neuron.layer == 1 else f", for {spec.title(neuron.neuron)}"
    columns = sum_columns(neuron, displayed)
    steps = []
    if neuron.in_integers is not None:  # the table has no space for remarks
        title += ", in floating point and as integers"
        columns |= integer_columns(neuron, neuron.in_integers, displayed)
        steps = [f"rest   {rest}", *integer_steps(neuron, neuron.in_integers)]
    else:
        remarks = [f"pixel {k}: row {k // SIDE}, column {k % SIDE}" for k in displayed]
        remarks = remarks if neuron.layer == 1 else [""] * len(displayed)
        columns[""] = [*remarks, rest, "", "the sum"]
        if neuron.layer == 1:
            state = "active" if neuron.total > 0 else "not active"
            relu = f"{neuron.name} = max(0, y) = {rounded(neuron.relu):,}"
            steps = [f"ReLU: {relu}; the neuron is {state}"]
    rows = zip(*columns.values(), strict=True)
    grid = table([*columns], rows, left=["term", ""])
    return "\n".join([title, formula(neuron), _explain_names(neuron), grid, *steps])


def sum_columns(neuron: NeuronSum, displayed: Sequence[int]) -> dict[str, list[str]]:
    """Return the columns of a sum, with the largest terms, by heading."""
    terms = [rounded(neuron.terms[k]) for k in displayed]
    bias, total = rounded(neuron.bias), rounded(neuron.total)
    products = [*terms, total - bias - sum(terms), bias, total]
    names = ["rest", "C", "y"] if neuron.layer == 1 else ["rest", "bias", "z"]
    weights = [f"{rounded(neuron.weights[k]):,}" for k in displayed]
    inputs = [f"{rounded(neuron.inputs[k]):,}" for k in displayed]
    return {
        "term": [*(neuron.term_names[k] for k in displayed), *names],
        "weight": [*weights, "", "", ""],
        "x pixel" if neuron.layer == 1 else "x neuron": [*inputs, "", "", ""],
        "= product": [f"{product:,}" for product in products],
    }


def _explain_names(neuron: NeuronSum) -> str:
    """Say how the names of a weight in the sum and in the array are related."""
    location = neuron.main_weight
    assert location.input != BIAS
    weight, _ = neuron.term_names[location.input].split("·")
    source = neuron.input_names[location.input]
    return (
        f"{weight} is {location.name}, the weight of {source}: "
        "array indices start at 0."
    )


def softmax_worksheet(logits: Sequence[NeuronSum], spec: DatasetSpec) -> str:
    """Return the steps from ten sums to ten probabilities, which add up to 100%."""
    totals = np.array([each.total for each in logits])
    z = [*map(rounded, totals)]
    shares = probabilities(totals)
    columns = {
        spec.noun: [*spec.class_names, "sum"],
        "neuron": [*(each.name for each in logits), ""],
        "z": [*(f"{value:,}" for value in z), ""],
    }
    probability = [f"{share}%" for share in (*shares, sum(shares))]
    text = (
        f"Softmax: e^(z - max) of each {spec.noun}, with max = {max(z):,}, is divided "
        "by the sum of all ten. The probabilities are rounded to add up to 100%."
    )
    integers = [each.in_integers for each in logits if each.in_integers is not None]
    if integers:  # the table has no space for the powers
        columns["probability"] = probability
        columns |= integer_logits(integers, z, predicted=int(totals.argmax()))
        text += (
            f" In integers, the prediction is the {spec.noun} with the highest "
            "logit, or the first of them if several are equal."
        )
    else:
        powers = [rounded(np.exp(float(value - max(z))), 6) for value in z]
        columns["e^(z - max)"] = [f"{power}" for power in (*powers, sum(powers))]
        columns["probability"] = probability
        marks = [""] * len(probability)
        marks[int(totals.argmax())] = "the prediction"
        columns[""] = marks
    rows = zip(*columns.values(), strict=True)
    grid = table([*columns], rows, left=[spec.noun, "neuron", "prediction", ""])
    return f"{wrap(text, indent=0)}\n{grid}"


def probabilities(logits: Float[np.ndarray, "10"]) -> list[Decimal]:
    """Return the softmax in percent, rounded so that the sum is exactly 100%."""
    unrounded = softmax(logits) * 10**4
    shares = [int(share) for share in unrounded]
    # In the largest remainder method, the shares with the largest remainders get a unit
    # each until the sum is 100%. Therefore, every error is less than a unit.
    for k in np.argsort(shares - unrounded, kind="stable")[: 10**4 - sum(shares)]:
        shares[k] += 1
    return [rounded(Decimal(share) / 100, 2) for share in shares]
