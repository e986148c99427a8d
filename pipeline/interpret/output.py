"""The files of an analysis and of answers: JSON, tables as CSV, plots as PNG.

`report` makes the interactive page.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from pipeline import PIXELS, SIDE, files, plots
from pipeline.interpret.alignment import NetworkComparison
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.forward import PreActivation
from pipeline.interpret.images import comparison_images, neuron_images, term_images

MAX_NEURONS = 20  # in text and plots, those with the highest ablation cost
MAX_POINTS = 1500  # in a scatter plot, where more would merge


def write_analysis(analysis: ModelAnalysis, folder: Path) -> None:
    """Write the summary, the tables and the plots of an analysis."""
    summary = json.dumps(analysis.summary(), indent=1)
    (folder / "summary.json").write_text(summary + "\n")
    neurons = analysis.neuron_rows()
    for row in neurons:
        row |= {key: " ".join(map(str, row[key])) for key in ("most", "least")}
    files.write_csv(folder / "neurons.csv", neurons)
    files.write_csv(folder / "pixels.csv", analysis.pixel_rows())
    if analysis.pairs:
        files.write_csv(folder / "alike.csv", [vars(pair) for pair in analysis.pairs])
    else:  # a network with one neuron
        (folder / "alike.csv").write_text("one,other,correlation\n")
    _write_plots(analysis, folder)


def _write_plots(analysis: ModelAnalysis, folder: Path) -> None:
    displayed = analysis.by_cost[:MAX_NEURONS]
    plots.neuron_responses(
        analysis.means[displayed],
        analysis.costs[displayed],
        [f"N1{j + 1}" for j in displayed],
    ).save(folder / "neurons.png")
    rows = [neuron_images(analysis, j) for j in displayed]
    plots.image_rows(rows, text=200).save(folder / "exciting.png")
    usage = plots.pixel_usage(analysis.nonzero / analysis.train_size)
    usage.save(folder / "pixels.png")
    probe, points = analysis.probe, slice(MAX_POINTS)
    pixels = analysis.dataset.test.images.reshape(-1, PIXELS)
    row, column = divmod(probe.pixel, SIDE)
    plots.fitted_lines(
        pixels[points, probe.pixel] / 255,
        analysis.sums[points, probe.neuron],
        {progress: (line.m, line.c) for progress, line in probe.lines.items()},
        xlabel=f"x: pixel in row {row}, column {column} (0 is black, 1 is white)",
        ylabel=f"y: sum of neuron N1{probe.neuron + 1}, before ReLU",
        title=f"one weight explains {probe.best.explained:.0%} of the variance of y",
    ).save(folder / "path.png")


def write_terms(
    pre_activations: Sequence[PreActivation],
    always_zero: Bool[np.ndarray, "784"],
    folder: Path,
) -> None:
    """Write all terms of sums as a table, and those of layer_1 as images.

    Args:
        pre_activations: The sums.
        always_zero: The pixels that are 0 in all training images.
        folder: Where terms.csv and terms.png are written.
    """
    rows = [row for each in pre_activations for row in term_rows(each)]
    files.write_csv(folder / "terms.csv", rows)
    hidden = [each for each in pre_activations if each.neuron.layer == 1]
    if hidden:
        images = [term_images(p, always_zero) for p in hidden[: plots.MAX_TEMPLATES]]
        plots.image_rows(images, side=224, text=190).save(folder / "terms.png")


def term_rows(pre_activation: PreActivation) -> list[dict[str, Any]]:
    """Return all terms of a sum, not rounded, and the bias as a term with input 1."""
    layer, count = pre_activation.neuron.layer, len(pre_activation.weights)
    names = [f"pixel {k}" if layer == 1 else f"N1{k + 1}" for k in range(count)]
    weights = [*pre_activation.weights, pre_activation.bias]
    inputs = [*pre_activation.inputs, 1.0]
    return [
        {"neuron": pre_activation.neuron.name, "input": name, "weight": float(weight)}
        | {"value": float(value), "product": float(weight * value)}
        for name, weight, value in zip([*names, "bias"], weights, inputs, strict=True)
    ]


def write_comparison(
    comparison: NetworkComparison,
    unlearned: Sequence[Bool[np.ndarray, "784"] | None],
    folder: Path,
) -> None:
    """Write matched neurons as the table matches.csv and as the images matches.png."""
    files.write_csv(folder / "matches.csv", comparison.rows())
    images = comparison_images(comparison, unlearned)
    plots.image_rows(images, text=0).save(folder / "matches.png")
