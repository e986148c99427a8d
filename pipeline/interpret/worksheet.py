"""A neuron's sum and a weight's life as lines of text that add up as they are printed.

Every figure is rounded first and added afterwards, as whole numbers; what rounding
leaves over goes into the line `rest`, so that a pencil comes to the same sum.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from pipeline import SIDE
from pipeline.interpret.neurons import ParameterLocation, PreActivation, softmax
from pipeline.plots import ImageRow, diverging_colours

TERMS = 12  # that a ledger shows, the largest
EPOCHS = 24  # that a weight's life shows at most


def _whole(value: float, decimals: int = 4) -> int:
    return round(value * float(10**decimals))


def _figure(whole: int, decimals: int = 4) -> str:
    return f"{whole / 10**decimals:11,.{decimals}f}"


def formula(one: PreActivation) -> str:
    """Write the sum in letters: M and X for pixels, W and N for neurons."""
    n, pixels = len(one.weights), one.neuron.layer == 1
    terms = [f"M{k}·X{k}" if pixels else f"W{k}·N1{k}" for k in (1, 2, n)]
    shown = terms[:n] if n < 3 else [*terms[:2], *(["..."] if n > 3 else []), terms[2]]
    return " + ".join([*shown, "C = y" if pixels else "bias = z"])


def pre_activation_worksheet(one: PreActivation) -> list[str]:
    """Lay out a neuron's sum: its largest terms, the rest, the bias, what comes out."""
    neuron, terms, pixels = one.neuron, one.terms, one.neuron.layer == 1
    order = np.argsort(-np.abs(terms), kind="stable")
    shown = [int(k) for k in order[:TERMS] if terms[k]]
    counted = int(np.count_nonzero(terms))
    digit = "" if pixels else f", the digit {neuron.number - 1}"
    lines = [
        f"{neuron.name}: neuron {neuron.number} of layer_{neuron.layer}{digit}",
        f"  {formula(one)}",
        f"  {'':10}{'weight':>11}  x {'pixel' if pixels else 'neuron':>11}"
        f"  = {'product':>11}",
    ]
    for k in shown:
        name = f"M{k + 1}·X{k + 1}" if pixels else f"W{k + 1}·N1{k + 1}"
        figures = (one.weights[k], one.inputs[k], terms[k])
        weight, level, product = (_figure(_whole(value)) for value in figures)
        where = f"   pixel {k:3}: row {k // SIDE:2}, column {k % SIDE:2}"
        lines.append(f"  {name:10}{weight}    {level}    {product}{where * pixels}")
    z, bias = _whole(one.z), _whole(one.bias)
    rest = z - bias - sum(_whole(terms[k]) for k in shown)
    smaller, zero = counted - len(shown), len(terms) - counted
    others = f"{smaller} smaller, {zero} that are 0" if smaller else "rounding"
    lines += [
        f"  {name:10}{told:>26}    {_figure(figure)}"
        for name, told, figure in (
            ("rest", others, rest),
            ("C" if pixels else "bias", "", bias),
            ("y" if pixels else "z", "the sum", z),
        )
    ]
    if pixels:
        said, fires = _figure(max(0, z)).strip(), "fires" if z > 0 else "is silent"
        lines.append(f"  ReLU: {neuron.name} = max(0, y) = {said}, it {fires}")
    return lines


def notes(shown: Sequence[PreActivation]) -> list[str]:
    """Say what a reader of these sums needs to know, once for all of them."""
    lines = ["Products were computed before their factors were rounded."]
    for one in {one.neuron.layer: one for one in reversed(shown)}.values():
        k, layer = int(np.abs(one.terms).argmax()), one.neuron.layer
        letter, source = ("M", f"pixel {k}") if layer == 1 else ("W", f"N1{k + 1}")
        lines.append(
            f"{letter}{k + 1} of {one.neuron.name} belongs to {source} and is "
            f"layer_{layer}[{k},{one.neuron.number - 1}]: arrays count from 0."
        )
    return lines


