"""Plots of accuracy against size, or against another value, of several networks.

`accuracy_plot` draws lines, at most as many as there are colors, and `accuracy_scatter`
draws dots. `pipeline.sweeps` plots its configurations with these functions, and
`pipeline.deploy` plots its exports. The callers select the x axis, the lines and the
Pareto front.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox
from PIL import Image

from pipeline.plots.common import INK, NEGATIVE, PALE, PAPER, POSITIVE, SELECTED
from pipeline.plots.figures import (
    new_figure,
    set_title,
    simplify_axes,
    to_image,
)

COLORS = (POSITIVE, NEGATIVE, SELECTED, INK, PALE)
MAX_LINES = len(COLORS)
MARKERS = "os^Dv"  # each line has its own marker too
MAX_CAPTIONS = 10  # values of x that have a tick with a caption
MAX_TICK_CHARACTERS = 100  # in all labels of ticks; longer labels would overlap
MAX_NORMAL_DOTS = 200  # dots of normal size
WIDE = 0.2  # range of accuracies from which the axis is logarithmic
# Accuracies with a tick, for a wide range. From 60%, each tick halves the error rate.
TICKS = (0.2, 0.4, *(1 - 0.4 / 2**n for n in range(8)))


@dataclass(frozen=True)
class AccuracyPoint:
    """Networks that are averaged, for example networks with different seeds."""

    x: float
    accuracies: Sequence[float]  # the accuracy of each network, in [0, 1]
    caption: str = ""
    is_on_front: bool = False  # whether the point is on the Pareto front
    shade: float | None = None  # the value that the color shows in a scatter plot

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return float(np.mean(self.accuracies))


def accuracy_plot(
    lines: Mapping[str, Sequence[AccuracyPoint]],
    *,
    xlabel: str,
    title: str,
    ylabel: str = "validation accuracy",
) -> Image.Image:
    """Plot every network as a dot, and lines through the means.

    Args:
        lines: The points of each line, by the name of the line in the legend. There are
            at most `MAX_LINES` lines.
        xlabel: The meaning of x; empty if the points have no order. Points without an
            order are not connected.
        title: The title of the plot.
        ylabel: The meaning of the accuracy.
    """
    assert len(lines) <= MAX_LINES, f"{len(lines)} lines, but {MAX_LINES} colors"
    figure = new_figure(1000, 560)
    axes = figure.subplots()
    points = [point for line in lines.values() for point in line]
    _draw_lines(axes, lines, connect=bool(xlabel))
    if any(len(point.accuracies) > 1 for point in points):
        title += "\nDots: networks; horizontal dashes and lines: means"
    return _complete(
        figure,
        points,
        xlabel=xlabel,
        ylabel=ylabel,
        title=title,
        has_captions=len({point.x for point in points}) <= MAX_CAPTIONS,
    )


def accuracy_scatter(
    points: Sequence[AccuracyPoint],
    *,
    xlabel: str,
    title: str,
    shade: str,
) -> Image.Image:
    """Plot the mean validation accuracy of each point as a dot.

    Args:
        points: The points.
        xlabel: The meaning of x; empty if the points have no order.
        title: The title of the plot.
        shade: The meaning of the colors; empty if all dots have the same color.
    """
    figure = new_figure(1000, 560)
    axes = figure.subplots()
    _draw_scatter(axes, points, shade)
    return _complete(
        figure,
        points,
        xlabel=xlabel,
        ylabel="validation accuracy",
        title=title,
        has_captions=False,
    )


def _front(points: Sequence[AccuracyPoint]) -> list[AccuracyPoint]:
    """Return the points on the Pareto front, the smallest first."""
    return sorted((point for point in points if point.is_on_front), key=lambda p: p.x)


def _complete(
    figure: Figure,
    points: Sequence[AccuracyPoint],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    has_captions: bool,  # below the axis; if false, some points have captions
) -> Image.Image:
    """Mark the Pareto front of the drawn points, scale the axes, write all texts."""
    axes = figure.axes[0]
    front = _front(points)
    if front:
        title += "\nCircles: Pareto front (no smaller network is as accurate)"
        circle: dict[str, Any] = {"markersize": 12, "markerfacecolor": "none"}
        axes.plot(*_means(front), "o", color=INK, **circle)
    captions = {point.x: point.caption for point in sorted(points, key=lambda p: p.x)}
    suffix = _scale_x(axes, [*captions]) if xlabel else ""
    if has_captions:
        _label_ticks(axes, captions, numbers=bool(xlabel))
    elif not xlabel:
        axes.set_xticks([])
    axes.margins(0.06, 0.12)
    axes.set_xlabel(f"{xlabel}{suffix}")
    axes.set_ylabel(f"{ylabel}{_scale_y(axes, points)}")
    # The name of a sweep can have thousands of letters; only the start is shown.
    wrapped = (textwrap.fill(t, 90, max_lines=5) for t in title.split("\n"))
    set_title(axes, "\n".join(wrapped))
    simplify_axes(axes)
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    if not has_captions:
        figure.draw_without_rendering()  # computes the positions of the points
        _label_points(axes, front or [max(points, key=lambda point: point.mean)])
    return to_image(figure)


def _stretch(accuracy: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return -log10 of the error."""
    return np.asarray(-np.log10(np.maximum(1 - accuracy, 1e-5)))


