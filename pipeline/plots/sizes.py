"""The plot of several exports: the accuracy and the bytes of each network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from pipeline.plots.common import INK, LINE, MUTED, NEGATIVE, POSITIVE, SELECTED
from pipeline.plots.figures import (
    new_figure,
    render,
    set_title,
    simplify_axes,
)

# Colors that color-blind people can distinguish, the widest weights first.
COLOURS = (POSITIVE, SELECTED, NEGATIVE, INK)
MARKERS = "os^D"
ACCURACIES = (20, 50, 80, 90, 93, 95, 96, 97, 98, 99, 99.5, 99.8, 99.9)  # percent
MAX_TICKS = 12


@dataclass(frozen=True)
class SizePoint:
    """An exported network."""

    size: int  # bytes
    accuracy: float  # in [0, 1]
    hidden: int
    caption: str = ""  # the point is marked with it


def accuracy_by_size(
    curves: Mapping[str, Sequence[SizePoint]], *, goal: float
) -> Image.Image:
    """Plot every network as a dot; a line connects the mean accuracies of the sizes.

    The axis of the accuracy is logarithmic in the error, because the last few percent
    need most of the bytes.

    The networks of each width are a curve; `goal` is an accuracy, drawn as a line.
    """
    figure = new_figure(1200, 640)
    axes = figure.subplots()
    points = [point for curve in curves.values() for point in curve]
    for name, colour, marker in zip(curves, COLOURS, MARKERS, strict=False):
        _draw_curve(axes, curves[name], name, colour, marker)
    _scale_axes(axes, points)
    axes.axhline(goal, color=MUTED, linewidth=1, linestyle="--", zorder=1)
    for point in points:
        if point.caption:
            _mark(axes, point, goal)
    axes.set_xlabel("bytes of the tables in flash (weights and biases of both layers)")
    axes.set_ylabel("accuracy on the test images")
    legend = "dots: networks; lines: mean of each size; numbers: neurons in layer_1"
    set_title(axes, f"Accuracy and size of exported networks\n{legend}")
    axes.legend(loc="lower right", title="weights of layer_1", edgecolor=LINE)
    simplify_axes(axes)
    return render(figure)


def _draw_curve(
    axes: Axes, curve: Sequence[SizePoint], name: str, colour: str, marker: str
) -> None:
    """Draw the dots of a width, and the number of neurons at the mean of each size."""
    sizes = sorted({point.size for point in curve})
    groups = [[point for point in curve if point.size == size] for size in sizes]
    means = [float(np.mean([point.accuracy for point in group])) for group in groups]
    axes.plot(sizes, means, color=colour, linewidth=1.5, zorder=2)
    axes.plot(
        [point.size for point in curve],
        [point.accuracy for point in curve],
        linestyle="",
        marker=marker,
        markersize=6,
        alpha=0.8,
        color=colour,
        label=name,
        zorder=3,
    )
    for size, group in zip(sizes, groups, strict=True):
        best = max(point.accuracy for point in group)
        text = axes.annotate(str(group[0].hidden), (size, best), (0, 7), fontsize=8.5)
        text.set(ha="center", color=colour)
        text.set_anncoords("offset points")


def _scale_axes(axes: Axes, points: Sequence[SizePoint]) -> None:
    """Scale bytes and errors logarithmically, with ticks at round numbers."""
    sizes = [point.size for point in points]
    if max(sizes) >= 3 * min(sizes):
        axes.set_xscale("log")
        axes.tick_params(which="minor", labelbottom=False)
        ticks = [m * 10**e for e in range(8) for m in (1, 2, 5)]
        low, high = min(sizes) / 1.2, max(sizes) * 1.2
        axes.set_xticks([tick for tick in ticks if low <= tick <= high])
        axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_yscale("function", functions=(_stretch, _shrink))
    low, high = (choose(p.accuracy for p in points) for choose in (min, max))
    first, last = _stretch(np.array([min(low, 0.945), max(high, 0.955)]))
    margin = 0.12 * (last - first)
    axes.set_ylim(*_shrink(np.array([first - margin, last + margin])))
    bottom, top = axes.get_ylim()
    axes.set_yticks(_accuracy_ticks(bottom, top))
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.4g}%")


def _accuracy_ticks(bottom: float, top: float) -> list[float]:
    """Return round accuracies; the goal, 95%, is one of them."""
    for step in (0.002, 0.005, 0.01):  # for networks of similar accuracy
        first, last = int(np.ceil(bottom / step)), int(np.floor(top / step))
        if last - first < MAX_TICKS:
            return [round(number * step, 3) for number in range(first, last + 1)]
    return [percent / 100 for percent in ACCURACIES if bottom <= percent / 100 <= top]


def _stretch(accuracy: np.ndarray) -> np.ndarray:
    """Return -log10 of the error."""
    return np.asarray(-np.log10(np.maximum(1 - accuracy, 1e-5)))


def _shrink(stretched: np.ndarray) -> np.ndarray:
    return np.asarray(1 - 10.0**-stretched)


def _mark(axes: Axes, point: SizePoint, goal: float) -> None:
    """Circle the smallest network that reaches the goal, and name it."""
    place = (point.size, point.accuracy)
    axes.plot(*place, marker="o", markersize=15, markerfacecolor="none", color=INK)
    axes.annotate(
        f"smallest network that reaches {goal:.0%}\n{point.caption}\n"
        f"{point.size:,} bytes, {point.accuracy:.2%}",
        place,
        (0.02, 0.97),
        textcoords="axes fraction",
        va="top",
        color=INK,
        arrowprops={"arrowstyle": "-", "color": INK, "shrinkB": 9},
        bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": LINE},
    )
