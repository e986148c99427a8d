"""The plots of stage evaluate: confusion matrix and reliability diagram."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from pipeline.plots.common import TRAIN, new_figure, render, simplify_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def evaluation_scores(
    counts: Int[np.ndarray, "n n"], bins: Float[np.ndarray, "bins 3"], *, title: str
) -> Image.Image:
    """Draw what was answered to what, and how much its confidence is worth.

    Args:
        counts: The pictures of each label (row) that got each answer (column).
        bins: Of pictures with about the same confidence: how many there are, the mean
            of their confidence, and the share of them that is right.
        title: What was scored, and how well.
    """
    figure = new_figure(12.4, 6.2)
    left, right = figure.subplots(1, 2)
    figure.suptitle(title, fontsize=12)
    _confusion(left, counts)
    _reliability(right, bins)
    return render(figure)


def _confusion(axes: "Axes", counts: Int[np.ndarray, "n n"]) -> None:
    """Draw a confusion matrix.

    The colour follows the mistakes alone, so that 30 of them stand out beside the
    thousand right answers on the diagonal, which are grey.
    """
    right = np.eye(len(counts), dtype=bool)
    mistakes = np.where(right, 0, counts)
    most = max(int(mistakes.max()), 1)
    axes.imshow(mistakes, cmap="Oranges", vmax=most)
    axes.imshow(np.where(right, 0.1, np.nan), cmap="Greys", vmin=0, vmax=1)
    for (label, answer), count in np.ndenumerate(counts):
        if count:
            colour = "white" if mistakes[label, answer] > 0.6 * most else "black"
            drawn = axes.text(answer, label, f"{count:,}", color=colour, fontsize=9)
            drawn.set(ha="center", va="center")
    classes = range(len(counts))
    axes.set(xticks=classes, yticks=classes, xlabel="answer", ylabel="label")
    axes.set_title("how often each label got each answer", fontsize=11)
    axes.spines[:].set_visible(False)


def _reliability(axes: "Axes", bins: Float[np.ndarray, "bins 3"]) -> None:
    """Draw accuracy against confidence: on the diagonal a network knows what it knows.

    The area of a dot follows the number of its pictures.
    """
    counts, confidence, accuracy = bins.T
    axes.plot([0, 1], [0, 1], "--", color="#9aa0a6", label="as sure as it is right")
    sizes = 20 + 600 * counts / counts.max()
    axes.scatter(confidence, accuracy, sizes, color=TRAIN, alpha=0.7)
    for count, x, y in bins:
        axes.annotate(
            f"{count:,.0f}",
            (x, y),
            xytext=(0, -16),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set(xlabel="mean confidence", ylabel="share right", xlim=(0, 1.05))
    axes.set_ylim(-0.05, 1.08)
    axes.set_title("how much its confidence is worth", fontsize=11)
    axes.legend(frameon=False, loc="upper left")
    simplify_axes(axes)
