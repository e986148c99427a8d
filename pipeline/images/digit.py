"""Step 4 of the preprocessing: ink -> the strokes of the digit, and what they show."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from scipy import ndimage

from pipeline.images import constants, unsure
from pipeline.images.ink import Ink, Levels, borders, noise_limit

EIGHT_NEIGHBORS = np.ones((3, 3), bool)

Mask = Bool[np.ndarray, "h w"]
Pixels = tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]  # rows, columns


@dataclass(frozen=True, eq=False)
class Strokes:
    """The strokes that were found in an image, or in a part of it."""

    ink: Ink
    shapes: Mask  # all strokes
    digit: Mask  # the strokes of the digit; none in an image without a digit


def find_strokes(ink: Ink, *, least: float) -> Mask:
    """Return the pixels with more ink than a threshold.

    The threshold is half the mean ink of these pixels, and is found by iteration.

    Args:
        ink: The ink of an image.
        least: The ink that noise and uneven paper can cause. If no pixel has far more
            ink than `least`, there is no stroke.
    """
    candidates = ink[ink > least]
    if not candidates.size:
        return np.zeros(ink.shape, bool)
    most = float(np.quantile(candidates, constants.INK_QUANTILE))
    if most < constants.MIN_CONTRAST * least:
        return np.zeros(ink.shape, bool)
    level = most / 2
    for _ in range(constants.THRESHOLD_STEPS):
        level = max(float(candidates[candidates > level].mean()) / 2, least)
    return np.asarray(ink > level)


def remove_border_blobs(mask: Mask, outside: Mask | None = None) -> Mask:
    """Remove the blobs at the border of a photograph, such as a table or a shadow.

    These blobs are kept if no other blob has the size of a digit.

    Args:
        mask: The strokes.
        outside: The pixels outside the sheet of paper, if there is a sheet. The edges
            of the sheet are a border too.
    """
    labels, number = ndimage.label(mask, EIGHT_NEIGHBORS)
    border = {*np.concatenate(borders(labels))}
    sheet: tuple[int, ...] = mask.shape
    if outside is not None:
        border |= {*labels[next_to(outside)]}
        sheet = mask[bounding_box(~outside)].shape
    inside = np.array([label not in border for label in range(number + 1)])
    least = min(sheet) / constants.SIDE_TO_INNER_DIGIT
    boxes = ndimage.find_objects(labels * inside[labels])
    if not any(box and max(labels[box].shape) >= least for box in boxes):
        return mask
    return np.asarray(inside[labels] & mask)


def digit_among(shapes: Mask, outside: Mask | None) -> Mask:
    """Return the strokes of the digit; none if they reach the edge of the sheet.

    Args:
        shapes: All strokes.
        outside: The pixels outside the sheet of paper, if there is a sheet.
    """
    digit = remove_specks(remove_border_blobs(shapes, outside))
    if outside is not None and (digit & next_to(outside)).any():
        return np.zeros_like(digit)
    return digit


def stands_out(levels: Levels, ink: Ink, digit: Mask) -> bool:
    """Return whether faint strokes have far more ink than the noise around them.

    In dark parts of a photograph, the same noise is a larger fraction of the light.

    Args:
        levels: The gray levels, dark on light.
        ink: The ink.
        digit: The faint strokes. If there are none, the result is False.
    """
    if not digit.any():
        return False
    margin = longer_side(digit)  # more paper than strokes
    rows, columns = (
        slice(max(0, part.start - margin), part.stop + margin)
        for part in bounding_box(digit)
    )
    near = levels[rows, columns].astype(np.float32)
    light = ndimage.gaussian_filter(near, constants.BLUR)
    noise = noise_limit(light / max(float(light.mean()), 1))
    return bool(ink[digit].mean() > constants.MIN_CONTRAST * noise)


def find_flat(levels: Levels, ink: Ink, mask: Mask) -> Mask:
    """Return the blobs whose outline shows no change in brightness along some part.

    Near the curved edge of a shadow, shaded paper is compared with lit paper and counts
    as ink. Where this ink ends, the image does not become lighter. A stroke has an edge
    all around.

    Args:
        levels: The gray levels of a photograph, dark on light.
        ink: The ink of the photograph.
        mask: The strokes.
    """
    margin = 2 * constants.RING_DISTANCE
    box = tuple(
        slice(max(0, part.start - margin), part.stop + margin)
        for part in bounding_box(mask)
    )
    levels, ink, blobs = levels[box], ink[box], mask[box]  # fewer pixels take less time
    labels, number = ndimage.label(blobs, EIGHT_NEIGHBORS)
    ring, nearest = ring_around(blobs)
    is_end, has_edge = compare_ring(levels, ink, ring, nearest)
    blob = labels[nearest]
    ends, flat = (
        np.bincount(blob, each, number + 1) for each in (is_end, is_end & ~has_edge)
    )
    found = np.zeros_like(mask)
    found[box] = (flat > constants.MAX_FLAT * ends)[labels]
    return found


def has_soft_outline(levels: Levels, ink: Ink, mask: Mask) -> bool:
    """Return whether much of the outline of strokes has no edge nearby.

    Such an outline appears at the blurred edge of a shadow, where the ink changes
    slowly.

    Args:
        levels: The gray levels of a photograph, dark on light.
        ink: The ink of the photograph.
        mask: The strokes.
    """
    is_end, has_edge = compare_ring(levels, ink, *ring_around(mask))
    # If there is no ring, as in a very small image, nothing is soft.
    return bool((is_end & has_edge).sum() < constants.MIN_SHARP * is_end.size)


def ring_around(blobs: Mask) -> tuple[Mask, Pixels]:
    """Return the ring around blobs, and the blob pixel nearest to each ring pixel."""
    distances, indices = ndimage.distance_transform_edt(~blobs, return_indices=True)
    ring = np.abs(distances - constants.RING_DISTANCE) < 0.5
    rows, columns = indices[:, ring]
    return ring, (rows, columns)


def compare_ring(
    levels: Levels, ink: Ink, ring: Mask, nearest: Pixels
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Compare each pixel of a ring around strokes with the nearest stroke.

    Args:
        levels: The gray levels, dark on light.
        ink: The ink.
        ring: The ring.
        nearest: The pixel of a stroke that is nearest to each pixel of the ring.

    Returns:
        For each pixel of the ring, whether the ink ends between this pixel and the
        stroke, and whether the image becomes lighter there, as at an edge: by at least
        half as much as the ink implies.
    """
    less_ink = ink[nearest] - ink[ring]
    is_end = less_ink > ink[nearest] / 2  # the ring is not on another stroke
    light = ndimage.gaussian_filter(levels.astype(np.float32), constants.BLUR)
    # The lightest pixel nearby is paper, even if the ring crosses a line of the paper.
    paper = ndimage.maximum_filter(light, constants.RING_NEIGHBORS)[ring]
    step = 1 - light[nearest] / np.maximum(paper, 1) + noise_limit(ink)
    return is_end, step >= less_ink / 2


