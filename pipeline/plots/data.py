"""The plots of stage data: what is in a data set."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipeline import SIDE
from pipeline.plots.common import image_grid

if TYPE_CHECKING:
    pass


def class_means(
    images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, " n"]
) -> Image.Image:
    """Draw the mean picture of each class, with its number of pictures."""
    classes = np.unique(labels)
    means = [images[labels == label].mean(axis=0) for label in classes]
    captions = [f"{label}: {np.sum(labels == label):,}" for label in classes]
    return image_grid(np.stack(means).astype(np.uint8), captions, columns=5, enlarged=4)


def contact_sheet(
    images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, " n"]
) -> Image.Image:
    """Draw the first 20 pictures of each class, a row a class."""
    rows = [np.flatnonzero(labels == label)[:20] for label in np.unique(labels)]
    sheet = np.zeros((len(rows), 20, SIDE, SIDE), np.uint8)
    for place, found in zip(sheet, rows, strict=True):
        place[: len(found)] = images[found]
    whole = sheet.swapaxes(1, 2).reshape(len(rows) * SIDE, 20 * SIDE)
    return Image.fromarray(whole).resize(
        (whole.shape[1] * 2, whole.shape[0] * 2), Image.Resampling.NEAREST
    )
