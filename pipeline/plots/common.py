"""Colours, rows and grids of images, and Matplotlib figures, for all plots.

The plots of a stage are in a module of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from pipeline import SIDE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PAPER, GRID = (32, 33, 36), (255, 255, 255), (218, 220, 224)
BLUE, RED = (0, 90, 181), (220, 50, 32)  # distinguishable with colour blindness
TRAIN, VAL = (f"#{bytes(colour).hex()}" for colour in (BLUE, RED))  # for Matplotlib


def diverging_colours(
    values: Float[np.ndarray, "*n 784"],
    *,
    scale: float,
    grey: Bool[np.ndarray, "784"] | None = None,
) -> UInt8[np.ndarray, "*n 28 28 3"]:
    """Map values to colours: positive to blue, 0 to white, negative to red.

    Args:
        values: An image of 784 values, or several.
        scale: The absolute value that is drawn in the full colour.
        grey: The pixels that become grey, whatever their values.
    """
    shape = (*values.shape[:-1], SIDE, SIDE, 1)
    strength = np.clip(values / (scale or 1.0), -1, 1).reshape(shape)
    white, blue, red = (np.array(c, np.float32) for c in (PAPER, BLUE, RED))
    full = np.where(strength >= 0, blue, red)
    colours = (white + abs(strength) * (full - white)).astype(np.uint8)
    if grey is not None:
        colours[..., grey.reshape(SIDE, SIDE), :] = GRID
    return colours


@dataclass(frozen=True)
class ImageRow:
    """Images in one row, such as the steps of preprocessing, and text beside them."""

    images: Mapping[str, UInt8[np.ndarray, "height width *rgb"]]  # by their captions
    lines: Sequence[str] = ()


def image_rows(
    rows: Sequence[ImageRow], *, side: int = 112, text: int = 260
) -> Image.Image:
    """Draw rows of images below each other, with a caption below each image.

    Args:
        rows: The rows.
        side: The size of each image, in pixels.
        text: The width of the text beside the images, in pixels.
    """
    gap = 12
    columns = max(len(row.images) for row in rows)
    caption_lines = 1 + max(key.count("\n") for row in rows for key in row.images)
    step = side + 18 + 16 * caption_lines
    width = columns * (side + gap) + gap + text
    sheet = Image.new("RGB", (width, len(rows) * step + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        y = number * step + gap
        for column, (caption, levels) in enumerate(row.images.items()):
            x = column * (side + gap) + gap
            image = Image.fromarray(levels)
            scale = side / max(image.size)
            size = [max(1, round(length * scale)) for length in image.size]
            filter_ = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
            corner = (x + (side - size[0]) // 2, y + (side - size[1]) // 2)
            draw.rectangle((x - 1, y - 1, x + side, y + side), GRID, GRID)
            sheet.paste(image.resize((size[0], size[1]), filter_), corner)
            draw.text((x, y + side + 3), caption, INK, font(12))
        for index, line in enumerate(row.lines):
            draw.text((width - text, y + 18 * index), line, INK, font(13))
    return sheet


def image_grid(
    images: Mapping[str, UInt8[np.ndarray, "height width *rgb"]],
    *,
    columns: int,
    side: int = 112,
) -> Image.Image:
    """Draw images with their captions, in rows of up to this many columns."""
    items = [*images.items()]
    starts = range(0, len(items), columns)
    rows = [ImageRow(dict(items[start : start + columns])) for start in starts]
    return image_rows(rows, side=side, text=0)


def stack_images(images: Sequence[Image.Image]) -> Image.Image:
    """Stack images of the same width vertically."""
    return Image.fromarray(np.vstack([np.asarray(image) for image in images]))


def new_figure(width: float, height: float) -> "Figure":
    """Return a Matplotlib figure of this size, in inches of 110 pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def render(figure: "Figure") -> Image.Image:
    """Convert a Matplotlib figure to an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def simplify_axes(axes: "Axes") -> None:
    """Draw a light grid, and remove the border at the top and on the right."""
    axes.grid(color="#dadce0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def label_cells(
    axes: "Axes",
    texts: Sequence[Sequence[str]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    dark: Bool[np.ndarray, "rows columns"],
) -> None:
    """Write texts into the cells of a heatmap, white on dark ones; name its axes."""
    for (row, column), is_dark in np.ndenumerate(dark):
        text = axes.text(column, row, texts[row][column], fontsize=8.5)
        text.set(ha="center", va="center", color="white" if is_dark else "black")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    if max(map(len, columns)) > len("all"):
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.spines[:].set_visible(False)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the default font in this size, in pixels."""
    return ImageFont.load_default(size)
