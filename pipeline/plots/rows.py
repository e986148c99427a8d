"""Rows and grids of images with captions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from pipeline.plots.common import INK, LINE, PAPER, font


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
            draw.rectangle((x - 1, y - 1, x + side, y + side), LINE, LINE)
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
