"""The image of the weights of layer 1 after an epoch, as the train stage records it.

NumPy and Pillow draw this image in 10 ms. Matplotlib would take longer than an epoch.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from pipeline.base.text import neuron_name
from pipeline.core import SIDE
from pipeline.plots.common import (
    INK,
    LINE,
    MAX_DRAWN_NEURONS,
    MUTED,
    NEGATIVE,
    PAPER,
    POSITIVE,
    color_scale,
    diverging_colors,
    font,
    weight_limits,
    weight_scale,
)

MAX_NAMED_NEURONS = 30  # neurons with a name below each image; more names would overlap
# Fractions of the width of a square image: the height that MLflow's card shows without
# scrolling (measured in Chromium at 1366x768), the height of the header, and the size
# of the text.
VISIBLE, HEADER, TEXT = 0.575, 0.06, 0.036
BINS = 40
SHADES = 12  # shades of blue and of red


def weight_images(
    weights: Float[np.ndarray, "hidden 784"],
    tensors: Mapping[str, Float[np.ndarray, "..."]],
    *,
    title: str,
) -> Image.Image:
    """Draw the weights of each neuron as an image, above histograms of all tensors.

    The image is square. The neurons, at most 100, are in the upper part, because MLflow
    shows only this part without scrolling.
    """
    drawn = weights[:MAX_DRAWN_NEURONS]
    scale = weight_scale(drawn)
    rounded = np.round(SHADES * drawn / scale) / SHADES  # halves the size of the file
    grid = _neuron_grid(diverging_colors(rounded, scale=1.0))
    width = grid.width
    size = round(TEXT * width)
    image = Image.new("RGB", (width, width), PAPER)
    draw = ImageDraw.Draw(image)
    legend = color_scale(*weight_limits(scale), size=size)
    image.paste(legend, (size // 2, size // 4))
    draw.text((width - size // 2, size // 4), title, INK, font(size), anchor="ra")
    image.paste(grid, (0, round(HEADER * width)))
    y = round(HEADER * width) + grid.height + size
    count, total = len(drawn), len(weights)
    part = f", the first {count} of {total}" if count < total else ""
    caption = f"weights of layer 1, one image for each neuron{part}"
    draw.text((size // 2, y), caption, MUTED, font(round(0.75 * size)))
    y += 2 * size
    cell = width // 2, (width - y) // 2
    for index, (name, values) in enumerate(tensors.items()):
        row, column = divmod(index, 2)
        histogram = _histogram(name, values, cell, size=round(0.75 * size))
        image.paste(histogram, (column * cell[0], y + row * cell[1]))
    return image


def _neuron_grid(images: UInt8[np.ndarray, "n 28 28 3"]) -> Image.Image:
    """Arrange the images of neurons in the largest size that MLflow's card can show."""
    names = [neuron_name(1, index) for index in range(len(images))]
    all_named = len(images) <= MAX_NAMED_NEURONS  # if false, name the first of each row
    columns = _columns(len(images), all_named=all_named)
    rows = -(-len(images) // columns)
    zoom = max(1, round(720 / columns / SIDE))
    side, gap = zoom * SIDE, 2 * zoom + 1
    width = columns * (side + gap) + gap
    if not all_named:
        width = round(width / 0.9)
    size = round(TEXT * width)
    step = side + gap + (round(1.2 * size) if all_named else 0)
    grid = Image.new("RGB", (width, rows * step), PAPER)
    draw = ImageDraw.Draw(grid)
    left = width - columns * (side + gap)
    for index, (name, pixels) in enumerate(zip(names, images, strict=True)):
        row, column = divmod(index, columns)
        x, y = left + column * (side + gap), row * step
        enlarged = pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
        draw.rectangle((x - 1, y, x + side, y + side + 1), LINE)
        grid.paste(Image.fromarray(enlarged), (x, y + 1))
        if all_named:
            draw.text((x + side // 2, y + side), name, INK, font(size), anchor="ma")
        elif column == 0:
            position = left - gap, y + side // 2
            draw.text(position, name, INK, font(round(0.75 * size)), anchor="rm")
    return grid


def _columns(count: int, *, all_named: bool) -> int:
    """Return the smallest number of columns that makes all images visible."""
    for columns in range(3, count):
        row_height = 1 / columns + 1.2 * TEXT if all_named else 0.9 / columns
        if -(-count // columns) * row_height <= VISIBLE - HEADER:
            return columns
    return max(3, count)


def _histogram(
    name: str, values: Float[np.ndarray, "..."], cell: tuple[int, int], *, size: int
) -> Image.Image:
    """Draw the distribution of the values of a tensor, with 0 in the middle."""
    limit = float(np.abs(values).max()) or 1.0
    counts, _ = np.histogram(values, bins=BINS, range=(-limit, limit))
    image = Image.new("RGB", cell, PAPER)
    draw = ImageDraw.Draw(image)
    width, bottom = (cell[0] - 2 * size) // BINS, cell[1] - 2 * size
    left, middle = size, size + width * BINS // 2
    draw.text((left, 0), f"{name}  ({values.size:,})", INK, font(size))
    highest = bottom - 2 * size
    for column, height in enumerate(np.round(highest * counts / counts.max())):
        x = left + column * width
        color = NEGATIVE if column < BINS // 2 else POSITIVE
        if height:
            draw.rectangle((x, bottom - int(height), x + width - 2, bottom), color)
    right = left + width * BINS
    draw.line((left, bottom + 1, right, bottom + 1), MUTED)
    for x, text, anchor in (
        (left, f"\N{MINUS SIGN}{limit:.2f}", "la"),
        (middle, "0", "ma"),
        (right, f"+{limit:.2f}", "ra"),
    ):
        draw.text((x, bottom + 3), text, MUTED, font(size), anchor=anchor)
    return image
