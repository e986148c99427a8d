"""Shared code of the Matplotlib plots: figures, axes, color maps and heatmaps."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from pipeline.plots.common import INK, LINE, MUTED, PAPER

DPI = 100  # pixels per inch; text of 10 points is 14 pixels high


def new_figure(width: int, height: int) -> Figure:
    """Return a Matplotlib figure of this size, in pixels."""
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout="constrained")


def to_image(figure: Figure) -> Image.Image:
    """Convert a Matplotlib figure to an image."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def set_title(axes: Axes, title: str) -> None:
    """Write a title above the left end of a plot."""
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)


def simplify_axes(axes: Axes) -> None:
    """Draw a light grid, and remove the border at the top and on the right."""
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(MUTED)
    axes.tick_params(which="both", color=MUTED, labelcolor=INK)


def color_map(*colors: str) -> Colormap:
    """Return a Matplotlib color map from the smallest value to the largest."""
    return LinearSegmentedColormap.from_list("-".join(colors), colors)


def label_cells(
    axes: Axes,
    texts: Sequence[Sequence[str]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    dark: Bool[np.ndarray, "rows columns"],
) -> None:
    """Write texts into the cells of a heatmap (white on dark cells), name its axes."""
    for (row, column), is_dark in np.ndenumerate(dark):
        text = axes.text(column, row, texts[row][column], fontsize=8.5)
        text.set(ha="center", va="center", color=PAPER if is_dark else INK)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    if max(map(len, columns)) > len("all"):
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=INK)