def term_rows(one: PreActivation) -> list[dict[str, Any]]:
    """Return all terms of a sum, unrounded, and its bias, which is multiplied by 1."""
    factors = zip([*one.weights, one.bias], [*one.inputs, 1.0], strict=True)
    source = "pixel {}" if one.neuron.layer == 1 else "N1{}"
    names = [source.format(k + one.neuron.layer - 1) for k in range(len(one.weights))]
    return [
        {"neuron": one.neuron.name, "input": name, "weight": float(weight)}
        | {"value": float(value), "product": float(weight * value)}
        for name, (weight, value) in zip([*names, "bias"], factors, strict=True)
    ]


def term_images(one: PreActivation, unlit: Bool[np.ndarray, "784"]) -> ImageRow:
    """Show weight, pixel and product of a neuron of layer_1 side by side."""
    pictures = {}
    # Pixels that were dark in training can be lit here: their products are real.
    grey = {"weight": unlit, "product": None}
    for name, values in (("weight", one.weights), ("product", one.terms)):
        scale = float(np.abs(values).max())
        coloured = diverging_colours(values[None], scale=scale, unlearned=grey[name])[0]
        pictures[f"{name}: red -{scale:.2f}, white 0, blue +{scale:.2f}"] = coloured
    pixel = np.round(one.inputs * 255).astype(np.uint8).reshape(SIDE, SIDE)
    (first, weight), (last, product) = pictures.items()
    told = [
        f"{one.neuron.name}: 784 products",
        f"{one.z - one.bias:+.4f} together",
        f"{one.bias:+.4f} bias C",
        f"{one.z:+.4f} the sum y",
        f"{max(0.0, one.z):+.4f} after ReLU",
        "",
        "grey: never learned",
    ]
    return ImageRow({first: weight, "x pixel": pixel, f"= {last}": product}, told)


def softmax_worksheet(logits: Float[np.ndarray, "10"]) -> list[str]:
    """Lay out how ten sums become ten probabilities, which come to 100 % as printed."""
    z = [_whole(logit) for logit in logits]
    powers = [_whole(np.exp((one - max(z)) / 10**4), 6) for one in z]
    exact = softmax(logits) * 10**4
    shares = [int(share) for share in exact]
    # What is left of 100 % goes to the largest remainders: none is off by a whole unit.
    for k in np.argsort(shares - exact, kind="stable")[: 10**4 - sum(shares)]:
        shares[k] += 1
    most = z.index(max(z))
    lines = [
        f"softmax: e^(z - {_figure(max(z)).strip()}) for each digit, and its share of "
        "their sum, rounded to make 100 %",
        f"  {'digit':10}{'z':>11}    {'e^(z - max)':>11}    {'probability':>11}",
    ]
    for digit, (one, power, share) in enumerate(zip(z, powers, shares, strict=True)):
        answer = "   the answer" if digit == most else ""
        lines.append(
            f"  {f'{digit}  N2{digit + 1}':10}{_figure(one)}    {_figure(power, 6)}"
            f"    {_figure(share, 2)} %{answer}"
        )
    total = f"{_figure(sum(powers), 6)}    {_figure(sum(shares), 2)} %"
    return [*lines, f"  {'sum':10}{'':11}    {total}"]


def weight_history(
    place: ParameterLocation, values: Float[np.ndarray, " epochs"]
) -> list[str]:
    """Lay out what a parameter was before training and after the epochs."""
    figures = [_whole(value, 6) for value in values.tolist()]
    changes = np.diff(values.astype(float))
    last, first = len(changes), f"  before training {_figure(figures[0], 6)}"
    step = max(1, -(-last // EPOCHS))
    shown = [
        epoch for epoch in range(1, last + 1) if epoch in (1, last) or not epoch % step
    ]
    lines = [f"{place.name}: {place.told}", first]
    for before, epoch in zip([0, *shown], shown, strict=False):
        change = (figures[epoch] - figures[before]) / 10**6
        lines.append(
            f"  after epoch {epoch:3} {_figure(figures[epoch], 6)}   {change:+.6f}"
        )
    if last and not changes.any():
        return [*lines, "  it never changed: its gradient was always 0"]
    if last:
        most = int(np.abs(changes).argmax())
        change = (figures[most + 1] - figures[most]) / 10**6
        told = f"  largest change {change:+.6f} in epoch {most + 1}"
        many = f", by itself: the lines above cover up to {step} epochs each"
        lines.append(told + many * (step > 1))
    return lines
