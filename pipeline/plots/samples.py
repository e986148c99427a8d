"""The plots of the data stage: the mean images of the classes, and samples."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from pipeline.core import SIDE
from pipeline.plots.common import INK, PAPER, font
from pipeline.plots.rows import image_grid

SAMPLES = 20  # images per class


def class_means(
    means: Mapping[int, UInt8[np.ndarray, "28 28"]],
    labels: UInt8[np.ndarray, " n"],
    class_names: Sequence[str],
) -> Image.Image:
    """Plot the mean image of each class that occurs, with its number of images."""
    images = [
        (f"{class_names[k]}: {np.sum(labels == k):,}", mean)
        for k, mean in means.items()
    ]
    title = "Mean of the training images of each class, and their number"
    return image_grid(images, columns=5, title=title, side=4 * SIDE)


def sample_images(
    images: UInt8[np.ndarray, "n 28 28"],
    labels: UInt8[np.ndarray, " n"],
    class_names: Sequence[str],
) -> Image.Image:
    """Plot the first images of each class: one row per class, with its name."""
    rows = {k: np.flatnonzero(labels == k)[:SAMPLES] for k in np.unique(labels)}
    sheet = np.zeros((len(rows), SAMPLES, SIDE, SIDE), np.uint8)
    for target, indices in zip(sheet, rows.values(), strict=True):
        target[: len(indices)] = images[indices]
    pixels = sheet.swapaxes(1, 2).reshape(len(rows) * SIDE, SAMPLES * SIDE)
    large = Image.fromarray(pixels.repeat(2, axis=0).repeat(2, axis=1))
    names = [class_names[k] for k in rows]
    margin = 12 + max(round(font(14).getlength(name)) for name in names)
    header = 40
    plot = Image.new("RGB", (margin + large.width, header + large.height), PAPER)
    plot.paste(large, (margin, header))
    draw = ImageDraw.Draw(plot)
    title = f"The first {SAMPLES} training images of each class"
    draw.text((margin, header // 2), title, INK, font(16), anchor="lm")
    for row, name in enumerate(names):
        middle = header + SIDE * (2 * row + 1)
        draw.text((margin - 6, middle), name, INK, font(14), anchor="rm")
    return plot
