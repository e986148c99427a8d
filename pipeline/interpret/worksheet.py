"""Calculations as tables whose printed numbers add up exactly.

Every number is rounded first and added afterwards. The row `rest` of a sum contains
what rounding left over, so a reader who adds the printed numbers gets the printed sum.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from pipeline import SIDE
from pipeline.interpret.forward import PreActivation
from pipeline.interpret.names import Neuron, ParameterLocation

MAX_TERMS = 12  # of a sum, those with the largest absolute values
MAX_EPOCHS = 24  # of a weight history
Table = Callable[..., str]  # formats columns and rows as text: cli.terminal.table


def _fixed(value: float, decimals: int = 4) -> int:
    """Return the value in units of its last decimal; these add up exactly."""
    return round(value * float(10**decimals))


def _format(fixed: int, decimals: int = 4) -> str:
    return f"{fixed / 10**decimals:,.{decimals}f}"


def _term(index: int, *, layer: int) -> str:
    """Name a product: M and X for pixels, W and N for neurons."""
    n = index + 1
    return f"M{n}·X{n}" if layer == 1 else f"W{n}·N1{n}"


def formula(pre_activation: PreActivation) -> str:
    """Return the sum in letters."""
    layer, count = pre_activation.neuron.layer, len(pre_activation.weights)
    terms = [_term(k, layer=layer) for k in range(count)]
    if count > 3:
        terms = [*terms[:2], "...", terms[-1]]
    return " + ".join([*terms, "C = y" if layer == 1 else "bias = z"])


def sum_worksheet(pre_activation: PreActivation, *, table: Table) -> str:
    """Return the sum of a neuron: its largest terms, the rest, the bias, the result."""
    neuron, terms = pre_activation.neuron, pre_activation.terms
    layer = neuron.layer
    pixels = layer == 1
    order = np.argsort(-np.abs(terms), kind="stable")[:MAX_TERMS]
    displayed = [int(k) for k in order if terms[k]]
    rows = []
    for k in displayed:
        values = pre_activation.weights[k], pre_activation.inputs[k], terms[k]
        position = f"pixel {k}: row {k // SIDE}, column {k % SIDE}" if pixels else ""
        numbers = [_format(_fixed(value)) for value in values]
        rows.append([_term(k, layer=layer), *numbers, position])
    z, bias = _fixed(pre_activation.z), _fixed(pre_activation.bias)
    rest = z - bias - sum(_fixed(terms[k]) for k in displayed)
    zeros = int((terms == 0).sum())
    smaller = len(terms) - zeros - len(displayed)
    others = f"smaller: {smaller}, equal to 0: {zeros}" if smaller else "rounding"
    rows.append(["rest", "", "", _format(rest), others])
    rows.append(["C" if pixels else "bias", "", "", _format(bias), ""])
    rows.append(["y" if pixels else "z", "", "", _format(z), "the sum"])
    digit = "" if pixels else f", for the digit {neuron.number - 1}"
    factor = "x pixel" if pixels else "x neuron"
    lines = [
        f"{neuron.name}: neuron {neuron.number} of layer_{layer}{digit}",
        formula(pre_activation),
        table(["term", "weight", factor, "= product", ""], rows, left=["term", ""]),
    ]
    if pixels:
        state = "active" if z > 0 else "not active"
        relu = f"{neuron.name} = max(0, y) = {_format(max(0, z))}"
        lines.append(f"ReLU: {relu}; the neuron is {state}")
    return "\n".join(lines)


def worksheets(
    sums: Mapping[str, PreActivation], neurons: Sequence[Neuron], *, table: Table
) -> str:
    """Return the sums of these neurons, the softmax if it uses them, and notes."""
    selected = [sums[neuron.name] for neuron in neurons]
    parts = [sum_worksheet(each, table=table) for each in selected]
    if any(neuron.layer == 2 for neuron in neurons):
        logits = np.array([each.z for each in sums.values() if each.neuron.layer == 2])
        parts.append(softmax_worksheet(logits, table=table))
    return "\n\n".join([*parts, notes(selected)])


def notes(pre_activations: Sequence[PreActivation]) -> str:
    """Return what a reader of these worksheets needs to know, once for each layer."""
    lines = ["Each product is computed before its factors are rounded."]
    for example in {p.neuron.layer: p for p in reversed(pre_activations)}.values():
        k, neuron = int(np.abs(example.terms).argmax()), example.neuron
        weight, source = f"W{k + 1}", f"N1{k + 1}"
        if neuron.layer == 1:
            weight, source = f"M{k + 1}", f"pixel {k}"
        lines.append(
            f"{weight} of {neuron.name} belongs to {source} and is "
            f"layer_{neuron.layer}[{k},{neuron.number - 1}]: arrays count from 0."
        )
    return "\n".join(lines)


def softmax_worksheet(logits: Float[np.ndarray, "10"], *, table: Table) -> str:
    """Return how ten sums become ten probabilities, which add up to 100%."""
    z = [_fixed(logit) for logit in logits]
    powers = [_fixed(np.exp((value - max(z)) / 10**4), 6) for value in z]
    exact = softmax(logits) * 10**4
    shares = [int(share) for share in exact]
    # What is missing to 100% is given to the largest remainders, a unit each; so every
    # share is off by less than a unit.
    for k in np.argsort(shares - exact, kind="stable")[: 10**4 - sum(shares)]:
        shares[k] += 1
    rows = []
    for digit, power in enumerate(powers):
        numbers = _format(z[digit]), _format(power, 6), f"{_format(shares[digit], 2)}%"
        answer = "the answer" if digit == z.index(max(z)) else ""
        rows.append([f"{digit}", f"N2{digit + 1}", *numbers, answer])
    total = f"{_format(sum(shares), 2)}%"
    rows.append(["sum", "", "", _format(sum(powers), 6), total, ""])
    columns = ["digit", "neuron", "z", "e^(z - max)", "probability", ""]
    cells = table(columns, rows, left=["digit", "neuron", ""])
    return (
        f"Softmax: e^(z - max) of each digit, with max = {_format(max(z))}, is divided "
        f"by the sum of all.\nThe probabilities are rounded to add up to 100%.\n{cells}"
    )


def weight_history(
    location: ParameterLocation, values: Float[np.ndarray, " epochs"], *, table: Table
) -> str:
    """Return the value of a parameter before training and after its epochs.

    A long history shows every n-th epoch; its changes then cover n epochs each.
    """
    numbers = [_fixed(value, 6) for value in values.tolist()]
    last = len(numbers) - 1
    step = max(1, -(-last // MAX_EPOCHS))
    displayed = [e for e in range(1, last + 1) if e in (1, last) or not e % step]
    rows = [["initial", _format(numbers[0], 6), ""]]
    for before, epoch in zip([0, *displayed], displayed, strict=False):
        change = f"{(numbers[epoch] - numbers[before]) / 10**6:+.6f}"
        rows.append([f"{epoch}", _format(numbers[epoch], 6), change])
    lines = [
        f"{location.name}: {location.describe()}",
        table(["epoch", "value", "change"], rows),
    ]
    changes = np.diff(values.astype(float))
    if last and not changes.any():
        lines.append("It never changed: its gradient was 0 in every step.")
    elif last:
        largest = int(np.abs(changes).argmax())
        change = f"{(numbers[largest + 1] - numbers[largest]) / 10**6:+.6f}"
        text = f"The largest change in one epoch was {change}, in epoch {largest + 1}."
        if step > 1:
            text += f" The changes in the table cover up to {step} epochs each."
        lines.append(text)
    return "\n".join(lines)
