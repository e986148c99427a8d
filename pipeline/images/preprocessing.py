"""Step 5 of the preprocessing: strokes -> MNIST's form; and all steps in their order.

Source of MNIST's form: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied
to document recognition (1998), section III.A: digits are scaled to fit into 20x20
pixels, then placed in 28x28 pixels by their center of mass.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

from pipeline.base.unsure import BOX, Finding, is_blank
from pipeline.core import SIDE
from pipeline.images import constants
from pipeline.images.digit import (
    Mask,
    OtherInk,
    OtherMask,
    bounding_box,
    crop_around,
    cut_out,
    find_digit,
    judge,
    judge_photo,
    longer_side,
    undo_stretching,
)
from pipeline.images.ink import (
    Ink,
    Levels,
    find_ink,
    has_photo_size,
    noise_limit,
    reduce_to,
)
from pipeline.images.sheet import find_outside, paint_outside, touches

Steps = Mapping[str, UInt8[np.ndarray, "_ _"]]  # the image after each step, in order


def preprocess(
    original: UInt8[np.ndarray, "height width"],
) -> tuple[UInt8[np.ndarray, "28 28"], Finding, Steps]:
    """Put a digit of any size and kind in the form of MNIST's images.

    This takes 2 ms for a small image and 0.1 s for a photograph.

    Args:
        original: The gray levels of the image, dark on light or light on dark.

    Returns:
        The input of the network, white on black; what the image shows that is not one
        digit; and the image after each step. Without a digit, the input is blank.
    """
    is_photo = has_photo_size(original)  # the whole image, even for a part of it
    image, levels = original, reduce_to(original, constants.SEARCH_SIDE)
    steps = {"gray levels": levels}  # (h, w), at most 400
    strokes_of_sheet = None
    if is_photo and (outside := find_outside(original)) is not None:
        sheet = paint_outside(original, outside)
        reduced = reduce_to(sheet, constants.SEARCH_SIDE)
        found = _find_strokes(reduced, is_photo=True)
        mask = found[-1]
        # A digit that crosses an edge shows that this is the edge of a shadow.
        if mask.any() and not touches(mask, outside, shape=levels.shape):
            image, strokes_of_sheet = sheet, found
            levels = steps["sheet"] = reduced
    ink, shapes, mask = strokes_of_sheet or _find_strokes(levels, is_photo=is_photo)
    finding: Finding = ""
    if is_photo and mask.any():
        finding = judge_photo(levels, shapes, mask)
    if levels.shape != image.shape and 0 < longer_side(mask) < constants.DETAIL_SIDE:
        # A small digit in a large image: process its surroundings in more detail.
        levels = reduce_to(crop_around(image, mask), constants.SEARCH_SIDE)
        steps["surroundings"] = levels
        ink, shapes, mask = _find_strokes(levels, is_photo=is_photo)
    steps["ink"] = _to_bytes(ink)
    if not mask.any():
        finding = "blank" if is_blank(original) else "no ink"
        return np.zeros((SIDE, SIDE), np.uint8), finding, steps
    digit = undo_stretching(cut_out(ink, mask), ink)  # cropped to the digit
    edge = constants.EDGE * float(np.median(ink[mask]))
    strokes = fit_to_box(digit, edge=edge)  # the longer side has BOX * FINE = 80 pixels
    adjusted = adjust_width(strokes)  # with margins of 2 * FINE pixels
    centered = center_by_mass(downsample(adjusted))  # (28, 28)
    steps |= {
        "digit": _to_bytes(digit),
        "box": _to_bytes(strokes),
        "stroke": _to_bytes(adjusted),
        "centered": centered,
    }
    finding = finding or judge(shapes, mask, strokes, is_photo=is_photo)
    return centered, finding, steps


def _find_strokes(
    levels: Levels, *, is_photo: bool
) -> tuple[OtherInk, OtherMask, OtherMask]:
    """Return the ink, smaller if paper was straightened, and the masks of strokes.

    If a photograph with little noise seems to be blank, faint strokes are searched.
    """
    ink = find_ink(levels, is_photo=is_photo)
    shapes, mask = find_digit(ink, is_photo=is_photo)
    if mask.any() or not is_photo or noise_limit(ink) > constants.FAINT_NOISE:
        return ink, shapes, mask
    ink = ndimage.gaussian_filter(ink, constants.FAINT_BLUR)
    return ink, *find_digit(ink, is_photo=True, is_faint=True)


def resize(
    levels: Levels,
) -> tuple[UInt8[np.ndarray, "28 28"], Finding, Steps]:
    """Resize an image to 28x28 pixels without any other change; see `preprocess`."""
    image = Image.fromarray(levels)
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    resized = np.asarray(image)
    return resized, "blank" if is_blank(resized) else "", {"resized": resized}


def fit_to_box(digit: Ink, *, edge: float) -> OtherMask:
    """Scale a digit to the box, at FINE pixels per pixel, and return its strokes.

    Strokes are the pixels with more ink than `edge` or, if there are none, with the
    most ink.
    """
    fine = scale_to_box(digit)
    return fine > min(edge, constants.MAX_EDGE * float(fine.max()))


def adjust_width(strokes: Mask) -> OtherMask:
    """Thicken or thin strokes whose mean width is outside of STROKE_WIDTHS.

    Across a stroke, the mean distance to its edge is a quarter of its width.
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


def downsample(strokes: Mask) -> OtherInk:
    """Scale strokes to the box again, and average FINE x FINE pixels to one."""
    size = constants.FINE
    fine = scale_to_box(strokes[bounding_box(strokes)].astype(np.float32))
    missing = [-side % size for side in fine.shape]  # pixels up to a multiple of FINE
    fine = np.pad(fine, [(pixels // 2, pixels - pixels // 2) for pixels in missing])
    rows, columns = (side // size for side in fine.shape)
    return np.asarray(fine.reshape(rows, size, columns, size).mean(axis=(1, 3)))


def center_by_mass(digit: Ink) -> UInt8[np.ndarray, "28 28"]:
    """Place a digit so that its center of mass is at pixel (14, 14), as in MNIST."""
    levels = np.round(255 * digit)  # integers, so that the mass is exact
    padding = []
    center = ndimage.center_of_mass(levels.astype(np.float64))
    for position, side in zip(center, digit.shape, strict=True):
        before = min(max(round(SIDE / 2 - position), 0), SIDE - side)
        padding.append((before, SIDE - side - before))
    return np.pad(levels, padding).astype(np.uint8)


def scale_to_box(digit: Ink) -> OtherInk:
    """Scale a digit to the box, at FINE pixels per pixel, with a triangle filter."""
    scale = BOX * constants.FINE / max(digit.shape)
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    size, triangle = (width, height), Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(digit).resize(size, triangle))


def _to_bytes(values: Float[np.ndarray, "h w"] | Mask) -> UInt8[np.ndarray, "h w"]:
    return np.asarray((255 * values).round(), np.uint8)
