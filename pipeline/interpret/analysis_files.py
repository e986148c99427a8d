"""The files of an analysis: summary.json, the tables of neurons and pixels, plots.

`page` renders the interactive page.
"""

from itertools import chain
from pathlib import Path
from typing import Any

from pipeline import plots
from pipeline.base import csv_files, files
from pipeline.base.text import neuron_name
from pipeline.core import SIDE
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.tutorial import array_rows
from pipeline.plots import ImageRow, diverging_colors


def write_analysis(analysis: ModelAnalysis, folder: Path) -> None:
    """Write the summary, the tables and the plots of an analysis."""
    files.write_json(folder / "summary.json", summary(analysis))
    csv_files.write_csv(folder / "neurons.csv", neuron_rows(analysis), exact=False)
    csv_files.write_csv(folder / "pixels.csv", pixel_rows(analysis))
    _write_plots(analysis, folder)


def summary(analysis: ModelAnalysis) -> dict[str, Any]:
    """Return everything except the tables of neurons and pixels, ready for JSON."""
    return {
        **analysis.counts,
        "dataset": analysis.dataset.name,
        "split": analysis.trained.split,
        "training_images": len(analysis.split.train),
        "accuracy": analysis.accuracy,
        "arrays": array_rows(analysis),
    }


def neuron_rows(analysis: ModelAnalysis) -> list[dict[str, Any]]:
    """Return activation rate, means, extreme test images and costs per neuron."""
    rows = []
    for j in range(analysis.hidden):
        most, least = (" ".join(map(str, each)) for each in analysis.extremes(j))
        rate = float(analysis.activation_rates[j])
        means = analysis.mean_outputs[j]
        costs = analysis.costs[j]
        rows.append(
            {"neuron": neuron_name(1, j), "activation_rate": rate}
            | {f"mean_{d}": float(mean) for d, mean in enumerate(means)}
            | {"most": most, "least": least, "cost": float(costs[0])}
            | {f"cost_{d}": float(cost) for d, cost in enumerate(costs[1:])}
        )
    return rows


def pixel_rows(analysis: ModelAnalysis) -> list[dict[str, Any]]:
    """Return how often each pixel is not 0, and its number of frozen weights."""
    frozen = analysis.frozen
    return [
        {"pixel": k, "row": k // SIDE, "column": k % SIDE, "nonzero": int(count)}
        | ({} if frozen is None else {"frozen": int(frozen[k].sum())})
        for k, count in enumerate(analysis.images_with_ink)
    ]


def _write_plots(analysis: ModelAnalysis, folder: Path) -> None:
    # Importing Matplotlib takes 0.4 s, so it is imported only for the plots.
    from pipeline.plots.inspection import neuron_responses, pixel_usage

    displayed = analysis.displayed_neurons
    neuron_responses(
        analysis.mean_outputs[displayed],
        analysis.costs[displayed],
        [neuron_name(1, j) for j in displayed],
        analysis.spec.class_names,
        noun=analysis.spec.noun,
        cost_decimals=analysis.cost_decimals,
    ).save(folder / "neurons.png")
    _write_extremes(analysis, folder / "extremes.png")
    usage = pixel_usage(analysis.images_with_ink / len(analysis.split.train))
    usage.save(folder / "pixels.png")


def _write_extremes(analysis: ModelAnalysis, path: Path) -> None:
    """Draw each neuron's weights and the test images with its most extreme sums."""
    displayed = analysis.displayed_neurons
    scale = plots.weight_scale(analysis.kernel[:, displayed])
    gray_means = plots.meaning_of_gray(analysis.always_zero)
    highest, _ = analysis.extremes(0)  # a small test set gives fewer than four
    headings = {0: "weights", 1: "test images with the highest sums"}
    plots.image_rows(
        [neuron_images(analysis, j, scale=scale) for j in displayed],
        title="What the neurons of layer 1 respond to. Captions: sum, image index "
        "and label",
        headings=headings | {1 + len(highest): "test images with the lowest sums"},
        legend=plots.weight_legend(scale, gray_means=gray_means),
        max_rows=10,
    ).save(path)


def neuron_images(analysis: ModelAnalysis, neuron: int, *, scale: float) -> ImageRow:
    """Return a neuron's weights and the test images with its most extreme sums."""
    weights = analysis.kernel[:, neuron]
    colors = diverging_colors(weights, scale=scale, masked=analysis.always_zero)
    images = [("", colors)]
    test = analysis.dataset.test
    for row in chain.from_iterable(analysis.extremes(neuron)):
        name = analysis.spec.title(int(test.labels[row]))
        caption = f"{analysis.hidden_sums[row, neuron]:+z.1f} #{row}\n{name}"
        images.append((caption, test.images[row]))
    rate = analysis.activation_rates[neuron]
    title = (
        f"{neuron_name(1, neuron)}: active for {rate:.1%} of the training images, "
        f"ablation cost {analysis.costs[neuron, 0]:z.2%}"
    )
    return ImageRow(images, title)
