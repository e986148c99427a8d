"""Tables that show the calculations for one image; the printed numbers add up exactly.

The sums say what is in the tables: those of `pre_activation` in floating point, and
those of `quantized_sum` in integers, too.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from pipeline.base.terminal import wrap
from pipeline.base.text import table
from pipeline.datasets import DatasetSpec
from pipeline.interpret.pre_activation import PreActivation, rounded

MAX_TERMS = 12  # terms of a sum, those with the largest absolute values


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
    """Return the formula of the sum, in symbols."""
    terms = pre_activation.term_names
    if len(terms) > 3:
        terms = [*terms[:2], "...", terms[-1]]
    result = "C = y" if pre_activation.layer == 1 else "bias = z"
    return " + ".join([*terms, result])


def sum_worksheet(p: PreActivation, spec: DatasetSpec) -> str:
    """Return the sum of a neuron: its largest terms, the rest, the bias, the result."""
    order = np.argsort(-p.sizes, kind="stable")[:MAX_TERMS]
    displayed = [int(k) for k in order if p.sizes[k]]
    zeros = int((p.sizes == 0).sum())
    smaller = len(p.sizes) - zeros - len(displayed)
    others = f"smaller: {smaller}, equal to 0: {zeros}" if smaller else "rounding"
    label = "" if p.layer == 1 else f", for {spec.title(p.neuron)}"
    columns = p.columns(displayed) | p.remarks(displayed, others)
    lines = [
        f"{p.name}: neuron {p.neuron + 1} of layer {p.layer}{label}{p.title}",
        formula(p),
        _explain_names(p),
        table([*columns], zip(*columns.values(), strict=True), left=["term", ""]),
        *p.steps(others),
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


def notes(pre_activations: Sequence[PreActivation]) -> str:
    """Return notes for the reader of the worksheets."""
    layers = {p.layer for p in pre_activations}
    text = "Each product is computed before its factors are rounded."
    return type(pre_activations[0]).notes(layers) + text


def softmax_worksheet(logits: Sequence[PreActivation], spec: DatasetSpec) -> str:
    """Return the steps from ten sums to ten probabilities, which add up to 100%."""
    exact, kind = np.array([each.total for each in logits]), type(logits[0])
    z, shares = [*map(rounded, exact)], probabilities(exact)
    texts = [f"{share}%" for share in (*shares, sum(shares))]
    columns = {
        spec.noun: [*spec.class_names, "sum"],
        "neuron": [*(each.name for each in logits), ""],
        "z": [*(f"{value:,}" for value in z), ""],
        **kind.softmax_columns(logits, z, texts),
    }
    text = (
        f"Softmax: e^(z - max) of each {spec.noun}, with max = {max(z):,}, is "
        "divided by the sum of all. The probabilities are rounded to add up to 100%."
    )
    rows = zip(*columns.values(), strict=True)
    grid = table([*columns], rows, left=[spec.noun, "neuron", "prediction", ""])
    return f"{wrap(text + kind.softmax_note(spec), indent=0)}\n{grid}"


def probabilities(logits: Float[np.ndarray, "10"]) -> list[Decimal]:
    """Return the softmax in percent, rounded so that the sum is exactly 100%."""
    exact = softmax(logits) * 10**4
    shares = [int(share) for share in exact]
    # The largest remainders get a unit each until the sum is 100%, so the error of
    # every probability is less than a unit (largest remainder method).
    for k in np.argsort(shares - exact, kind="stable")[: 10**4 - sum(shares)]:
        shares[k] += 1
    return [rounded(Decimal(share) / 100, 2) for share in shares]
