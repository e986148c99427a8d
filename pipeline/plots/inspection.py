"""The plots of stage inspect: what neurons respond to, and which pixels are used."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from PIL import Image

from pipeline import SIDE
from pipeline.plots.common import TRAIN, VAL, new_figure, render, simplify_axes

if TYPE_CHECKING:
    pass


def neuron_responses(
    means: Float[np.ndarray, "n 10"],
    costs: Float[np.ndarray, "n 11"],
    names: Sequence[str],
) -> Image.Image:
    """Draw what each neuron says to each digit, beside what switching it off costs.

    Args:
        means: The mean of what a neuron (row) says to each digit.
        costs: The accuracy lost without it, in all and for each digit.
        names: Of the neurons.
    """
    figure = new_figure(13.2, 1.5 + 0.3 * len(names))
    left, right = figure.subplots(1, 2, width_ratios=[10, 11])
    digits = [str(digit) for digit in range(means.shape[1])]
    lost = "what switching it off costs, in % of the pictures (below 0: a gain)"
    fine = ".1f" if costs[:, 0].max() >= 0.01 else ".2f"
    for axes, values, columns, colours, title, form in (
        (left, means, digits, "Blues", "what each neuron says to each digit", ".1f"),
        (right, 100 * costs, ["all", *digits], "Oranges", lost, fine),
    ):
        most = float(values.max()) or 1.0
        axes.imshow(values, cmap=colours, vmin=0, vmax=most, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > 0.6 * most else "black"
            drawn = axes.text(
                column, row, f"{value:{form}}", color=colour, fontsize=8.5
            )
            drawn.set(ha="center", va="center")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("digit")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    right.axvline(0.5, color="white", linewidth=4)
    return render(figure)


def pixel_usage(shares: Float[np.ndarray, "784"]) -> Image.Image:
    """Draw in which share of the pictures each pixel is lit, and which never is."""
    figure = new_figure(6.4, 5.6)
    axes = figure.subplots()
    drawn = axes.imshow(shares.reshape(SIDE, SIDE), cmap="Blues", vmin=0)
    row, column = np.nonzero(shares.reshape(SIDE, SIDE) == 0)
    label = f"never lit: {len(row)} of {len(shares)}, so nothing is learned here"
    axes.scatter(column, row, 22, VAL, marker="x", linewidths=1.2, label=label)
    figure.colorbar(drawn, shrink=0.8, format="{x:.0%}", label="of the pictures")
    axes.set_title("how often each pixel is lit in training", fontsize=11)
    axes.set(xlabel="column", ylabel="row", xticks=range(0, SIDE, 4))
    axes.set_yticks(range(0, SIDE, 4))
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return render(figure)


def fitted_lines(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    fitted: Mapping[str, tuple[float, float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> Image.Image:
    """Draw points, and lines y = m * x + c through them, each with its m and c."""
    figure = new_figure(7.2, 4.6)
    axes = figure.subplots()
    axes.plot(x, y, ".", color="#9aa0a6", markersize=4, alpha=0.6)
    styles = (":", "-.", "--", "-")
    for place, (name, (m, c)) in enumerate(fitted.items()):
        last = place == len(fitted) - 1
        axes.plot(
            *([0, 1], [c, m + c], styles[min(place, 3)]),
            color=TRAIN if last else VAL,
            linewidth=3 if last else 1.4,
            zorder=2 if last else 3,  # else it hides those that nearly are the same
            label=f"{name}: y = {m:.2f}·x {c:+.2f}",
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    simplify_axes(axes)
    return render(figure)
