"""The plot of a sweep: validation accuracy against the values that the sweep varies.

`pipeline.sweeps` selects the x axis and the points that are connected.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.plots.common import new_figure, render, simplify_axes

MAX_TICKS = 10  # values with separate ticks and captions


@dataclass(frozen=True)
class SweepPoint:
    """A setting of a sweep."""

    x: float
    accuracies: Sequence[float]  # in [0, 1], one for each seed
    caption: str


def sweep_accuracy(
    lines: Mapping[str, Sequence[SweepPoint]], *, xlabel: str, title: str
) -> Image.Image:
    """Plot every training run as a dot, and the mean of each setting with error bars.

    Args:
        lines: The settings that a line connects, by the line's name in the legend.
        xlabel: The meaning of x; empty if the settings have no order, which are then
            not connected.
        title: The title.
    """
    figure = new_figure(7.2, 4.4)
    axes = figure.subplots()
    ticks = sorted({point.x for points in lines.values() for point in points})
    many = len(ticks) > MAX_TICKS
    captioned: set[float] = set()
    for name, unordered in lines.items():
        points = sorted(unordered, key=lambda point: point.x)
        x = [point.x for point in points]
        means = [float(np.mean(p.accuracies)) for p in points]
        stds = [np.std(p.accuracies, ddof=len(p.accuracies) > 1) for p in points]
        style = "_-" if xlabel else "_"
        bars = axes.errorbar(x, means, stds, fmt=style, capsize=5, label=name)
        best = x[int(np.argmax(means))]
        with_caption = {points[0].x, points[-1].x, best} if many else {*x}
        for point, mean in zip(points, means, strict=True):
            xs = [point.x] * len(point.accuracies)
            axes.plot(xs, point.accuracies, ".", color=bars[0].get_color())
            if point.x in with_caption - captioned:
                axes.annotate(
                    point.caption,
                    (point.x, mean),
                    xytext=(8, -12),
                    textcoords="offset points",
                    fontsize=9,
                )
            captioned.add(point.x)
    if ticks[0] > 0 and ticks[-1] >= 10 * ticks[0]:
        axes.set_xscale("log")
        xlabel += " (logarithmic scale)"
    if len(lines) > 1:
        axes.legend(frameon=False)
    if many and xlabel:  # Matplotlib selects the ticks
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.tick_params(which="minor", labelbottom=False)
    else:
        axes.set_xticks([], minor=True)
        axes.set_xticks(ticks, [f"{x:,g}" if xlabel else "" for x in ticks])
    axes.set(xlabel=xlabel, ylabel="validation accuracy")
    axes.set_title(textwrap.fill(title, 80), fontsize=11, pad=22)
    legend = "dot: training run; line and bars: mean and standard deviation over seeds"
    axes.text(0, 1.02, legend, transform=axes.transAxes, fontsize=8.5, color="#5f6368")
    axes.margins(0.12)
    axes.yaxis.set_major_formatter("{x:.1%}")
    simplify_axes(axes)
    return render(figure)
