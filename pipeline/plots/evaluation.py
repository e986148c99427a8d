"""The plots of stage evaluate: confusion matrix and reliability diagram."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from pipeline.plots.common import (
    POSITIVE,
    label_cells,
    new_figure,
    render,
    simplify_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def evaluation_scores(
    counts: Int[np.ndarray, "n n"],
    bins: Float[np.ndarray, "bins 3"],
    *,
    label_names: Sequence[str],
    answer_names: Sequence[str],
    title: str,
) -> Image.Image:
    """Plot a confusion matrix beside a reliability diagram.

    Args:
        counts: The number of images for each label (row) and prediction (column).
        bins: For each bin of confidence, the number of images, their mean confidence
            and their accuracy.
        label_names: The name of each class of the images.
        answer_names: The name of each class of the network.
        title: The title of the figure.
    """
    figure = new_figure(12.4, 6.2)
    left, right = figure.subplots(1, 2)
    figure.suptitle(title, fontsize=12)
    _confusion_matrix(left, counts, label_names, answer_names)
    _reliability_diagram(right, bins)
    return render(figure)


def _confusion_matrix(
    axes: "Axes",
    counts: Int[np.ndarray, "n n"],
    label_names: Sequence[str],
    answer_names: Sequence[str],
) -> None:
    """Plot a confusion matrix; only the mistakes are coloured.

    Otherwise 30 mistakes would hardly be visible beside a thousand correct predictions.
    """
    diagonal = np.eye(len(counts), dtype=bool)
    mistakes = np.where(diagonal, 0, counts)
    maximum = max(int(mistakes.max()), 1)
    axes.imshow(mistakes, cmap="Oranges", vmax=maximum)
    axes.imshow(np.where(diagonal, 0.1, np.nan), cmap="Greys", vmin=0, vmax=1)
    texts = [[f"{count:,}" if count else "" for count in row] for row in counts]
    dark = mistakes > 0.6 * maximum
    label_cells(axes, texts, rows=label_names, columns=answer_names, dark=dark)
    axes.set(xlabel="prediction", ylabel="label")
    axes.set_title("confusion matrix (number of images)", fontsize=11)


def _reliability_diagram(axes: "Axes", bins: Float[np.ndarray, "bins 3"]) -> None:
    """Plot accuracy against confidence; the area of a point shows its images."""
    counts, confidence, accuracy = bins.T
    axes.plot([0, 1], [0, 1], "--", color="#9aa0a6", label="perfectly calibrated")
    sizes = 20 + 600 * counts / counts.max()
    axes.scatter(confidence, accuracy, sizes, color=POSITIVE, alpha=0.7)
    for count, x, y in bins:
        text = axes.annotate(f"{count:,.0f}", (x, y), (0, -16), fontsize=8, ha="center")
        text.set_anncoords("offset points")
    axes.set(xlabel="mean confidence", ylabel="accuracy", xlim=(0, 1.05))
    axes.set_ylim(-0.05, 1.08)
    axes.set_title("reliability diagram (labels: number of images)", fontsize=11)
    axes.legend(frameon=False, loc="upper left")
    simplify_axes(axes)
