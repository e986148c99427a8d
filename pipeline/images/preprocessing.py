"""The preprocessing of an image: calls its steps, and decides where to look."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

from pipeline.core import SIDE
from pipeline.images import constants
from pipeline.images.digit import (
    EIGHT_NEIGHBORS,
    Mask,
    Strokes,
    crop_around,
    cut_out,
    find_flat,
    find_strokes,
    judge,
    judge_photo,
    longer_side,
    near,
    remove_specks,
    remove_surroundings,
    undo_stretching,
)
from pipeline.images.form import adjust_width, center_by_mass, downsample, fit_to_box
from pipeline.images.ink import (
    Ink,
    Levels,
    has_dark_ink,
    has_uniform_border,
    ink_of_photo,
    ink_of_small_image,
    noise_limit,
    reduce_to,
)
from pipeline.images.sheet import (
    Outside,
    complete_sheet,
    find_outside,
    is_light,
    paint_outside,
    resized,
)
from pipeline.images.unsure import Finding, is_blank

Steps = Mapping[str, UInt8[np.ndarray, "_ _"]]  # the image after each step, in order
SEARCH = ("gray levels", "sheet", "surroundings", "ink")  # the steps without a digit


class Preprocessed(NamedTuple):
    """An image in the form of the network's input."""

    image: UInt8[np.ndarray, "28 28"]  # gray levels, white on black
    finding: Finding  # what the original shows that is not one digit, or ""
    steps: Steps


class Found(NamedTuple):
    """What was found in an image, before it is put in MNIST's form."""

    strokes: Strokes
    steps: Steps
    finding: Finding = ""  # why a photograph does not show a single digit, or ""
    pieces: int = 1  # separate strokes; 1 for a photograph, which can show other things


def preprocess(original: UInt8[np.ndarray, "height width"]) -> Preprocessed:
    """Convert a digit of any size and kind to the form of MNIST's images.

    In an image with a side of more than 64 pixels, light and noise can vary: it is
    processed as a photograph. This takes 0.1 s, and 2 ms for a small image. The first
    case that applies decides where the digit is searched for:

    ========================================  ==================================
    image                                     where
    ========================================  ==================================
    sides of at most 64 pixels                in the image, which is evenly lit
    no sheet of paper is found                in the whole photograph
    strokes are found on the sheet            on the sheet
    a digit is found on the completed sheet   on the completed sheet
    nothing but the table is dark             on the sheet: nothing is found
    the border is uniform: a drawing          in the whole drawing
    a digit is found in the whole photograph  in the whole photograph
    any other                                 on the sheet: nothing is found
    ========================================  ==================================

    If what is found in a photograph is not one digit, the search is repeated with
    narrower windows; see `ink_of_photo`.

    Args:
        original: The gray levels of the image, dark on light or light on dark.

    Returns:
        The input of the network, which is blank without a digit, and how it was made.
    """
    if max(original.shape) <= constants.MAX_EVEN_SIDE:
        return _put_in_form(original, _search_small_image(original))
    outside, (widest, *narrower) = find_outside(original), constants.WINDOW_PARTS
    found = _preprocess_photo(original, outside, parts=widest)
    if found.finding in ("", "no ink") or has_uniform_border(original):
        return found
    findings = {found.finding}
    for parts in narrower:  # a wide window takes the curved edge of a shadow for ink
        again = _preprocess_photo(original, outside, parts=parts)
        if again.finding in ("", "no ink"):
            return again
        findings.add(again.finding)
    if findings == {"shadow"}:  # no window finds a stroke with an edge all around it
        return _nothing(found.steps, "no ink")
    return found


def _preprocess_photo(
    original: Levels, outside: Outside | None, *, parts: int
) -> Preprocessed:
    """Search a photograph, or a drawing of its size, where `preprocess` lists."""
    if outside is None:
        return _put_in_form(original, _search_photo(original, parts=parts))
    dark_ink = is_light(original, outside)
    found = _search_photo(original, outside, dark_ink=dark_ink, parts=parts)
    on_sheet = _put_in_form(original, found)
    if on_sheet.finding != "no ink":
        return on_sheet
    # The sheet is empty, or only a part of it was found: the border of the image cuts
    # off the digit, or the edge of a shadow divides it.
    if (completed := complete_sheet(original, outside)) is not None:
        found = _search_photo(original, completed, dark_ink=dark_ink, parts=parts)
        on_completed = _put_in_form(original, found)
        if on_completed.finding not in ("no ink", "not drawn"):
            return on_completed
    # The sheet can also be the light side of a shadow's edge in a photograph without a
    # table, or a wide white stroke in a drawing.
    is_drawing = has_uniform_border(original)
    if dark_ink and not (is_drawing or has_dark_ink(original)):
        return on_sheet  # the paper would be ink on a dark table
    in_whole = _put_in_form(original, _search_photo(original, parts=parts))
    is_digit = in_whole.finding in ("", "cut off", "shadow")
    return in_whole if is_drawing or is_digit else on_sheet


