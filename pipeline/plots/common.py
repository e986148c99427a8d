"""What several plots share: colours, grids of images, Matplotlib figures."""

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
BLUE, ORANGE = (0, 90, 181), (220, 50, 32)  # distinguishable with colour blindness
TRAIN, VAL = "#005ab5", "#dc3220"


def diverging_colours(
    values: Float[np.ndarray, "n 784"],
    *,
    scale: float,
    unlearned: Bool[np.ndarray, "784"] | None = None,
) -> UInt8[np.ndarray, "n 28 28 3"]:
    """Colour numbers: blue above 0, red below, white 0, full at the scale.

    What was never learned is grey.
    """
    strength = np.clip(values / (scale or 1.0), -1, 1).reshape(-1, SIDE, SIDE, 1)
    white, blue, orange = (np.array(c, np.float32) for c in (PAPER, BLUE, ORANGE))
    colours = np.where(
        strength >= 0,
        white + strength * (blue - white),
        white - strength * (orange - white),
    )
    if unlearned is not None:
        colours[:, unlearned.reshape(SIDE, SIDE)] = GRID
    return colours.astype(np.uint8)


@dataclass(frozen=True)
class ImageRow:
    """Pictures that belong together, such as the steps of a preparation."""

    images: Mapping[str, UInt8[np.ndarray, "height width *rgb"]]  # by their captions
    lines: Sequence[str]  # lines beside them


def image_rows(
    shown: Sequence[ImageRow], *, side: int = 112, text: int = 260
) -> Image.Image:
    """Draw rows one below the other, each with its pictures from left to right.

    Args:
        shown: The rows.
        side: Of a picture, in pixels.
        text: Width of the lines beside them.
    """
    gap = 12
    columns = max(len(one.images) for one in shown)
    width = columns * (side + gap) + gap + text
    sheet = Image.new("RGB", (width, len(shown) * (side + 34) + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, one in enumerate(shown):
        y = row * (side + 34) + gap
        for column, (caption, levels) in enumerate(one.images.items()):
            x = column * (side + gap) + gap
            picture = Image.fromarray(levels)
            factor = side / max(picture.size)
            size = [max(1, round(length * factor)) for length in picture.size]
            how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
            place = (x + (side - size[0]) // 2, y + (side - size[1]) // 2)
            draw.rectangle((x - 1, y - 1, x + side, y + side), GRID, GRID)
            sheet.paste(picture.resize((size[0], size[1]), how), place)
            draw.text((x, y + side + 3), caption, INK, font(12))
        for number, line in enumerate(one.lines):
            draw.text((width - text, y + 18 * number), line, INK, font(13))
    return sheet


def stack_images(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures of the same width below one another."""
    height = sum(picture.height for picture in pictures)
    whole = Image.new("RGB", (pictures[0].width, height), PAPER)
    for number, picture in enumerate(pictures):
        above = sum(earlier.height for earlier in pictures[:number])
        whole.paste(picture, (0, above))
    return whole


def new_figure(width: float, height: float) -> "Figure":
    """Begin a figure of this size, in inches of 110 pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def render(figure: "Figure") -> Image.Image:
    """Turn a Matplotlib figure into an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def simplify_axes(axes: "Axes") -> None:
    """Leave only what helps to read a value."""
    axes.grid(color="#dadce0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def image_grid(
    pictures: UInt8[np.ndarray, "n 28 28 *rgb"],
    captions: Sequence[str],
    *,
    columns: int,
    enlarged: int,
) -> Image.Image:
    """Lay out enlarged pictures in rows, a caption under each."""
    step_x, step_y = SIDE * enlarged + 8, SIDE * enlarged + 22
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    grid = Image.new("RGB", (columns * step_x, rows * step_y), PAPER)
    draw = ImageDraw.Draw(grid)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = (number % columns) * step_x + 4, (number // columns) * step_y + 4
        large = picture.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
        grid.paste(Image.fromarray(large), (x, y))
        draw.rectangle(
            (x - 1, y - 1, x + large.shape[1], y + large.shape[0]), None, GRID
        )
        draw.text((x, y + large.shape[0] + 1), caption, INK, font(12))
    return grid


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the default font in this size, in pixels."""
    return ImageFont.load_default(size)
