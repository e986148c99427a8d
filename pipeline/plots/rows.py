"""Images in rows and grids, with titles, captions and bars."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from pipeline.base.text import probability_text
from pipeline.plots.common import INK, LINE, MUTED, PAPER, POSITIVE, font

GAP = 10  # pixels between images
TITLE, HEADING, CAPTION, BAR = 16, 13, 12, 11  # sizes of text, in pixels
MIN_WIDTH = 560  # pixels, so that titles fit
BARS_WIDTH = 260  # minimum width in pixels, with the text next to the bars


# A caption and the image above it; several images may have the same caption.
Captioned = tuple[str, UInt8[np.ndarray, "_ _ ..."]]


@dataclass(frozen=True, eq=False)
class ImageRow:
    """Images in one row, such as the steps of preprocessing."""

    images: Sequence[Captioned | None]  # None for an empty cell
    title: str = ""  # the title above the images
    bars: Mapping[str, float] = field(default_factory=dict)  # probabilities, by class


def image_rows(
    rows: Sequence[ImageRow],
    *,
    title: str,
    side: int = 84,
    headings: Mapping[int, str] | None = None,
    columns: int = 0,
    legend: Image.Image | None = None,
    max_rows: int | None = None,
) -> Image.Image:
    """Draw rows of images, one below the other.

    Args:
        rows: The rows.
        title: The title of all rows.
        side: The size of each image, in pixels.
        headings: Texts above the first row, by the index of their column.
        columns: The number of images in a row; 0 for the longest row.
        legend: An image below the title.
        max_rows: The maximum number of rows, one below the other. More rows are divided
            into parts of equal size, which are side by side.
    """
    columns = columns or max(len(row.images) for row in rows)
    width = columns * (side + GAP) + GAP + BARS_WIDTH * any(row.bars for row in rows)
    width = max(width, MIN_WIDTH)
    above = [_headings(headings, width, side)] if headings else []
    drawn = [_row(row, width, side) for row in rows]
    parts = math.ceil(len(rows) / max_rows) if max_rows else 1
    size = max(1, math.ceil(len(rows) / parts))
    images = [
        stack_images([*above, *drawn[start : start + size]])
        for start in range(0, len(rows), size)
    ]
    total = width * parts
    header = [_text(title, total, TITLE)]
    if legend:
        header.append(Image.new("RGB", (total, legend.height + GAP), PAPER))
        header[-1].paste(legend, (GAP, 0))
    height = max((image.height for image in images), default=0)
    body = Image.new("RGB", (total, height), PAPER)
    for index, image in enumerate(images):
        body.paste(image, (index * width, 0))
    return stack_images([*header, body])


def image_grid(
    images: Sequence[Captioned],
    *,
    title: str,
    columns: int,
    side: int = 84,
    legend: Image.Image | None = None,
) -> Image.Image:
    """Draw images with their captions, in rows of up to this many columns."""
    starts = range(0, len(images), columns)
    rows = [ImageRow(images[start : start + columns]) for start in starts]
    return image_rows(rows, title=title, side=side, columns=columns, legend=legend)


def align(rows: Sequence[ImageRow]) -> list[ImageRow]:
    """Align images with the same caption in columns; rows can have gaps."""
    known = [dict(each for each in row.images if each) for row in rows]
    captions: list[str] = []
    # The longest row is first, because a shorter row does not show the order of missing
    # captions: the rows "a c" and "b c" say nothing about the order of a and b.
    for images in sorted(known, key=len, reverse=True):
        position = 0
        for caption in images:
            if caption not in captions:
                captions.insert(position, caption)
            position = captions.index(caption) + 1
    return [
        replace(row, images=[(c, images[c]) if c in images else None for c in captions])
        for row, images in zip(rows, known, strict=True)
    ]


def stack_images(images: Sequence[Image.Image]) -> Image.Image:
    """Stack images of the same width vertically."""
    return Image.fromarray(np.vstack([np.asarray(image) for image in images]))


def _headings(headings: Mapping[int, str], width: int, side: int) -> Image.Image:
    """Draw texts above columns of images."""
    image = Image.new("RGB", (width, HEADING + 8), PAPER)
    for column, text in headings.items():
        corner = GAP + column * (side + GAP), 0
        ImageDraw.Draw(image).text(corner, text, INK, font(HEADING))
    return image


def _row(row: ImageRow, width: int, side: int) -> Image.Image:
    """Draw a row: its title, then its images with captions next to the bars."""
    images = [(column, *each) for column, each in enumerate(row.images) if each]
    captions = 1 + max((caption.count("\n") for _, caption, _ in images), default=0)
    height = side + captions * (CAPTION + 4) + GAP
    if row.bars:
        height = max(height, len(row.bars) * (BAR + 1) + GAP)
    body = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(body)
    for column, caption, levels in images:
        x = column * (side + GAP) + GAP
        draw.rectangle((x - 1, 0, x + side, side + 1), LINE, LINE)
        image = _fit(levels, side)
        corner = x + (side - image.width) // 2, 1 + (side - image.height) // 2
        body.paste(image, corner)
        draw.text((x, side + 4), caption, INK, font(CAPTION))
    if row.bars:
        x = len(row.images) * (side + GAP) + GAP
        body.paste(_bars(row.bars, width - x, height), (x, 0))
    if not row.title:
        return body
    return stack_images([_text(row.title, width, HEADING), body])


def _fit(levels: UInt8[np.ndarray, "height width ..."], side: int) -> Image.Image:
    """Scale an image so that its longer side has this many pixels."""
    image = Image.fromarray(levels)
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    filter_ = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return image.resize((width, height), filter_)


def _bars(probabilities: Mapping[str, float], width: int, height: int) -> Image.Image:
    """Draw a horizontal bar for each probability, between its name and its value."""
    image = Image.new("RGB", (width, height), PAPER)
    draw, small = ImageDraw.Draw(image), font(BAR)
    left = GAP + round(max(small.getlength(name) for name in probabilities)) + 8
    right = width - GAP - round(small.getlength(">99.9%")) - 8
    for index, (name, probability) in enumerate(probabilities.items()):
        y = index * (BAR + 1)
        middle = y + BAR // 2
        end = left + round(probability * (right - left))
        draw.text((left - 8, middle), name, INK, small, anchor="rm")
        draw.rectangle((left, y, right, y + BAR - 2), LINE)
        if end > left:
            draw.rectangle((left, y, end, y + BAR - 2), POSITIVE)
        value = probability_text(probability)
        draw.text((width - GAP, middle), value, MUTED, small, anchor="rm")
    return image


def _text(text: str, width: int, size: int) -> Image.Image:
    """Draw text in one or more lines."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font(size).getlength(longer) > width - 2 * GAP:
            lines.append(word)
        else:
            lines[-1] = longer
    image = Image.new("RGB", (width, len(lines) * (size + 5) + 10), PAPER)
    draw = ImageDraw.Draw(image)
    for index, line in enumerate(lines):
        draw.text((GAP, 6 + index * (size + 5)), line, INK, font(size))
    return image
