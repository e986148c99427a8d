"""The plots of the inspect stage: what neurons respond to, and which pixels are used.

`rows.image_rows` draws images of single neurons.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.patches import Patch
from PIL import Image

from pipeline.core import SIDE
from pipeline.plots.common import FROZEN, INK, LINE, MUTED, NEGATIVE, PAPER, POSITIVE
from pipeline.plots.figures import (
    color_map,
    label_cells,
    new_figure,
    set_title,
    to_image,
)


def neuron_responses(
    means: Float[np.ndarray, "n 10"],
    costs: Float[np.ndarray, "n 11"],
    names: Sequence[str],
    class_names: Sequence[str],
    *,
    noun: str,
    cost_decimals: int,
) -> Image.Image:
    """Plot the mean output of neurons for each class, next to their ablation costs.

    Args:
        means: The mean output of each neuron (row) for each class (column).
        costs: The accuracy lost without the neuron, for all images and for each class.
        names: The names of the neurons.
        class_names: The names of the classes.
        noun: What an image shows, such as a digit.
        cost_decimals: The decimal places of a cost in percentage points.
    """
    figure = new_figure(1040, 130 + 26 * len(names))
    left, right = figure.subplots(1, 2, width_ratios=[10, 11])
    cost_title = "Ablation cost in percentage points (blue: gain)"
    mean_title = f"Mean output in layer 1 for each {noun}"
    outputs, gains = color_map(PAPER, POSITIVE), color_map(POSITIVE, PAPER, NEGATIVE)
    for axes, values, columns, colors, title, decimals in (
        (left, means, class_names, outputs, mean_title, 1),
        (right, 100 * costs, ["all", *class_names], gains, cost_title, cost_decimals),
    ):
        largest = float(np.abs(values).max()) or 1.0
        lowest = 0.0 if axes is left else -largest
        axes.imshow(values, cmap=colors, vmin=lowest, vmax=largest, aspect="auto")
        texts = [[f"{value:z.{decimals}f}" for value in row] for row in values]
        dark = np.abs(values) > 0.6 * largest
        label_cells(axes, texts, rows=names, columns=columns, dark=dark)
        set_title(axes, title)
        axes.set_xlabel(noun)
    right.axvline(0.5, color=PAPER, linewidth=4)
    return to_image(figure)


def pixel_usage(fractions: Float[np.ndarray, "784"]) -> Image.Image:
    """Plot the fraction of training images in which each pixel is above 0."""
    figure = new_figure(640, 600)
    axes = figure.subplots()
    grid = fractions.reshape(SIDE, SIDE)
    unused = grid == 0
    colors = color_map(PAPER, POSITIVE).with_extremes(bad=FROZEN)
    heatmap = axes.imshow(np.where(unused, np.nan, grid), cmap=colors, vmin=0)
    if unused.any():
        label = f"always zero: {unused.sum()} of 784 pixels, whose weights are frozen"
        patch = Patch(facecolor=FROZEN, label=label)
        figure.legend(handles=[patch], loc="outside lower center", frameon=False)
    figure.colorbar(heatmap, shrink=0.8, format="{x:.0%}", label="training images")
    set_title(axes, "How often each pixel is above 0")
    axes.set(xlabel="column", ylabel="row", xticks=range(0, SIDE, 4))
    axes.set_yticks(range(0, SIDE, 4))
    axes.tick_params(color=MUTED, labelcolor=INK)
    axes.spines[:].set_color(LINE)
    return to_image(figure)
