"""Preprocess an image of a digit like MNIST's images: cut out, scale and center it.

`ink` first removes the effects of paper and light. A digit drawn on a screen needs only
the last steps, from `fit_to_box` on.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy import ndimage

from pipeline.core import SIDE
from pipeline.images.ink import (
    MIN_PHOTO_SIDE,
    Ink,
    Levels,
    ink_on_paper,
    is_dark_on_light,
    is_photo,
    noise_std,
    reduce_to,
    remove_lines,
)

BOX = 20  # pixels; the longer side of each digit in MNIST
FINE = 4  # strokes are processed at this many pixels per pixel of the box
STROKE_WIDTHS = (2.6, 3.3)  # pixels; a third of MNIST's are thinner, a quarter thicker
SEARCH_SIDE = 400  # pixels to which a photograph is reduced to find the digit
MIN_INK = 0.08  # pixels with less ink are paper
EDGE = 0.5  # a stroke ends where its ink falls to this fraction
MIN_SIDE_PER_PIECE = 8  # pixels of the image; smaller pieces of noise resemble digits
MAX_OUTLINE = 8  # sides of the digit; 99% of hand-drawn digits have a shorter outline
MAX_THICKNESS = 3  # pixels of the box, from the center of a stroke to its edge; 98%
MAX_ASPECT = 2  # width to height; 6 of MNIST's 60,000 digits are wider
TYPICAL_ASPECT = 0.7  # width to height of a digit whose proportions are unknown
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)

Mask = Bool[np.ndarray, "h w"]
OtherMask = Bool[np.ndarray, "rows columns"]  # where a step changes the size
OtherInk = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class PreparedImage:
    """The result of preprocessing: 28x28 pixels, and what was found in the image."""

    image: UInt8[np.ndarray, "28 28"]
    digit_count: int  # digits found side by side; 0 for a blank image
    drawn: bool  # whether a pen can have drawn the shape
    steps: dict[str, UInt8[np.ndarray, "_ _"]]  # the result of each step, in order

    @property
    def is_blank(self) -> bool:
        """Whether the image contains no ink, so that there is nothing to classify."""
        return not self.image.any()


def preprocess(original: UInt8[np.ndarray, "height width"]) -> PreparedImage:
    """Preprocess the gray levels of an image of any size; the result may be blank.

    This takes 2 ms for a small image and 0.1 s for a photograph.
    """
    levels = reduce_to(original, SEARCH_SIDE)
    ink, shapes, mask = find_strokes(levels)
    side = longer_side(mask)
    if levels.shape != original.shape and 0 < side < SEARCH_SIDE // 3:
        # A small digit in a large image: process its surroundings in more detail.
        levels = reduce_to(crop_around(original, mask), SEARCH_SIDE)
        ink, shapes, mask = find_strokes(levels)
    steps = {"gray levels": levels, "ink": _to_bytes(ink)}
    if not mask.any():
        return PreparedImage(np.zeros((SIDE, SIDE), np.uint8), 0, True, steps)
    digit = undo_stretching(cut_out(ink, mask), ink)
    strokes = fit_to_box(digit, edge=EDGE * float(np.median(ink[mask])))
    adjusted = adjust_width(strokes)
    centred = centre_by_mass(downsample(adjusted))
    steps |= {
        "digit": _to_bytes(digit),
        "box": _to_bytes(strokes),
        "stroke": _to_bytes(adjusted),
        "centered": centred,
    }
    drawn = is_drawn(shapes, mask, strokes)
    return PreparedImage(centred, count_digits(mask), drawn, steps)


def resize_only(levels: Levels) -> PreparedImage:
    """Resize an image to 28x28 pixels without any other change."""
    image = Image.fromarray(levels)
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    resized = np.array(image)  # a copy: PyTorch warns about read-only arrays
    return PreparedImage(resized, 1, True, {"resized": resized})


def find_strokes(levels: Levels) -> tuple[OtherInk, OtherMask, OtherMask]:
    """Return the ink of an image, the mask of all strokes, and that of the digit."""
    ink = ink_on_paper(levels if is_dark_on_light(levels) else 255 - levels)
    if min(ink.shape) > MIN_PHOTO_SIDE:
        ink = remove_lines(ink)
    shapes = ink > stroke_threshold(ink)
    return ink, shapes, remove_specks(shapes)


def stroke_threshold(ink: Ink) -> float:
    """Return the ink above which a pixel is a stroke: half the mean of such pixels.

    It is 1, so that no pixel is a stroke, unless some pixels have twice as much ink as
    noise and uneven paper can cause.
    """
    least = MIN_INK + 3 * noise_std(ink) * is_photo(ink)
    candidates = ink[ink > least]
    if not candidates.size or np.quantile(candidates, 0.95) < 2 * least:
        return 1.0
    level = float(np.quantile(candidates, 0.95)) / 2
    for _ in range(10):
        level = max(float(candidates[candidates > level].mean()) / 2, least)
    return level


def remove_specks(mask: Mask) -> Mask:
    """Keep the blobs that can be parts of a digit.

    In a photograph, blobs at the border (a table, a shadow) are removed if another blob
    has the size of a digit. Then blobs are removed if their area is below 1/20 of the
    largest blob's area, or below 1/4 of it if they are further away from that blob than
    1/4 of its longer side. If that side is below 1/50 of the image's, the mask becomes
    empty.
    """
    labels, number = ndimage.label(mask, EIGHT_NEIGHBOURS)
    if not number:
        return mask
    areas = np.bincount(labels.ravel())[1:]  # 0 is the paper
    boxes = ndimage.find_objects(labels)
    if is_photo(mask):
        border = {*labels[0], *labels[-1], *labels[:, 0], *labels[:, -1]}
        sides = np.array([max(labels[box].shape) for box in boxes])
        inside = sides >= min(mask.shape) / 5
        inside &= [label not in border for label in range(1, number + 1)]
        if inside.any():
            areas = areas * inside
    largest = boxes[int(areas.argmax())]
    if max(labels[largest].shape) < max(mask.shape) / 50:
        return np.zeros_like(mask)  # grain of the paper
    reach = max(labels[largest].shape) / 4
    distant = np.array([_distance(box, largest) > reach for box in boxes])
    kept = areas >= np.where(distant, 0.25, 0.05) * areas.max()
    return np.asarray(np.append(False, kept)[labels])


def _distance(box: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """Return the number of rows or columns between two boxes, whichever is larger."""
    pairs = zip(box, other, strict=True)
    return max(int(max(a.start - b.stop, b.start - a.stop)) for a, b in pairs)


def crop_around(
    original: UInt8[np.ndarray, "height width"], mask: Mask
) -> UInt8[np.ndarray, "rows columns"]:
    """Cut out the part of an image around a mask, with margins of half its size."""
    scale = max(original.shape) / SEARCH_SIDE
    box = bounding_box(mask)
    margin = longer_side(mask) / 2
    crop = []
    for part, side, mask_side in zip(box, original.shape, mask.shape, strict=True):
        cut = (side / scale - mask_side) / 2  # by `remove_lines`
        first = max(0.0, (part.start + cut - margin) * scale)
        crop.append(slice(int(first), int((part.stop + cut + margin) * scale)))
    return original[crop[0], crop[1]]


def cut_out(ink: Ink, mask: Mask) -> OtherInk:
    """Cut out the digit, without the ink of other strokes."""
    digit = ndimage.binary_dilation(mask, EIGHT_NEIGHBOURS)
    return np.where(digit, ink, 0)[bounding_box(digit)].astype(np.float32)


def undo_stretching(digit: OtherInk, ink: Ink) -> Float[np.ndarray, "_ _"]:
    """Make a digit narrower if it touches all four borders of a square image.

    Such images were stretched, as in USPS: their proportions are lost, and most digits
    are taller than they are wide.
    """
    inked = ink > 0.1 * ink.max()
    borders = (inked[0], inked[-1], inked[:, 0], inked[:, -1])
    if ink.shape[0] != ink.shape[1] or not all(border.any() for border in borders):
        return digit
    height, width = (2 * side for side in digit.shape)  # enlarged, to keep the details
    size = (round(TYPICAL_ASPECT * width), height)
    return np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BILINEAR))


def fit_to_box(digit: Ink, *, edge: float) -> OtherMask:
    """Scale a digit to the box, at FINE pixels per pixel, and return its strokes.

    Strokes are the pixels with more ink than `edge` or, if there are none, with the
    most ink.
    """
    fine = scale_to_box(digit)
    return fine > min(edge, 0.9 * float(fine.max()))


def adjust_width(strokes: Mask) -> OtherMask:
    """Thicken or thin strokes whose mean width is outside of STROKE_WIDTHS.

    Across a stroke, the mean distance to its edge is a quarter of its width.
    """
    strokes = np.pad(strokes, 2 * FINE)
    inside = ndimage.distance_transform_edt(strokes)
    width = 4 * float(inside.sum() / strokes.sum()) / FINE  # pixels of the box
    growth = (float(np.clip(width, *STROKE_WIDTHS)) - width) * FINE / 2  # per side
    if growth > 0:
        return np.asarray(ndimage.distance_transform_edt(~strokes) <= growth)
    thinner = inside > -growth
    return np.asarray(thinner) if thinner.any() else strokes


def downsample(strokes: Mask) -> OtherInk:
    """Scale strokes to the box again, and average FINE x FINE pixels to one."""
    fine = scale_to_box(strokes[bounding_box(strokes)].astype(np.float32))
    missing = [-side % FINE for side in fine.shape]  # to a multiple of FINE
    fine = np.pad(fine, [(pixels // 2, pixels - pixels // 2) for pixels in missing])
    rows, columns = (side // FINE for side in fine.shape)
    return np.asarray(fine.reshape(rows, FINE, columns, FINE).mean(axis=(1, 3)))


def centre_by_mass(digit: Ink) -> UInt8[np.ndarray, "28 28"]:
    """Place a digit so that its center of mass is at pixel (14, 14), as in MNIST."""
    levels = np.round(255 * digit)  # integers, so that the mass is exact
    padding = []
    centre = ndimage.center_of_mass(levels.astype(np.float64))
    for position, side in zip(centre, digit.shape, strict=True):
        before = min(max(round(SIDE / 2 - position), 0), SIDE - side)
        padding.append((before, SIDE - side - before))
    return np.pad(levels, padding).astype(np.uint8)


def count_digits(mask: Mask) -> int:
    """Count the digits that are side by side, with a gap between them.

    Strokes above one another belong to one digit. A part counts if it has at least 0.6
    of the height and 0.25 of the area of the largest part; pieces of a broken stroke
    are smaller. This detects 98.5% of pairs of MNIST's test digits, and splits none of
    the 10,000 single ones.
    """
    labels, _ = ndimage.label(mask.any(axis=0))
    parts = [mask[:, columns] for (columns,) in ndimage.find_objects(labels)]
    heights = np.array([np.ptp(np.flatnonzero(part.any(axis=1))) + 1 for part in parts])
    areas = np.array([part.sum() for part in parts])
    large = (heights >= 0.6 * heights.max()) & (areas >= 0.25 * areas.max())
    return int(large.sum())


def is_drawn(shapes: Mask, mask: Mask, strokes: OtherMask) -> bool:
    """Return whether a pen can have drawn a digit.

    Noise has longer outlines than digits and, except in photographs, more pieces;
    clothes have thicker shapes; a horizontal line is too wide. The limits of outline
    and thickness depend on the size in pixels, because coarse outlines have fewer
    corners and thin strokes of a few pixels seem thick. The limit of pieces depends on
    it as well: 99% of MNIST's digits have one piece, and almost none has three.
    `shapes` are all strokes of the image, `mask` those of the digit, and `strokes` the
    digit in the box.
    """
    side = longer_side(mask)
    _, pieces = ndimage.label(shapes, EIGHT_NEIGHBOURS)
    padded = np.pad(mask, 1)
    outline = sum((part[1:] != part[:-1]).sum() for part in (padded, padded.T))
    thickness = ndimage.distance_transform_edt(np.pad(strokes, 1)).max() / FINE
    height, width = strokes.shape
    return bool(
        (1 if is_photo(shapes) else pieces) <= side / MIN_SIDE_PER_PIECE
        and outline <= min(MAX_OUTLINE, 5 + 3 * side / 16) * side
        and thickness <= max(MAX_THICKNESS, 3 * BOX / side)
        and width <= MAX_ASPECT * height
    )


def scale_to_box(digit: Ink) -> OtherInk:
    """Scale a digit to the box, at FINE pixels per pixel, with a triangle filter."""
    scale = BOX * FINE / max(digit.shape)
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    size, triangle = (width, height), Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(digit).resize(size, triangle))


def bounding_box(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns that contain a mask; empty slices if it is empty."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    return boxes[0] if boxes else (slice(0, 0), slice(0, 0))


def longer_side(mask: Mask) -> int:
    """Return the height or the width of a mask, whichever is larger, in pixels."""
    return int(max(mask[bounding_box(mask)].shape))


def _to_bytes(values: Float[np.ndarray, "h w"] | Mask) -> UInt8[np.ndarray, "h w"]:
    return np.asarray((255 * values).round(), np.uint8)
