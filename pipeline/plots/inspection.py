"""The plots of stage inspect: what neurons respond to, and which pixels are used.

Images of single neurons are rows of `common.image_rows`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from pipeline import SIDE
from pipeline.plots.common import (
    NEGATIVE,
    POSITIVE,
    label_cells,
    new_figure,
    render,
    simplify_axes,
)


def neuron_responses(
    means: Float[np.ndarray, "n 10"],
    costs: Float[np.ndarray, "n 11"],
    names: Sequence[str],
    class_names: Sequence[str],
    *,
    noun: str,
) -> Image.Image:
    """Plot the mean output of neurons for each class, beside their ablation costs.

    Args:
        means: The mean output of each neuron (row) for each class (column).
        costs: The accuracy lost without the neuron, for all images and for each class.
        names: The names of the neurons.
        class_names: The names of the classes.
        noun: What an image shows, such as a digit.
    """
    figure = new_figure(13.2, 1.5 + 0.3 * len(names))
    left, right = figure.subplots(1, 2, width_ratios=[10, 11])
    cost_title = "accuracy lost without the neuron, in percentage points"
    cost_format = ".1f" if costs[:, 0].max() >= 0.01 else ".2f"
    for axes, values, columns, colours, title, number in (
        (left, means, class_names, "Blues", f"mean output for each {noun}", ".1f"),
        (right, 100 * costs, ["all", *class_names], "Oranges", cost_title, cost_format),
    ):
        largest = float(values.max()) or 1.0
        axes.imshow(values, cmap=colours, vmin=0, vmax=largest, aspect="auto")
        texts = [[f"{value:{number}}" for value in row] for row in values]
        dark = values > 0.6 * largest
        label_cells(axes, texts, rows=names, columns=columns, dark=dark)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(noun)
        axes.tick_params(length=0)
    right.axvline(0.5, color="white", linewidth=4)
    return render(figure)


def pixel_usage(fractions: Float[np.ndarray, "784"]) -> Image.Image:
    """Plot the fraction of training images in which each pixel is above 0."""
    figure = new_figure(6.4, 5.6)
    axes = figure.subplots()
    grid = fractions.reshape(SIDE, SIDE)
    heatmap = axes.imshow(grid, cmap="Blues", vmin=0)
    rows, columns = np.nonzero(grid == 0)
    if len(rows):
        label = f"always 0: {len(rows)} of 784 pixels, whose weights never change"
        axes.scatter(
            columns, rows, 22, NEGATIVE, marker="x", linewidths=1.2, label=label
        )
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    figure.colorbar(heatmap, shrink=0.8, format="{x:.0%}", label="training images")
    axes.set_title("how often each pixel is above 0", fontsize=11)
    axes.set(xlabel="column", ylabel="row", xticks=range(0, SIDE, 4))
    axes.set_yticks(range(0, SIDE, 4))
    return render(figure)


def fitted_lines(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    lines: Mapping[str, tuple[float, float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> Image.Image:
    """Plot points, and lines y = m·x + c with slope m and intercept c, by their names.

    The last line is emphasised.
    """
    figure = new_figure(7.2, 4.6)
    axes = figure.subplots()
    axes.plot(x, y, ".", color="#9aa0a6", markersize=4, alpha=0.6)
    styles = (":", "-.", "--", "-")
    for number, (name, (m, c)) in enumerate(lines.items()):
        last = number == len(lines) - 1
        axes.plot(
            *([0, 1], [c, m + c], styles[min(number, 3)]),
            color=POSITIVE if last else NEGATIVE,
            linewidth=3 if last else 1.4,
            zorder=2 if last else 3,  # below the others, so that it does not hide them
            label=f"{name}: y = {m:.2f}·x {c:+.2f}",
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    simplify_axes(axes)
    return render(figure)
