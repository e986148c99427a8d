"""Straightens digits: shears each image so that its slant is the mean slant of MNIST.

The slant is the distance by which the digit's center moves to the right from one row to
the next. It follows from the moments of the gray levels I about the center of mass:

    slant = Σ I·dx·dy / Σ I·dy²

A shear moves each row to the left or to the right. This changes the slant by a
constant, so the straightened image has the target slant exactly, apart from rounding.
The method is the deskewing that LeCun et al., Gradient-based learning applied to
document recognition (1998), section III.C, describe.

All numbers are integers, and no division has a negative operand. Therefore, the result
is the same on every processor, and in the C code of `pipeline/deploy/c/straighten.c`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline.base.progress import busy
from pipeline.core import SIDE
from pipeline.core.dataset import LabeledImages

Read = Callable[[Path], tuple[LabeledImages, LabeledImages]]

ONE = 1024  # a slant of 1, which is 45 degrees, as an integer
MEAN_SLANT = -113  # the mean of MNIST's training images, which lean to the right
PARTS = 16  # a row's distance from the center of mass is measured in parts of a row
FRACTIONS = 256  # a position between two columns is measured in parts of a column
MARGIN = 32  # columns; more than a row can move, so that no position is negative
CHUNK = 2000  # images that are straightened at a time, to save memory


def reader(read: Read) -> Read:
    """Return a function that calls `read` and straightens the images of its result."""

    def read_upright(folder: Path) -> tuple[LabeledImages, LabeledImages]:
        parts = read(folder)
        with busy("straightening the images"):
            train, test = (replace(p, images=straighten(p.images)) for p in parts)
        return train, test

    return read_upright


def straighten(images: UInt8[np.ndarray, "n 28 28"]) -> UInt8[np.ndarray, "n 28 28"]:
    """Shear images so that their slant is `MEAN_SLANT`.

    Blank images do not change. Images with ink in only one row have no slant, and do
    not change either.
    """
    chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    straightened = [_straighten(chunk) for chunk in chunks]
    return np.concatenate(straightened) if straightened else images


def _straighten(images: UInt8[np.ndarray, "n 28 28"]) -> UInt8[np.ndarray, "n 28 28"]:
    y, x = np.indices((SIDE, SIDE)).reshape(2, -1)
    weights = np.stack([np.ones_like(x), x, y, x * y, y * y], axis=1)
    # The sums are integers below 2**53, which floating-point numbers represent exactly.
    sums = images.reshape(len(images), -1).astype(float) @ weights.astype(float)
    mass, sum_x, sum_y, sum_xy, sum_yy = sums.T.astype(np.int64)
    # The sums over dx·dy and dy², multiplied by the mass.
    xy = mass * sum_xy - sum_x * sum_y
    yy = mass * sum_yy - sum_y * sum_y
    # The slant plus 1, in units of 1 / ONE, 0 to 2 * ONE: at most 45 degrees.
    slant = ONE * (xy.clip(-yy, yy) + yy) // np.maximum(yy, 1)
    shear = np.where(yy > 0, slant - ONE - MEAN_SLANT, 0)
    center = PARTS * sum_y // np.maximum(mass, 1)
    # Where each row of the result begins in the image, in units of 1 / (ONE * PARTS).
    distance = PARTS * np.arange(SIDE) - center[:, None]
    start = MARGIN * ONE * PARTS + shear[:, None] * distance
    columns = start // (ONE * PARTS) - MARGIN  # (n, 28)
    fraction = start % (ONE * PARTS) * FRACTIONS // (ONE * PARTS)
    # Between two pixels, the gray level is interpolated; outside the image, it is 0.
    margins = ((0, 0), (0, 0), (MARGIN, MARGIN + 1))
    wide = np.pad(images, margins).astype(np.int32)
    first = columns[:, :, None] + MARGIN + np.arange(SIDE)
    left = np.take_along_axis(wide, first, axis=2)
    right = np.take_along_axis(wide, first + 1, axis=2)
    share = fraction[:, :, None].astype(np.int32)
    levels = (left * (FRACTIONS - share) + right * share + FRACTIONS // 2) // FRACTIONS
    return np.asarray(levels, np.uint8)