def next_to(outside: Mask) -> Mask:
    """Return the pixels that are outside the sheet or next to such a pixel."""
    return np.asarray(ndimage.binary_dilation(outside, EIGHT_NEIGHBORS))


def remove_specks(mask: Mask) -> Mask:
    """Keep the blobs that can be parts of a digit.

    Blobs that are small compared with the largest blob are removed. The limit is higher
    for blobs that are far from the largest blob. If the largest blob is as small as the
    grain of the paper, the mask becomes empty.
    """
    labels, number = ndimage.label(mask, EIGHT_NEIGHBORS)
    if not number:
        return mask
    areas = np.bincount(labels.ravel())[1:]  # 0 is the paper
    boxes = ndimage.find_objects(labels)
    largest = boxes[int(areas.argmax())]
    if max(labels[largest].shape) < max(mask.shape) / constants.SIDE_TO_DIGIT:
        return np.zeros_like(mask)  # only the grain of the paper
    reach = max(labels[largest].shape) * constants.MAX_GAP
    distant = np.array([_distance(box, largest) > reach for box in boxes])
    least = np.where(distant, constants.MIN_DISTANT_AREA, constants.MIN_AREA)
    kept = areas >= least * areas.max()
    return np.asarray(np.append(False, kept)[labels])


def _distance(box: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """Return the number of rows or columns between two boxes, whichever is larger."""
    pairs = zip(box, other, strict=True)
    return max(int(max(a.start - b.stop, b.start - a.stop)) for a, b in pairs)


def crop_around(
    original: UInt8[np.ndarray, "height width"], mask: Mask
) -> UInt8[np.ndarray, "rows columns"]:
    """Cut out the part of an image around a mask of any resolution.

    The margins have half the size of the masked part.
    """
    scale = max(original.shape) / max(mask.shape)
    box = bounding_box(mask)
    margin = longer_side(mask) * constants.SURROUNDINGS
    crop = []
    for part in box:
        first = max(0.0, (part.start - margin) * scale)
        crop.append(slice(int(first), int((part.stop + margin) * scale)))
    return original[crop[0], crop[1]]


def cut_out(ink: Ink, mask: Mask) -> Float[np.ndarray, "_ _"]:
    """Cut out the digit, without the ink of other strokes."""
    near = ndimage.binary_dilation(mask, EIGHT_NEIGHBORS)
    box = bounding_box(near)
    return np.where(near[box], ink[box], 0).astype(np.float32)


def is_stretched(ink: Ink) -> bool:
    """Return whether the ink of a small square image touches all four borders.

    An image like this was stretched, as in USPS. In a photograph, other ink can touch
    the borders.
    """
    inked = ink > max(constants.TOUCHING_INK * ink.max(), constants.FAINT_INK)
    touches_all = all(border.any() for border in borders(inked))
    return touches_all and ink.shape[0] == ink.shape[1]


def narrow(digit: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "_ _"]:
    """Make a stretched digit narrower.

    The true proportions are lost, but most digits are taller than they are wide.
    """
    height, width = (constants.ENLARGED * side for side in digit.shape)
    size = (round(constants.TYPICAL_ASPECT * width), height)
    return np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BILINEAR))


