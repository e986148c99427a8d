"""The texts that `inspect` prints: tutorial, comparison, and history of a weight.

The sentences of the first two are in the templates tutorial.txt and comparison.txt,
which contain nothing that a user entered; this module prepares what goes into them.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from scipy.special import softmax

from pipeline import neuron_name
from pipeline.core import PIXELS
from pipeline.interpret.alignment import NetworkComparison, NeuronMatch
from pipeline.interpret.analysis import MAX_NEURONS, ModelAnalysis
from pipeline.interpret.names import ParameterLocation
from pipeline.interpret.templates import render
from pipeline.interpret.worksheet import rounded
from pipeline.terminal import counted, wrap
from pipeline.text import table

MAX_EPOCHS = 24  # in the table of a weight's history; life.csv has all
MAX_MATCHES = 100  # in the table of a comparison; matches.csv has all


def percent(fraction: float) -> str:
    """Format a fraction; only exact values become 0% or 100%."""
    if 0 < fraction <= 0.005:
        return "<1%"
    return ">99%" if 0.995 <= fraction < 1 else f"{fraction:z.0%}"


def render_tutorial(analysis: ModelAnalysis) -> str:
    """Return the tutorial, which explains the analysis in sentences."""
    network, test = analysis.trained.network, analysis.dataset.test
    logits = network.logits(test.images[:1])[0].numpy()
    first, second = (int(k) for k in np.argsort(-logits)[:2])
    outputs = np.maximum(analysis.sums[0], 0)[:MAX_NEURONS]
    never_active, always_active = (
        [neuron_name(1, int(j)) for j in np.flatnonzero(analysis.rates == rate)]
        for rate in (0, 1)
    )
    return render(
        "tutorial.txt",
        analysis=analysis,
        spec=analysis.spec,
        arrays=_arrays(analysis),
        example=_example(analysis),
        test=test,
        outputs=", ".join(f"{output:.2f}" for output in outputs),
        last=neuron_name(1, len(outputs) - 1),
        logits=logits,
        first=first,
        second=second,
        probability=softmax(logits)[first],
        never_active=never_active,
        always_active=always_active,
        max_neurons=MAX_NEURONS,
        responses=_responses(analysis),
        counted=counted,
        frozen_others=int(analysis.frozen_others.sum()),
        # How often the pixels of these weights are above 0.
        nonzero=analysis.nonzero[analysis.frozen_others.any(axis=1)],
    )


def _example(analysis: ModelAnalysis) -> dict[str, Any]:
    """Return the numbers of `ModelAnalysis.example`, rounded so that they add up."""
    neuron, pixel = analysis.example
    kernel, bias = analysis.trained.network.layer_1.get_weights()
    x = rounded(float(analysis.dataset.test.images[0].ravel()[pixel]) / 255, 2)
    m, c = rounded(float(kernel[pixel, neuron]), 2), rounded(float(bias[neuron]), 2)
    y = float(analysis.sums[0, neuron])
    sign = "-" if c < 0 else "+"
    return {
        "neuron": neuron_name(1, neuron),
        "pixel": pixel,
        "x": x,
        "m": m,
        "c": c,
        "line": f"{m} · {x} {sign} {abs(c)} = {rounded(m * x + c, 2)}",
        "sum": rounded(y, 2),
        "output": rounded(max(0.0, y), 2),
    }


def _arrays(analysis: ModelAnalysis) -> str:
    rows = [
        [f"{v:,}" if k == "size" else f"{v}" for k, v in array.items()]
        for array in analysis.arrays
    ]
    total = analysis.trained.network.parameter_count
    rows.append(["total", "", "", f"{total:,}", ""])
    columns = ["array", "in Keras", "in PyTorch", "numbers", "why"]
    return table(columns, rows, left=["array", "why"])


def _responses(analysis: ModelAnalysis) -> str:
    """Return what each neuron responds to, highest ablation cost first."""
    displayed, names = analysis.displayed, analysis.spec.class_names
    decimals = 1 if analysis.costs[displayed, 0].max() >= 0.01 else 2
    rows = []
    for j in displayed:
        row = [neuron_name(1, j), percent(analysis.rates[j])]
        mean, (cost, *costs) = analysis.means[j], analysis.costs[j]
        if analysis.sums[:, j].max() > 0:
            (highest, *_), (lowest, *_) = analysis.extremes(j)
            row += [names[mean.argmax()], names[mean.argmin()], f"{highest}, {lowest}"]
        else:
            row += ["always 0", "", ""]
        k = int(np.argmax(costs))
        affected = f"{names[k]} {percent(costs[k])}" if costs[k] > 0 else "none"
        rows.append([*row, f"{cost:z.{decimals}%}", affected])
    columns = ["neuron", "active", "highest", "lowest", "images", "cost"]
    return table([*columns, "most affected"], rows, left=["neuron"])


def describe_comparison(comparison: NetworkComparison) -> str:
    """Return which neurons of two networks match, and how the networks differ."""
    by_activations, by_weights = comparison.by_activations, comparison.by_weights
    matched = sorted({*by_activations, *by_weights})
    partners = [
        [neuron_name(1, j), *_cells(by_activations.get(j)), *_cells(by_weights.get(j))]
        for j in matched[:MAX_MATCHES]
    ]
    columns = ["A", "B by activations", "correlation", "B by weights", "cosine"]
    differences = comparison.differences()
    rows = [
        [name, f"{largest:.6f}", f"{mean:.6f}"]
        for name, (largest, mean) in differences.items()
    ]
    return render(
        "comparison.txt",
        comparison=comparison,
        partners=table(columns, partners, left=[columns[0], columns[1], columns[3]]),
        more=max(0, len(matched) - MAX_MATCHES),
        constant=any(np.isnan(match.similarity) for match in by_activations.values()),
        differences=table(["array", "largest", "mean"], rows, left=["array"]),
        equal=not any(largest for largest, _ in differences.values()),
        moved=sum(a != match.b for a, match in by_weights.items()),
    )


def _cells(match: NeuronMatch | None) -> list[str]:
    return [neuron_name(1, match.b), match.similarity_text] if match else ["none", ""]


def weight_history(
    location: ParameterLocation, values: Float[np.ndarray, " epochs"]
) -> str:
    """Return the value of a parameter before training and after its epochs.

    A long history shows every n-th epoch, and the first and the last; its changes then
    cover up to n epochs each.
    """
    numbers = [rounded(value, 6) for value in values.tolist()]
    last = len(numbers) - 1
    step = max(1, -(-last // MAX_EPOCHS))
    displayed = [e for e in range(1, last + 1) if e in (1, last) or not e % step]
    rows = [["initial", f"{numbers[0]:,}", ""]]
    for before, epoch in zip([0, *displayed], displayed, strict=False):
        change = numbers[epoch] - numbers[before]
        rows.append([f"{epoch}", f"{numbers[epoch]:,}", f"{change:+}"])
    lines = [
        f"{location.name}: {location.describe()}",
        table(["epoch", "value", "change"], rows),
    ]
    changes = np.abs(np.diff(values.astype(float)))
    if not changes.any():
        lines.append("It is frozen: its gradient was 0 in every step.")
    else:
        k = int(changes.argmax())
        change = numbers[k + 1] - numbers[k]
        text = f"The largest change in one epoch was {change:+}, in epoch {k + 1}."
        if step > 1:
            text += f" The changes in the table cover up to {step} epochs each;"
            text += " life.csv has all epochs."
        lines.append(wrap(text, indent=0))
    return "\n".join(lines)


def describe_pixel(pixel: int, images: UInt8[np.ndarray, "n 28 28"]) -> str:
    """Return how often a pixel is above 0 in the training images, and its mean."""
    levels = images.reshape(-1, PIXELS)[:, pixel]
    count = np.count_nonzero(levels)
    return wrap(
        f"Pixel {pixel} is above 0 in {count:,} of {len(images):,} training images "
        f"({count / len(images):.1%}); its mean is {levels.mean() / 255:.4f} (0 is "
        "black, 1 is white).",
        indent=0,
    )
