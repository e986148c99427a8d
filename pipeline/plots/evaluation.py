"""The plots of the evaluate stage: confusion matrix and reliability diagram."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

from pipeline.plots.common import FROZEN, INK, MUTED, NEGATIVE, PAPER, POSITIVE
from pipeline.plots.figures import (
    color_map,
    label_cells,
    new_figure,
    set_title,
    simplify_axes,
    to_image,
)

LOGARITHMIC = 100  # images of the largest bin; fewer need no logarithmic scale
FEW = 10  # images; with fewer images, an accuracy is uncertain


def evaluation_scores(
    counts: Int[np.ndarray, "n n"],
    bins: Float[np.ndarray, "bins 3"],
    *,
    bin_width: float,
    label_names: Sequence[str],
    class_names: Sequence[str],
    title: str,
) -> Image.Image:
    """Plot a confusion matrix next to a reliability diagram.

    Args:
        counts: The number of images for each label (row) and prediction (column).
        bins: For each bin of confidence, the number of images, the mean confidence and
            the accuracy.
        bin_width: The range of confidence of a bin.
        label_names: The name of each class of the images.
        class_names: The name of each class of the network.
        title: The title of the figure.
    """
    figure = new_figure(1040, 580)
    grid = figure.add_gridspec(2, 2, width_ratios=[6, 5], height_ratios=[3, 1])
    figure.suptitle(title, fontsize=12, color=INK)
    matrix = figure.add_subplot(grid[:, 0])
    draw_confusion_matrix(matrix, counts, label_names, class_names)
    upper, lower = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    draw_reliability_diagram(upper, lower, bins, bin_width=bin_width)
    # Below the plots, the legend covers no data.
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize=9)
    return to_image(figure)


def draw_confusion_matrix(
    axes: Axes,
    counts: Int[np.ndarray, "n n"],
    label_names: Sequence[str],
    class_names: Sequence[str],
) -> None:
    """Plot a confusion matrix; only the misclassified images are colored.

    In one color scale, 30 of these would hardly be visible next to 1,000 correct
    predictions.
    """
    diagonal = np.eye(len(counts), dtype=bool)
    wrong = np.where(diagonal, np.nan, counts)
    maximum = float(counts.max(where=~diagonal, initial=1))
    colors = color_map(PAPER, NEGATIVE).with_extremes(bad=(FROZEN, 0.3))
    axes.imshow(wrong, cmap=colors, vmin=0, vmax=maximum)
    texts = [[f"{count:,}" if count else "" for count in row] for row in counts]
    dark = wrong > 0.6 * maximum
    label_cells(axes, texts, rows=label_names, columns=class_names, dark=dark)
    axes.set(xlabel="prediction", ylabel="label")
    set_title(axes, "Confusion matrix: number of images (red: misclassified)")


def draw_reliability_diagram(
    axes: Axes,
    below: Axes,
    bins: Float[np.ndarray, "bins 3"],
    *,
    bin_width: float,
) -> None:
    """Plot accuracy against confidence, above the number of images of each bin."""
    counts, confidence, accuracy = bins.T
    ideal = "perfect calibration"
    axes.plot([0, 1], [0, 1], "--", color=MUTED, label=ideal)
    few = counts < FEW
    axes.plot(confidence[~few], accuracy[~few], "o-", color=POSITIVE, label="network")
    if few.any():
        label = f"fewer than {FEW} images"
        axes.plot(confidence[few], accuracy[few], "x", color=NEGATIVE, label=label)
    set_title(axes, "Reliability diagram")
    axes.set(ylabel="accuracy", ylim=(-0.04, 1.04))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.tick_params(labelbottom=False)
    # The bars are in the middle of the bins, because bars at the mean confidences of
    # adjacent bins could overlap.
    middles = (np.ceil(confidence / bin_width) - 0.5) * bin_width
    below.bar(middles, counts, width=0.8 * bin_width, color=POSITIVE)
    below.set(ylabel="images", xlabel="confidence")
    if counts.max() >= LOGARITHMIC:
        below.set(ylabel="images\n(logarithmic scale)", yscale="log")
        below.set_ylim(0.5, 3 * float(counts.max()))
        top = below.get_ylim()[1]
        below.set_yticks([10**k for k in range(0, 7, 2) if 10**k <= top])
    else:
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    below.yaxis.set_major_formatter("{x:,.0f}")
    below.xaxis.set_major_formatter(PercentFormatter(1))
    for each in (axes, below):
        each.set(xlim=(-0.02, 1.04), xticks=np.linspace(0, 1, 6))
        simplify_axes(each)
    below.minorticks_off()
