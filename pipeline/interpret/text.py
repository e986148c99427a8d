"""The texts that `inspect` prints: tutorial, comparison, and history of a weight.

The sentences of the first two are in the templates tutorial.txt and comparison.txt,
which contain nothing that a user entered; this module prepares what goes into them.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined
from scipy.special import softmax

from pipeline import PIXELS, neuron_name
from pipeline.interpret.alignment import NetworkComparison, NeuronMatch
from pipeline.interpret.analysis import HIGH_CORRELATION, MAX_NEURONS, ModelAnalysis
from pipeline.interpret.names import ParameterLocation
from pipeline.interpret.worksheet import (
    PreActivation,
    formula,
    pre_activations,
    rounded,
)
from pipeline.terminal import table, wrap

OUTPUTS_PER_ROW = 4


def percent(fraction: float) -> str:
    """Format a fraction; only exact values become 0% or 100%."""
    if 0 < fraction <= 0.005:
        return "<1%"
    return ">99%" if 0.995 <= fraction < 1 else f"{fraction:.0%}"


def render_tutorial(analysis: ModelAnalysis) -> str:
    """Return the tutorial, which explains the analysis in sentences."""
    probe, test = analysis.probe, analysis.dataset.test
    sums = pre_activations(analysis.trained.network, test.images[0])
    hidden = [neuron for neuron in sums.values() if neuron.layer == 1]
    logits = np.array([neuron.z for neuron in sums.values() if neuron.layer == 2])
    first, second = (int(k) for k in np.argsort(-logits)[:2])
    lines = []
    for progress, line in probe.lines.items():
        sign = "-" if line.c < 0 else "+"
        equation = f"y = {line.m:.3f}·x {sign} {abs(line.c):.3f}"
        lines.append([progress, equation, f"{line.rmse:.2f}"])
    never_active, always_active = (
        [neuron_name(1, int(j)) for j in np.flatnonzero(analysis.rates == rate)]
        for rate in (0, 1)
    )
    return _render(
        "tutorial.txt",
        analysis=analysis,
        spec=analysis.spec,
        arrays=_arrays(analysis),
        lines=table(["descent", "line", "error"], lines, left=["descent"]),
        output=neuron_name(2, probe.output),
        formula=formula(sums[neuron_name(2, probe.output)]),
        probed=sums[neuron_name(1, probe.hidden)],
        test=test,
        outputs=_outputs(hidden),
        logits=logits,
        first=first,
        second=second,
        probability=softmax(logits)[first],
        never_active=never_active,
        always_active=always_active,
        high_correlation=HIGH_CORRELATION,
        max_neurons=MAX_NEURONS,
        responses=_responses(analysis),
    )


def _arrays(analysis: ModelAnalysis) -> str:
    rows = [
        [f"{v:,}" if k == "size" else f"{v}" for k, v in array.items()]
        for array in analysis.arrays
    ]
    total = analysis.trained.network.parameter_count
    rows.append(["total", "", "", f"{total:,}", ""])
    columns = ["array", "in Keras", "in PyTorch", "numbers", "why"]
    return table(columns, rows, left=["array", "why"])


def _outputs(hidden: list[PreActivation]) -> str:
    """Return the outputs of hidden neurons, several in a row."""
    cells = [[neuron.neuron, f"{neuron.relu:.2f}"] for neuron in hidden[:MAX_NEURONS]]
    columns = min(OUTPUTS_PER_ROW, len(cells))
    cells += [["", ""]] * (-len(cells) % columns)
    rows = np.reshape(cells, (-1, 2 * columns)).tolist()
    return table(["neuron", "output"] * columns, rows, left=["neuron"])


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
        rows.append([*row, f"{cost:.{decimals}%}", f"{names[k]} {percent(costs[k])}"])
    columns = ["neuron", "active", "highest", "lowest", "images", "cost"]
    return table([*columns, "most affected"], rows, left=["neuron"])


def describe_comparison(comparison: NetworkComparison) -> str:
    """Return which neurons of two networks match, and how the networks differ."""
    by_activations, by_weights = comparison.by_activations, comparison.by_weights
    partners = [
        [neuron_name(1, j), *_cells(by_activations.get(j)), *_cells(by_weights.get(j))]
        for j in sorted({*by_activations, *by_weights})
    ]
    columns = ["A", "B by activations", "correlation", "B by weights", "cosine"]
    differences = comparison.differences()
    rows = [
        [name, f"{largest:.6f}", f"{mean:.6f}"]
        for name, (largest, mean) in differences.items()
    ]
    return _render(
        "comparison.txt",
        comparison=comparison,
        partners=table(columns, partners, left=[columns[0], columns[1], columns[3]]),
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
    """Return the value of a parameter before training and after every epoch."""
    numbers = [rounded(value, 6) for value in values.tolist()]
    rows = [["initial", f"{numbers[0]:,}", ""]]
    for epoch, (before, after) in enumerate(pairwise(numbers), start=1):
        rows.append([f"{epoch}", f"{after:,}", f"{after - before:+}"])
    lines = [
        f"{location.name}: {location.describe()}",
        table(["epoch", "value", "change"], rows),
    ]
    changes = np.abs(np.diff(values.astype(float)))
    if not changes.any():
        return "\n".join(
            [*lines, "It never changed: its gradient was 0 in every step."]
        )
    epoch = int(changes.argmax()) + 1
    change = numbers[epoch] - numbers[epoch - 1]
    lines.append(f"The largest change in one epoch was {change:+}, in epoch {epoch}.")
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


def _render(template: str, **values: Any) -> str:  # noqa: ANN401
    """Fill in a Jinja2 template of this package, named by its file."""
    environment = Environment(
        loader=PackageLoader("pipeline.interpret", ""),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["paragraph"] = lambda text, indent=0: (
        wrap(text, indent=indent) + "\n"
    )
    return environment.get_template(template).render(values).rstrip()
