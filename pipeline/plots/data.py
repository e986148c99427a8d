"""The plots of stage data: the mean images of the classes, and samples."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipeline import SIDE
from pipeline.plots.common import image_grid

SAMPLES = 20  # images per class


def class_means(
    images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, " n"]
) -> Image.Image:
    """Plot the mean image of each class, with its number of images."""
    classes = np.unique(labels)
    means = [images[labels == label].mean(axis=0) for label in classes]
    captions = [f"{label}: {np.sum(labels == label):,}" for label in classes]
    return image_grid(np.stack(means).astype(np.uint8), captions, columns=5, scale=4)


def contact_sheet(
    images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, " n"]
) -> Image.Image:
    """Plot the first images of each class, one row per class."""
    rows = [np.flatnonzero(labels == label)[:SAMPLES] for label in np.unique(labels)]
    sheet = np.zeros((len(rows), SAMPLES, SIDE, SIDE), np.uint8)
    for target, indices in zip(sheet, rows, strict=True):
        target[: len(indices)] = images[indices]
    pixels = sheet.swapaxes(1, 2).reshape(len(rows) * SIDE, SAMPLES * SIDE)
    height, width = pixels.shape
    return Image.fromarray(pixels).resize(
        (2 * width, 2 * height), Image.Resampling.NEAREST
    )
