"""Step 5 of the preprocessing: strokes -> MNIST's form.

Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document
recognition (1998), section III.A: digits are scaled to fit into 20x20 pixels, then
placed in 28x28 pixels by their center of mass.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy import ndimage

from pipeline.core import SIDE, WHITE
from pipeline.images import constants
from pipeline.images.digit import Mask, bounding_box
from pipeline.images.ink import Ink


def fit_to_box(digit: Ink, *, edge: float) -> Bool[np.ndarray, "rows columns"]:
    """Scale a digit to the box, at FINE pixels per pixel, and return its strokes.

    Strokes are the pixels with more ink than `edge` or, if there are none, with the
    most ink.
    """
    fine = scale_to_box(digit)
    return fine > min(edge, constants.MAX_STROKE_END * float(fine.max()))


def adjust_width(strokes: Mask) -> Bool[np.ndarray, "rows columns"]:
    """Thicken or thin strokes whose mean width is outside STROKE_WIDTHS.

    Across a stroke, the mean distance to the edge is a quarter of the stroke's width.
    """
    strokes = np.pad(strokes, 2 * constants.FINE)
    inside = ndimage.distance_transform_edt(strokes)
    # In pixels of the box.
    width = 4 * float(inside.sum() / strokes.sum()) / constants.FINE
    wanted = float(np.clip(width, *constants.STROKE_WIDTHS))
    growth = (wanted - width) * constants.FINE / 2  # on each side
    if growth > 0:
        return np.asarray(ndimage.distance_transform_edt(~strokes) <= growth)
    thinner = inside > -growth
    return np.asarray(thinner) if thinner.any() else strokes


def downsample(strokes: Mask) -> Float[np.ndarray, "rows columns"]:
    """Scale strokes to the box again, and average FINE x FINE pixels to one."""
    size = constants.FINE
    fine = scale_to_box(strokes[bounding_box(strokes)].astype(np.float32))
    missing = [-side % size for side in fine.shape]  # pixels up to a multiple of FINE
    fine = np.pad(fine, [(pixels // 2, pixels - pixels // 2) for pixels in missing])
    rows, columns = (side // size for side in fine.shape)
    return np.asarray(fine.reshape(rows, size, columns, size).mean(axis=(1, 3)))


def center_by_mass(digit: Ink) -> UInt8[np.ndarray, "28 28"]:
    """Place a digit so that its center of mass is at pixel (14, 14), as in MNIST."""
    levels = np.round(WHITE * digit)  # integers, so that the mass is exact
    padding = []
    center = ndimage.center_of_mass(levels.astype(np.float64))
    for position, side in zip(center, digit.shape, strict=True):
        before = min(max(round(SIDE / 2 - position), 0), SIDE - side)
        padding.append((before, SIDE - side - before))
    return np.pad(levels, padding).astype(np.uint8)


def scale_to_box(digit: Ink) -> Float[np.ndarray, "rows columns"]:
    """Scale a digit to the box, at FINE pixels per pixel, with a triangle filter."""
    scale = constants.BOX * constants.FINE / max(digit.shape)
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    size, triangle = (width, height), Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(digit).resize(size, triangle))
