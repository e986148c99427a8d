"""The plot of a sweep: validation accuracy against the values that the sweep varies.

`pipeline.sweeps` selects the x axis and the points that are connected.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pipeline.plots.common import (
    INK,
    LINE,
    NEGATIVE,
    PALE,
    POSITIVE,
    SELECTED,
    new_figure,
    render,
    set_title,
    simplify_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_TICKS = 10  # values with separate ticks and captions
MAX_CHARACTERS = 90  # in the labels of the ticks; more would overlap
LINES = (POSITIVE, NEGATIVE, SELECTED, INK, PALE)
MARKERS = "os^Dv"  # lines differ in their markers too


@dataclass(frozen=True)
class SweepPoint:
    """A setting of a sweep."""

    x: float
    accuracies: Sequence[float]  # in [0, 1], one for each seed
    caption: str


def sweep_accuracy(
    lines: Mapping[str, Sequence[SweepPoint]],
    *,
    xlabel: str,
    title: str,
    ylabel: str = "validation accuracy",
) -> Image.Image:
    """Plot every training run as a dot, and the mean of each setting with error bars.

    A setting with one seed has no error bar.

    Args:
        lines: The settings that a line connects, by the line's name in the legend.
        xlabel: The meaning of x; empty if the settings have no order, which are then
            not connected.
        title: The title.
        ylabel: The meaning of the accuracies.
    """
    figure = new_figure(900, 520)
    axes = figure.subplots()
    captions: dict[float, str] = {}
    for number, (name, unordered) in enumerate(lines.items()):
        points = sorted(unordered, key=lambda point: point.x)
        style = {"color": LINES[number % len(LINES)], "marker": MARKERS[number % 5]}
        _draw_line(axes, points, name, style, connect=bool(xlabel))
        captions |= {point.x: point.caption for point in points}
    ticks = sorted(captions)
    if ticks[0] > 0 and ticks[-1] >= 10 * ticks[0]:
        axes.set_xscale("log")
        xlabel += " (logarithmic scale)"
    axes.margins(0.06, 0.12)
    if len(ticks) <= MAX_TICKS:
        _label_ticks(axes, captions, numbers=bool(xlabel))
    else:
        best = max(
            (point for points in lines.values() for point in points),
            key=lambda point: float(np.mean(point.accuracies)),
        )
        _label_point(axes, best)
        if xlabel:  # Matplotlib selects the ticks
            axes.xaxis.set_major_formatter("{x:,g}")
            axes.tick_params(which="minor", labelbottom=False)
        else:
            axes.set_xticks([])
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.4g}%")
    title = textwrap.fill(title, 80)
    if any(len(p.accuracies) > 1 for points in lines.values() for p in points):
        title += "\ndots: training runs; "
        title += "line and bars: mean and standard deviation over seeds"
    set_title(axes, title)
    if len(lines) > 1:
        axes.legend(fontsize=9, framealpha=0.9, edgecolor=LINE)
    simplify_axes(axes)
    return render(figure)


def _draw_line(
    axes: "Axes",
    points: Sequence[SweepPoint],
    name: str,
    style: dict[str, Any],
    *,
    connect: bool,
) -> None:
    """Draw a dot for each training run, and the mean of each setting with bars."""
    x = [point.x for point in points]
    means = [float(np.mean(point.accuracies)) for point in points]
    stds = [_std(point.accuracies) for point in points]
    colour = style["color"]
    line = "-" if connect else ""
    axes.errorbar(x, means, stds, color=colour, linestyle=line, capsize=5, elinewidth=1)
    axes.plot([], [], linestyle=line, label=name, **style)  # for the legend
    for point in points:
        xs = [point.x] * len(point.accuracies)
        axes.plot(xs, point.accuracies, linestyle="", markersize=5, alpha=0.7, **style)


def _std(accuracies: Sequence[float]) -> float:
    """Return the standard deviation over seeds; NaN, which is not drawn, for one."""
    return float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else np.nan


def _label_ticks(axes: "Axes", captions: Mapping[float, str], *, numbers: bool) -> None:
    """Label each value of x below the axis, with its number and its caption."""
    labels = [
        f"{x:,g}\n{caption}".strip() if numbers else caption
        for x, caption in captions.items()
    ]
    axes.set_xticks([], minor=True)
    axes.set_xticks([*captions], labels)
    if sum(max(map(len, label.split("\n"))) for label in labels) > MAX_CHARACTERS:
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="right", rotation_mode="anchor")


def _label_point(axes: "Axes", point: SweepPoint) -> None:
    """Write the caption of a point beside it, towards the middle of the axes."""
    mean = float(np.mean(point.accuracies))
    x, _ = axes.transLimits.transform(axes.transScale.transform((point.x, mean)))
    text = axes.annotate(f"best: {point.caption}".rstrip(" :"), (point.x, mean))
    text.set(position=(-8 if x > 0.5 else 8, 14), fontsize=9, color=INK)
    text.set(ha="right" if x > 0.5 else "left")
    text.set_anncoords("offset points")
