"""The plots of a sweep: validation accuracy against the values that it varies.

`pipeline.sweeps` selects the x axis, the lines, and the best trade-offs.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from PIL import Image

from pipeline.plots.common import INK, LINE, NEGATIVE, PALE, POSITIVE, SELECTED
from pipeline.plots.figures import (
    new_figure,
    render,
    set_title,
    simplify_axes,
)

MAX_TICKS = 10  # values with separate ticks and captions
MAX_CHARACTERS = 90  # in the labels of the ticks; more would overlap
MAX_MARKERS = 25  # points of a line with markers and bars; more become a band
LABEL_SPACING = 0.045  # of the height; labels that are closer are omitted
LINES = (POSITIVE, NEGATIVE, SELECTED, INK, PALE)
MARKERS = "os^Dv"  # lines differ in their markers too


@dataclass(frozen=True)
class SweepPoint:
    """A configuration of a sweep."""

    x: float
    accuracies: Sequence[float]  # in [0, 1], one for each seed
    caption: str
    best: bool = False  # more accurate than all of the same size or smaller
    shade: float | None = None  # the value that the color shows in a cloud

    @property
    def mean(self) -> float:
        """The mean accuracy over the seeds."""
        return float(np.mean(self.accuracies))

    @property
    def std(self) -> float:
        """The standard deviation over seeds; NaN, which is not drawn, for one seed."""
        several = len(self.accuracies) > 1
        return float(np.std(self.accuracies, ddof=1)) if several else np.nan


def sweep_lines(
    lines: Mapping[str, Sequence[SweepPoint]],
    *,
    xlabel: str,
    title: str,
) -> Image.Image:
    """Plot every training run, and the mean of each configuration with error bars.

    A configuration with one seed has no error bar. There are at most five lines, by
    their name in the legend. If `xlabel` is empty, the configurations have no order and
    are not connected.
    """
    figure = new_figure(900, 520)
    axes = figure.subplots()
    points = [point for line in lines.values() for point in line]
    for number, (name, line) in enumerate(lines.items()):
        style = {"color": LINES[number % len(LINES)], "marker": MARKERS[number % 5]}
        _draw_line(axes, line, name, style, connect=bool(xlabel))
    captions = {point.x: point.caption for point in sorted(points, key=lambda p: p.x)}
    xlabel += _scale_x(axes, [*captions])
    axes.margins(0.06, 0.12)
    if len(captions) <= MAX_TICKS:
        _label_ticks(axes, captions, numbers=bool(xlabel))
    elif not xlabel:
        axes.set_xticks([])
    if any(point.best for point in points):
        _mark_trade_offs(axes, points, labels=len(captions) > MAX_TICKS)
    elif len(captions) > MAX_TICKS:
        _label_best(axes, points)
    note = ""
    if any(len(point.accuracies) > 1 for point in points):
        bars = "line and bars: mean and standard deviation over seeds"
        note = f"\ndots: training runs; {bars}"
    _finish(axes, title, note, xlabel)
    return render(figure)


def sweep_cloud(
    points: Sequence[SweepPoint],
    *,
    xlabel: str,
    title: str,
    shade: str = "",
) -> Image.Image:
    """Plot the mean of each configuration as a dot, for sweeps with too many lines.

    Those far below the best trade-offs are triangles at the lower edge. `shade` is
    the meaning of the colors; it is empty if all dots have the same.
    """
    figure = new_figure(900, 520)
    axes = figure.subplots()
    x, means = (np.array([getattr(p, k) for p in points]) for k in ("x", "mean"))
    low = _lower_limit(points, means)
    xlabel += _scale_x(axes, sorted(set(x)))
    style: dict[str, Any] = {"s": 30 if len(points) <= 200 else 9, "linewidths": 0}
    if shade:
        values = np.array([point.shade for point in points], float)
        norm = LogNorm if values.min() > 0 else Normalize
        style |= {"norm": norm(values.min(), values.max()), "cmap": "viridis_r"}
    else:
        values = np.zeros(len(points))
        style |= {"cmap": "Blues", "vmin": -2, "vmax": 1}
    for marker, rows in (("o", means >= low), ("v", means < low)):
        y = np.maximum(means[rows], low)
        drawn = axes.scatter(x[rows], y, c=values[rows], marker=marker, **style)
    if shade:
        figure.colorbar(drawn, ax=axes, label=shade, pad=0.02)
    axes.margins(0.06, 0.06)
    if any(point.best for point in points):
        _mark_trade_offs(axes, points, labels=True, line="-")
    else:
        _label_best(axes, points)
    count = int((means < low).sum())
    note = f"\ntriangles: {count} configurations below {low:.1%}" if count else ""
    _finish(axes, title, note, xlabel)
    return render(figure)


def _lower_limit(points: Sequence[SweepPoint], means: np.ndarray) -> float:
    """Return the accuracy below which a configuration is drawn as a triangle.

    The best trade-offs take up at least the upper half of the plot.
    """
    best = [point.mean for point in points if point.best]
    if not best:
        return float(means.min())
    return max(float(means.min()), 2 * min(best) - max(best) - 0.02)


def _finish(axes: Axes, title: str, note: str, xlabel: str) -> None:
    axes.set(xlabel=xlabel, ylabel="validation accuracy")
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.4g}%")
    set_title(axes, textwrap.fill(title, 80) + note)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower right", fontsize=9, framealpha=0.9, edgecolor=LINE)
    simplify_axes(axes)


def _scale_x(axes: Axes, ticks: Sequence[float]) -> str:
    """Use a logarithmic scale for a wide range; return a suffix for the label."""
    is_wide = ticks[0] > 0 and ticks[-1] >= 10 * ticks[0]
    if is_wide:
        axes.set_xscale("log")
        axes.tick_params(which="minor", labelbottom=False)
    axes.xaxis.set_major_formatter("{x:,.10g}")
    return " (logarithmic scale)" if is_wide else ""


def _draw_line(
    axes: Axes,
    line: Sequence[SweepPoint],
    name: str,
    style: dict[str, Any],
    *,
    connect: bool,
) -> None:
    """Draw a dot for each training run, and the mean of each configuration."""
    points = sorted(line, key=lambda point: point.x)
    x, means, stds = (
        np.array([getattr(point, key) for point in points])
        for key in ("x", "mean", "std")
    )
    colour, shape = style["color"], "-" if connect else ""
    dots = [(point.x, value) for point in points for value in point.accuracies]
    size: dict[str, Any] = {"markersize": 5, "alpha": 0.7}
    if len(points) <= MAX_MARKERS:
        bars: dict[str, Any] = {"linestyle": shape, "capsize": 5, "elinewidth": 1}
        axes.errorbar(x, means, stds, color=colour, **bars)
    else:
        size = {"markersize": 3, "alpha": 0.35}
        axes.plot(x, means, linestyle=shape, color=colour)
        low, high = means - stds, means + stds
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(*zip(*dots, strict=True), linestyle="", **style, **size)
    if name:  # for the legend
        axes.plot([], [], linestyle=shape, label=name, **style)


def _label_ticks(axes: Axes, captions: Mapping[float, str], *, numbers: bool) -> None:
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


def _mark_trade_offs(
    axes: Axes, points: Sequence[SweepPoint], *, labels: bool, line: str = ""
) -> None:
    """Circle the best trade-offs; a line shows the best accuracy up to each size."""
    best = sorted((point for point in points if point.best), key=lambda p: p.x)
    axes.plot(
        [point.x for point in best],
        [point.mean for point in best],
        label="best trade-offs: no smaller network is as accurate",
        color=INK,
        linewidth=1,
        linestyle=line,
        drawstyle="steps-post",
        marker="o",
        markersize=11 if len(best) <= MAX_MARKERS else 5,
        markerfacecolor="none",
    )
    if not labels:
        return
    axes.set_xmargin(0.12)  # room for the first label, which is left of its point
    height = 2.0  # of the last label
    for point in reversed(best):
        _, y = _position(axes, point)
        if height - y >= LABEL_SPACING:
            _write(axes, point, point.caption, left=True)
            height = y


def _label_best(axes: Axes, points: Sequence[SweepPoint]) -> None:
    best = max(points, key=lambda point: point.mean)
    text = f"best: {best.caption}".rstrip(" :")
    _write(axes, best, text, left=_position(axes, best)[0] > 0.5)


def _position(axes: Axes, point: SweepPoint) -> tuple[float, float]:
    """Return the position of a point in the axes; (0, 0) is the lower left corner."""
    axes.autoscale_view()
    scaled = axes.transScale.transform((point.x, point.mean))
    x, y = axes.transLimits.transform(scaled)
    return float(x), float(y)


def _write(axes: Axes, point: SweepPoint, text: str, *, left: bool) -> None:
    """Write a text above a point, to its left or right."""
    offset, side = ((-7, 5), "right") if left else ((7, 5), "left")
    label = axes.annotate(text, (point.x, point.mean), offset, fontsize=9, color=INK)
    label.set(ha=side)
    label.set_anncoords("offset points")
