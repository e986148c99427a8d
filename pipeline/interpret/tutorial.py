"""The tutorial that `inspect` prints: an analysis in sentences with its real numbers.

The sentences are in tutorial.txt; this module prepares the numbers and tables in them.
"""

from typing import Any

import numpy as np
from scipy.special import softmax

from pipeline import SIDE
from pipeline.interpret.analysis import HIGH_CORRELATION, ModelAnalysis, percent
from pipeline.interpret.forward import PreActivation, pre_activations
from pipeline.interpret.output import MAX_NEURONS
from pipeline.interpret.template import render
from pipeline.interpret.worksheet import Table

OUTPUTS_PER_ROW = 5


def render_tutorial(analysis: ModelAnalysis, *, table: Table) -> str:
    """Return the tutorial about a network; `table` is `cli.terminal.table`."""
    probe, test = analysis.probe, analysis.dataset.test
    sums = pre_activations(analysis.trained.network, test.images[0])
    logits = np.array([s.z for s in sums.values() if s.neuron.layer == 2])
    first, second = (int(digit) for digit in np.argsort(-logits)[:2])
    lines = [
        [when, f"y = {line.m:.3f}·x {line.c:+.3f}", f"{line.rmse:.2f}"]
        for when, line in probe.lines.items()
    ]
    return render(
        "tutorial.txt",
        analysis=analysis,
        arrays=_arrays(analysis, table),
        row=probe.pixel // SIDE,
        column=probe.pixel % SIDE,
        lines=table(["descent", "line", "error"], lines, left=["descent"]),
        probed=sums[f"N1{probe.neuron + 1}"],
        test=test,
        nonzero=int(np.count_nonzero(test.images[0])),
        outputs=_outputs([s for s in sums.values() if s.neuron.layer == 1], table),
        logits=logits,
        first=first,
        second=second,
        probability=softmax(logits)[first],
        high_correlation=HIGH_CORRELATION,
        max_neurons=MAX_NEURONS,
        gain=analysis.costs[:, 0].min() < 0,
        responses=_responses(analysis, table),
        **_never_learned(analysis),
    )


def _arrays(analysis: ModelAnalysis, table: Table) -> str:
    arrays = analysis.trained.network.arrays()
    rows = [
        [a.name, f"{a.keras_shape}", f"{a.torch_shape}", f"{a.size:,}", a.why]
        for a in arrays
    ]
    rows.append(["total", "", "", f"{sum(a.size for a in arrays):,}", ""])
    columns = ["array", "in Keras", "in PyTorch", "numbers", "because"]
    return table(columns, rows, left=["array", "because"])


def _outputs(sums: list[PreActivation], table: Table) -> str:
    """Return the outputs of hidden neurons, several in a row."""
    cells = [[s.neuron.name, f"{s.relu:.2f}"] for s in sums[:MAX_NEURONS]]
    columns = min(OUTPUTS_PER_ROW, len(cells))
    cells += [["", ""]] * (-len(cells) % columns)
    rows = np.reshape(cells, (-1, 2 * columns)).tolist()
    return table(["neuron", "output"] * columns, rows, left=["neuron"])


def _never_learned(analysis: ModelAnalysis) -> dict[str, Any]:
    frozen, always_zero = analysis.frozen, analysis.always_zero
    inactive, active = (np.flatnonzero(analysis.rates == rate) for rate in (0, 1))
    return {
        "always_zero": int(always_zero.sum()),
        "has_history": frozen is not None,
        "frozen_at_zero": 0 if frozen is None else int(frozen[always_zero].sum()),
        "frozen_elsewhere": 0 if frozen is None else int(frozen[~always_zero].sum()),
        "never_active": [f"N1{j + 1}" for j in inactive],
        "always_active": [f"N1{j + 1}" for j in active],
    }


def _responses(analysis: ModelAnalysis, table: Table) -> str:
    """Return what each neuron responds to, highest ablation cost first."""
    displayed = analysis.by_cost[:MAX_NEURONS]
    decimals = 1 if analysis.costs[displayed, 0].max() >= 0.01 else 2
    rows = []
    for j in displayed:
        row = [f"N1{j + 1}", percent(analysis.rates[j])]
        mean, (cost, *costs) = analysis.means[j], analysis.costs[j]
        if analysis.sums[:, j].max() > 0:
            row += [f"{d}: {mean[d]:.2f}" for d in (mean.argmax(), mean.argmin())]
            row += [f"{analysis.images_by_sum(j)[at]}" for at in (0, -1)]
        else:
            row += ["always 0", "", "", ""]
        digit = int(np.argmax(costs))
        rows.append([*row, f"{cost:.{decimals}%}", f"{digit}: {costs[digit]:.1%}"])
    columns = ["neuron", "active", "highest", "lowest", "image+", "image-", "cost"]
    return table([*columns, "most affected"], rows, left=["neuron"])