def _shrink(stretched: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.asarray(1 - 10.0**-stretched)


def _scale_x(axes: Axes, values: Sequence[float]) -> str:
    """Use a logarithmic scale for a wide range; return a suffix for the label."""
    is_wide = values[0] > 0 and values[-1] >= 10 * values[0]
    if is_wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.tick_params(which="minor", labelbottom=False)
    axes.xaxis.set_major_formatter("{x:,.10g}")
    return " (logarithmic scale)" if is_wide else ""


def _scale_y(axes: Axes, points: Sequence[AccuracyPoint]) -> str:
    """Use a logarithmic scale of the error for a wide range; return a suffix.

    The last few percent are the hardest to gain, and a linear axis would hide them.
    """
    accuracies = [value for point in points for value in point.accuracies]
    is_wide = max(accuracies) - min(accuracies) > WIDE
    if is_wide:
        axes.set_yscale("function", functions=(_stretch, _shrink))
        low, high = axes.get_ylim()
        axes.set_yticks([each for each in TICKS if low <= each <= high])
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.4g}%")
    return " (logarithmic scale of the error rate)" if is_wide else ""


def _draw_lines(
    axes: Axes, lines: Mapping[str, Sequence[AccuracyPoint]], *, connect: bool
) -> None:
    """Draw a dot for each network, and dashes and a line for means of networks."""
    count = sum(len(point.accuracies) for line in lines.values() for point in line)
    styles = zip(COLORS, MARKERS, strict=True)
    for (name, line), (color, marker) in zip(lines.items(), styles, strict=False):
        points = sorted(line, key=lambda point: point.x)
        dots = [(point.x, value) for point in points for value in point.accuracies]
        several = [point for point in points if len(point.accuracies) > 1]
        dash: dict[str, Any] = {"color": color, "linestyle": "-" if connect else ""}
        dot: dict[str, Any] = {"color": color, "marker": marker, "alpha": 0.7}
        dot["markersize"] = 6 if count <= MAX_NORMAL_DOTS else 3
        axes.plot(*_means(points), **dash)
        axes.plot(*_means(several), "_", color=color, markersize=14)
        axes.plot(*zip(*dots, strict=True), linestyle="", **dot)
        if name:  # shown in the legend
            dash["linestyle"] = dash["linestyle"] if len(points) > 1 else ""
            axes.plot([], [], label=name, **{**dash, **dot})


def _draw_scatter(axes: Axes, points: Sequence[AccuracyPoint], shade: str) -> None:
    """Draw a dot for each mean, and steps for the best accuracy up to each size."""
    size = 36 if len(points) <= MAX_NORMAL_DOTS else 9
    style: dict[str, Any] = {"color": INK, "linewidth": 1, "drawstyle": "steps-post"}
    axes.plot(*_means(_front(points)), ":", **style)
    if not shade:
        axes.scatter(*_means(points), size, POSITIVE, alpha=0.5, linewidths=0)
        return
    values = np.array([point.shade for point in points], float)
    norm = (LogNorm if values.min() > 0 else Normalize)(values.min(), values.max())
    style = {"norm": norm, "cmap": "viridis_r", "linewidths": 0}
    dots = axes.scatter(*_means(points), size, values, **style)
    axes.figure.colorbar(dots, ax=axes, label=shade, pad=0.02, format="{x:g}")


def _means(points: Sequence[AccuracyPoint]) -> tuple[list[float], list[float]]:
    return [point.x for point in points], [point.mean for point in points]


def _label_ticks(axes: Axes, captions: Mapping[float, str], *, numbers: bool) -> None:
    """Label each value of x below the axis, with a number and a caption."""
    labels = [
        f"{x:,g}\n{caption}".strip() if numbers else caption
        for x, caption in captions.items()
    ]
    axes.set_xticks([], minor=True)
    axes.set_xticks([*captions], labels)
    if sum(max(map(len, label.split("\n"))) for label in labels) > MAX_TICK_CHARACTERS:
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="right", rotation_mode="anchor")


def _label_points(axes: Axes, points: Sequence[AccuracyPoint]) -> None:
    """Write captions next to points, from the largest; omit overlapping captions.

    No point is smaller and more accurate than a point on the Pareto front, so there is
    room above and to the left of such a point.
    """
    boxes: list[Bbox] = []
    for point in sorted(points, key=lambda point: -point.x):
        label = axes.annotate(
            point.caption or "best",
            (point.x, point.mean),
            (-7, 5),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            color=INK,
            path_effects=[withStroke(linewidth=3, foreground=PAPER)],
        )
        if label.get_window_extent().x0 < axes.bbox.x0:
            label.set(position=(7, -13), ha="left")
        boxes.append(label.get_window_extent())
        if any(map(boxes[-1].overlaps, boxes[:-1])):
            label.remove()
            boxes.pop()