def finding_of_photo(
    strokes: Strokes, *, flat: Mask, has_uniform_border: bool
) -> unsure.Finding:
    """Return why a photograph is not a single digit with paper around it, or "".

    Args:
        strokes: The strokes in the photograph.
        flat: The strokes that can be shadows; see `find_flat`.
        has_uniform_border: Whether strokes may reach the border; see `Scene`.
    """
    mask = strokes.digit
    if (flat & mask).sum() > constants.MAX_SHADOW * mask.sum():
        return "shadow"
    lines = borders(mask)
    if np.concatenate(lines).any() and not has_uniform_border:
        ends = [end for line in lines for end in (line, line[::-1])]
        along = max(np.logical_and.accumulate(end).mean() for end in ends)
        return unsure.border_finding(along=float(along))
    labels, _ = ndimage.label(strokes.shapes, EIGHT_NEIGHBORS)
    areas = np.bincount(labels.ravel())[1:]  # 0 is the paper
    largest = int(np.bincount(labels[mask], minlength=1).max())
    shows_many = unsure.shows_many(areas, largest=largest)
    shows_two = not has_uniform_border and mask.any() and shows_second(labels, mask)
    return "several objects" if shows_many or shows_two else ""


def shows_second(labels: Int[np.ndarray, "h w"], mask: Mask) -> bool:
    """Return whether a large shape, such as a pen, lies apart from a digit.

    The distance is measured from the largest shape of the digit. Shapes at the border
    of the photograph do not count.

    Args:
        labels: The number of the shape at each pixel; 0 is the paper.
        mask: The strokes of the digit.
    """
    boxes = ndimage.find_objects(labels)
    digit = boxes[int(np.bincount(labels[mask]).argmax()) - 1]
    at_border = {*np.concatenate(borders(labels))}
    return any(
        unsure.is_second(
            height=box[0].stop - box[0].start,
            distance=_distance(box, digit),
            side=max(labels[digit].shape),
        )
        for label, box in enumerate(boxes, 1)
        if label not in at_border
    )


def finding_of(mask: Mask, box: Bool[np.ndarray, "rows columns"]) -> unsure.Finding:
    """Return why strokes are not a single digit, or "" if they are one digit.

    Args:
        mask: The strokes.
        box: The strokes in the box, at FINE pixels per pixel.
    """
    widest = int(unsure.MAX_BREAK * longer_side(mask))  # gap between two rows
    for axis, gap in ((0, 0), (1, widest)):  # side by side, and one above the other
        lines = ndimage.maximum_filter1d(mask.any(axis=axis), 1 + gap)
        numbers, _ = ndimage.label(lines)
        parts = mask * np.expand_dims(numbers, axis)
        heights = [rows.stop - rows.start for rows, _ in ndimage.find_objects(parts)]
        areas = np.bincount(parts.ravel())[1:]  # 0 is the paper
        if unsure.count_digits(np.array(heights), areas) > 1:
            return "several objects"
    padded = np.pad(mask, 1)
    outline = sum((part[1:] != part[:-1]).sum() for part in (padded, padded.T))
    depth = ndimage.distance_transform_edt(np.pad(box, 1))
    height, width = box.shape
    is_usual = unsure.has_usual_strokes(
        side=longer_side(mask),
        outline=int(outline),
        thickness=float(depth.max()) / constants.FINE,
        aspect=width / height,
    )
    return "" if is_usual else "unusual"


def bounding_box(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns that contain a mask; empty slices if it is empty."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    return boxes[0] if boxes else (slice(0, 0), slice(0, 0))


def longer_side(mask: Mask) -> int:
    """Return the height or the width of a mask, whichever is larger, in pixels."""
    return int(max(mask[bounding_box(mask)].shape))