def _put_in_form(original: Levels, found: Found) -> Preprocessed:
    """Put the strokes of a digit in MNIST's form, and judge them; see `preprocess`."""
    strokes, mask = found.strokes, found.strokes.digit
    steps = {**found.steps, "ink": _to_bytes(strokes.ink)}
    if not mask.any():
        return _nothing(steps, "blank" if is_blank(original) else "no ink")
    digit = undo_stretching(cut_out(strokes.ink, mask), strokes.ink)
    edge = constants.STROKE_END * float(np.median(strokes.ink[mask]))
    box = fit_to_box(digit, edge=edge)  # the longer side has BOX * FINE = 80 pixels
    adjusted = adjust_width(box)  # with margins of 2 * FINE pixels
    centered = center_by_mass(downsample(adjusted))  # (28, 28)
    steps |= {
        "digit": _to_bytes(digit),
        "box": _to_bytes(box),
        "stroke": _to_bytes(adjusted),
        "centered": centered,
    }
    finding = found.finding or judge(mask, box, pieces=found.pieces)
    return Preprocessed(centered, finding, steps)


def _nothing(steps: Steps, finding: Finding) -> Preprocessed:
    """Return a blank image, and the steps of the search that found no digit."""
    blank = np.zeros((SIDE, SIDE), np.uint8)
    searched = {name: image for name, image in steps.items() if name in SEARCH}
    return Preprocessed(blank, finding, searched)


def _search_small_image(levels: Levels) -> Found:
    """Find the strokes in an evenly lit image without noise."""
    ink = ink_of_small_image(levels)
    shapes = find_strokes(ink, least=constants.MIN_INK)
    pieces = ndimage.label(shapes, EIGHT_NEIGHBORS)[1]
    strokes = Strokes(ink, shapes, remove_specks(shapes))
    return Found(strokes, {"gray levels": levels}, pieces=pieces)


def _search_photo(
    photo: UInt8[np.ndarray, "height width"],
    outside: Outside | None = None,
    *,
    dark_ink: bool = False,
    parts: int,
) -> Found:
    """Find the strokes in a photograph, or in a drawing of its size.

    The surroundings of a small digit are searched in more detail.

    Args:
        photo: The gray levels.
        outside: What is not on the sheet of paper, if there is one. What touches it is
            not a digit.
        dark_ink: Whether the ink is known to be darker than the paper.
        parts: See `ink_of_photo`.
    """
    levels = reduce_to(photo, constants.SEARCH_SIDE)  # (h, w), at most 400
    steps = {"gray levels": levels}
    if outside is not None:
        photo = paint_outside(photo, outside)
        steps["sheet"] = levels = reduce_to(photo, constants.SEARCH_SIDE)
        outside = resized(outside, levels.shape)
    strokes = _search_levels(levels, outside, dark_ink=dark_ink, parts=parts)
    if not strokes.digit.any():
        return Found(strokes, steps)
    # In the whole photograph: what reaches the border of its detail is not cut off.
    finding = judge_photo(levels, strokes)
    is_small = longer_side(strokes.digit) < constants.DETAIL_SIDE
    if levels.shape != photo.shape and is_small:
        around = crop_around(photo, strokes.digit)
        around = reduce_to(around, constants.SEARCH_SIDE)
        # Reducing it less removes less noise, in which faint strokes can be lost.
        detailed = _search_levels(around, None, dark_ink=dark_ink, parts=parts)
        if detailed.digit.any():
            strokes, steps["surroundings"] = detailed, around
    return Found(strokes, steps, finding)


def _search_levels(
    levels: Levels, outside: Outside | None, *, dark_ink: bool, parts: int
) -> Strokes:
    """Find the strokes in a photograph that was reduced, or in a part of it.

    If an image with little noise seems to be blank, faint strokes are searched for.
    """
    ink = ink_of_photo(levels, dark_ink=dark_ink, parts=parts)
    noise = noise_limit(ink)
    if outside is not None:
        ink[outside] = 0
    if parts > constants.WINDOW_PARTS[0]:
        # In a narrow window, what is left of a shadow is separate from the strokes.
        shapes = find_strokes(ink, least=constants.MIN_INK + noise)
        if shapes.any():
            ink[find_flat(levels, ink, shapes)] = 0
    strokes = _select(ink, outside, least=constants.MIN_INK + noise)
    if strokes.digit.any() or noise > constants.FAINT_NOISE:
        return strokes
    ink = ndimage.gaussian_filter(ink, constants.FAINT_BLUR)
    return _select(ink, outside, least=constants.FAINT_INK + noise_limit(ink))


def _select(ink: Ink, outside: Outside | None, *, least: float) -> Strokes:
    shapes = find_strokes(ink, least=least)
    digit = remove_specks(remove_surroundings(shapes, outside))
    if outside is not None and (digit & near(outside)).any():
        digit = np.zeros_like(digit)
    return Strokes(ink, shapes, digit)


def resize(levels: Levels) -> Preprocessed:
    """Resize an image to 28x28 pixels without any other change; see `preprocess`."""
    small = levels
    if levels.shape != (SIDE, SIDE):
        image = Image.fromarray(levels)
        small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
    return Preprocessed(small, "blank" if is_blank(small) else "", {"image": small})


def _to_bytes(values: Float[np.ndarray, "h w"] | Mask) -> UInt8[np.ndarray, "h w"]:
    return np.asarray((255 * values).round(), np.uint8)
