"""The preprocessing of an image: calls its steps, and decides where to search."""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

from pipeline.core import SIDE
from pipeline.images import constants, unsure
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
    next_to,
    remove_specks,
    remove_surroundings,
)
from pipeline.images.form import adjust_width, center_by_mass, downsample, fit_to_box
from pipeline.images.ink import (
    Ink,
    Levels,
    ink_of_photo,
    ink_of_small_image,
    noise_limit,
    reduce_to,
)
from pipeline.images.scene import Place, Scene, Steps
from pipeline.images.sheet import Outside
from pipeline.images.unsure import Finding, is_blank

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


def preprocess(original: UInt8[np.ndarray, "height width"]) -> Preprocessed:
    """Convert a digit of any size and kind to the form of MNIST's images.

    In an image with a side of more than 64 pixels, light and noise can vary: it is
    processed as a photograph. This takes 0.1 s, and 2 ms for a small image.

    Args:
        original: The gray levels of the image, dark on light or light on dark.

    Returns:
        The input of the network, which is blank without a digit, and how it was made.
    """
    if max(original.shape) <= constants.MAX_EVEN_SIDE:
        return _preprocess_small_image(original)
    return _preprocess_photo(Scene(original))


def _preprocess_small_image(levels: Levels) -> Preprocessed:
    """Search an evenly lit image without noise."""
    ink = ink_of_small_image(levels)
    shapes = find_strokes(ink, least=constants.MIN_INK)
    strokes = Strokes(ink, shapes, remove_specks(shapes))
    prepared = _put_in_form(levels, Found(strokes, {"gray levels": levels}))
    pieces = ndimage.label(shapes, EIGHT_NEIGHBORS)[1]
    if unsure.is_noise(pieces=pieces, side=longer_side(strokes.digit)):
        return prepared._replace(finding=prepared.finding or "not drawn")
    return prepared


def _preprocess_photo(scene: Scene) -> Preprocessed:
    """Search a photograph, with narrower windows if this does not find one digit.

    See `ink_of_photo`. A drawing has no shadows, so the first search is enough.
    """
    widest, *narrower = constants.WINDOW_PARTS
    first = _search_places(scene, parts=widest)
    if first.finding in ("", "no ink") or scene.is_drawing:
        return first
    findings = {first.finding}
    for parts in narrower:  # a wide window takes the curved edge of a shadow for ink
        again = _search_places(scene, parts=parts)
        if again.finding in ("", "no ink"):
            return again
        findings.add(again.finding)
    if findings == {"shadow"}:  # no window finds a stroke with an edge all around it
        return _nothing(first.steps, "no ink")
    return first


def _search_places(scene: Scene, *, parts: int) -> Preprocessed:
    """Search a photograph with windows of one size, on its sheet or everywhere.

    The first case that applies decides:

    ========================================  ==================================
    photograph                                result of the search
    ========================================  ==================================
    no sheet of paper is found                in the whole photograph
    strokes are found on the sheet            on the sheet
    a digit is found on the completed sheet   on the completed sheet
    nothing but the table is dark             on the sheet: nothing is found
    it is a drawing                           in the whole drawing
    a digit is found in the whole photograph  in the whole photograph
    any other                                 on the sheet: nothing is found
    ========================================  ==================================
    """
    if scene.sheet is None:
        return _search(scene, scene.whole, parts=parts)
    on_sheet = _search(scene, scene.sheet, parts=parts)
    if on_sheet.finding != "no ink":
        return on_sheet
    if scene.completed_sheet is not None:
        on_completed = _search(scene, scene.completed_sheet, parts=parts)
        if on_completed.finding not in ("no ink", "not drawn"):
            return on_completed
    # The sheet can also be the light side of a shadow's edge in a photograph without a
    # table, or a wide white stroke in a drawing.
    dark_ink = scene.whole.dark_ink
    if scene.sheet.dark_ink and not (scene.is_drawing or dark_ink):
        return on_sheet  # the paper would be ink on a dark table
    in_whole = _search(scene, scene.whole, parts=parts)
    is_digit = in_whole.finding in ("", "cut off", "shadow")
    return in_whole if scene.is_drawing or is_digit else on_sheet


def _search(scene: Scene, place: Place, *, parts: int) -> Preprocessed:
    """Search one place, and put what is found in MNIST's form."""
    return _put_in_form(scene.original, _find(place, parts=parts))


def _put_in_form(original: Levels, found: Found) -> Preprocessed:
    """Put the strokes of a digit in MNIST's form, and judge them; see `preprocess`."""
    strokes, mask = found.strokes, found.strokes.digit
    steps = {**found.steps, "ink": _to_bytes(strokes.ink)}
    if not mask.any():
        return _nothing(steps, "blank" if is_blank(original) else "no ink")
    digit = cut_out(strokes.ink, mask)
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
    finding = found.finding or judge(mask, box)
    return Preprocessed(centered, finding, steps)


def _nothing(steps: Steps, finding: Finding) -> Preprocessed:
    """Return a blank image, and the steps of the search that found no digit."""
    blank = np.zeros((SIDE, SIDE), np.uint8)
    searched = {name: image for name, image in steps.items() if name in SEARCH}
    return Preprocessed(blank, finding, searched)


def _find(place: Place, *, parts: int) -> Found:
    """Find the strokes in a place; the surroundings of a small digit in more detail."""
    levels = place.dark_on_light(place.reduced)
    find = partial(_find_strokes, is_drawing=place.is_drawing, parts=parts)
    strokes = find(levels, place.outside)
    if not strokes.digit.any():
        return Found(strokes, place.steps)
    # In the whole photograph: what reaches the border of its detail is not cut off.
    finding = judge_photo(levels, strokes, is_drawing=place.is_drawing)
    is_small = longer_side(strokes.digit) < constants.DETAIL_SIDE
    if is_small and place.reduced.shape != place.photo.shape:
        around = crop_around(place.photo, strokes.digit)
        around = reduce_to(around, constants.SEARCH_SIDE)
        # Reducing it less removes less noise, in which faint strokes can be lost.
        detailed = find(place.dark_on_light(around), None)
        if detailed.digit.any():
            steps = {**place.steps, "surroundings": around}
            return Found(detailed, steps, finding)
    return Found(strokes, place.steps, finding)


def _find_strokes(
    levels: Levels, outside: Outside | None, *, is_drawing: bool, parts: int
) -> Strokes:
    """Find the strokes in a photograph that was reduced, or in a part of it.

    If an image with little noise seems to be blank, faint strokes are searched for.
    """
    ink = ink_of_photo(levels, is_drawing=is_drawing, parts=parts)
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
    if outside is not None and (digit & next_to(outside)).any():
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
