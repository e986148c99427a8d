"""The plot of a sweep: accuracy against what the sweep varies."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipeline.plots.common import new_figure, render, simplify_axes

if TYPE_CHECKING:
    pass

MAX_TICKS = 10  # settings that are all named on the axis


@dataclass(frozen=True)
class SweepPoint:
    """A setting in a sweep's picture."""

    x: float
    accuracies: Sequence[float]  # in [0, 1], one for each seed
    caption: str


def sweep_accuracy(
    lines: Mapping[str, Sequence[SweepPoint]], *, xlabel: str, title: str
) -> Image.Image:
    """Draw validation accuracy against what a sweep varies, a line for each name.

    Without an xlabel the settings have no order, and no line is drawn.

    Every training is a dot; the line goes through the means, and its bars are one
    standard deviation over the seeds up and down.
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
        drawn = axes.errorbar(
            x, means, stds, fmt="_-" if xlabel else "_", capsize=5, label=name
        )
        named = {points[0].x, points[-1].x, x[int(np.argmax(means))]} if many else {*x}
        for point, height in zip(points, means, strict=True):
            every = [point.x] * len(point.accuracies)
            axes.plot(every, point.accuracies, ".", color=drawn[0].get_color())
            axes.annotate(
                point.caption if point.x in named - captioned else "",
                (point.x, height),
                xytext=(8, -12),
                textcoords="offset points",
                fontsize=9,
            )
            captioned.add(point.x)
    if ticks[0] > 0 and ticks[-1] >= 10 * ticks[0]:
        axes.set_xscale("log")
        xlabel += ", on a logarithmic scale"
    if len(lines) > 1:
        axes.legend(frameon=False)
    if many and xlabel:  # Matplotlib finds places for them
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.tick_params(which="minor", labelbottom=False)
    else:
        axes.set_xticks([], minor=True)
        axes.set_xticks(ticks, [f"{x:,g}" if xlabel else "" for x in ticks])
    axes.set(xlabel=xlabel, ylabel="validation accuracy")
    axes.set_title(textwrap.fill(title, 80), fontsize=11, pad=22)
    told = (
        "a dot: a training; line and bars: mean and standard deviation over the seeds"
    )
    axes.text(0, 1.02, told, transform=axes.transAxes, fontsize=8.5, color="#5f6368")
    axes.margins(0.12)
    axes.yaxis.set_major_formatter("{x:.1%}")
    simplify_axes(axes)
    return render(figure)
