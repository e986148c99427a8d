"""The files of an analysis: summary.json, tables as CSV and plots as PNG.

The interactive page is a file of its own; see `report`.
"""

import json
from pathlib import Path

from pipeline import PIXELS, SIDE, files, plots
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.images import neuron_images

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
