"""The preprocessing of an image: calls its steps, and decides where to search."""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

from pipeline.core import SIDE, WHITE
from pipeline.images import constants, unsure
from pipeline.images.digit import (
    EIGHT_NEIGHBORS,
    Mask,
    Strokes,
    crop_around,
    cut_out,
    digit_among,
    find_flat,
    find_strokes,
    finding_of,
    finding_of_photo,
    has_soft_outline,
    is_stretched,
    longer_side,
    narrow,
    remove_specks,
    stands_out,
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
from pipeline.images.scene import Region, Scene, Steps
from pipeline.images.sheet import Outside
from pipeline.images.unsure import Finding, is_blank


class Preprocessed(NamedTuple):
    """An image in the form of the network's input."""

    image: UInt8[np.ndarray, "28 28"]  # gray levels, white on black
    finding: Finding  # why the original does not show exactly one digit; "" if it does
    steps: Steps


class Found(NamedTuple):
    """The result of a search."""

    finding: Finding  # why the search did not find exactly one digit; "" if it did
    searched: Steps  # the images in which the search took place
    ink: Ink
    formed: Steps  # the steps that put a digit in MNIST's form; none without a digit
    # Whether there is a finding, and the ink can be a shadow.
    has_shadow: bool = False


def preprocess(original: UInt8[np.ndarray, "height width"]) -> Preprocessed:
    """Convert a digit of any size and kind to the form of MNIST's images.

    An image with a side of more than 64 pixels is processed as a photograph, in which
    light and noise can vary. A photograph takes 0.1 s, and a small image takes 2 ms.

    Args:
        original: The gray levels of the image, dark on light or light on dark.

    Returns:
        The input of the network, which is blank if no digit was found, and the steps of
        the preprocessing.
    """
    if max(original.shape) <= constants.MAX_EVEN_SIDE:
        found = _search_small_image(original)
    else:
        found = _try_windows(Scene(original))
    finding = "blank" if is_blank(original) else found.finding
    image = found.formed.get("centered", np.zeros((SIDE, SIDE), np.uint8))
    steps = {**found.searched, "ink": _to_bytes(found.ink), **found.formed}
    return Preprocessed(image, finding, steps)


def _search_small_image(levels: Levels) -> Found:
    """Search an evenly lit image without noise."""
    ink = ink_of_small_image(levels)
    shapes = find_strokes(ink, least=constants.MIN_INK)
    strokes = Strokes(ink, shapes, remove_specks(shapes))
    searched = {"gray levels": levels}
    if not strokes.digit.any():
        return Found("no ink", searched, ink, {})
    finding, formed = _put_in_form(strokes, stretched=is_stretched(ink))
    pieces = ndimage.label(shapes, EIGHT_NEIGHBORS)[1]
    if unsure.is_noise(pieces=pieces, side=longer_side(strokes.digit)):
        finding = finding or "unusual"
    return Found(finding, searched, ink, formed)


def _try_windows(scene: Scene) -> Found:
    """Search a photograph, with narrower windows if a shadow can be a part of the ink.

    With a wide window, the curved edge of a shadow counts as ink. With a narrow window,
    bold strokes count as paper; see `ink_of_photo`.
    """
    widest, *narrower = constants.WINDOWS_PER_SIDE
    first = _try_regions(scene, windows_per_side=widest)
    if not first.has_shadow:
        return first
    results = [first]
    for windows_per_side in narrower:
        again = _try_regions(scene, windows_per_side=windows_per_side)
        if again.finding in unsure.ONE_OR_NONE:
            return again
        results.append(again)
    # No window finds a stroke that has an edge all around.
    if all(found.finding == "shadow" for found in results):
        return Found("no ink", first.searched, first.ink, {})
    return first


def _try_regions(scene: Scene, *, windows_per_side: int) -> Found:
    """Search a photograph with windows of one size, on its sheet or everywhere.

    The first case that applies decides:

    ========================================  ==================================
    photograph                                result of the search
    ========================================  ==================================
    no sheet of paper is found                in the whole photograph
    strokes are found on the sheet            on the sheet
    digits are found on the completed sheet   on the completed sheet
    nothing but the table is dark             on the sheet: nothing is found
    its border is uniform                     in the whole image
    digits are found in the whole photograph  in the whole photograph
    any other                                 on the sheet: nothing is found
    ========================================  ==================================

    *Digits* are `DIGITS` in `unsure.py`.
    """
    search = partial(_search, scene, windows_per_side=windows_per_side)
    if scene.sheet is None:
        return search(scene.whole)
    on_sheet = search(scene.sheet)
    if on_sheet.finding not in unsure.WITHOUT_INK:
        return on_sheet
    if scene.completed_sheet is not None:
        on_completed = search(scene.completed_sheet)
        if on_completed.finding in unsure.DIGITS:
            return on_completed
    # The sheet can also be the light side of a shadow's edge in a photograph without a
    # table, or a wide white stroke in a drawing.
    is_uniform, dark_ink = scene.has_uniform_border, scene.whole.dark_ink
    if scene.sheet.dark_ink and not (is_uniform or dark_ink):
        return on_sheet  # in the whole image, the paper would be ink on a dark table
    in_whole = search(scene.whole)
    is_digit = in_whole.finding in unsure.DIGITS
    return in_whole if is_uniform or is_digit else on_sheet


def _search(scene: Scene, region: Region, *, windows_per_side: int) -> Found:
    """Search one region, and the surroundings of a small digit in more detail."""
    is_uniform = scene.has_uniform_border
    find = partial(
        _find_strokes, is_evenly_lit=is_uniform, windows_per_side=windows_per_side
    )
    levels = region.dark_on_light(region.reduced)
    strokes = find(levels, region.outside)
    if not strokes.digit.any():
        return Found("no ink", region.steps, strokes.ink, {})
    # The whole photograph is checked: a stroke that reaches the border of the detailed
    # image is not cut off.
    flat = np.zeros_like(strokes.digit)  # a drawing has no shadows
    if not is_uniform:
        flat = find_flat(levels, strokes.ink, strokes.shapes)
    finding = finding_of_photo(strokes, flat=flat, has_uniform_border=is_uniform)
    best, searched = strokes, region.steps
    is_small = longer_side(strokes.digit) < constants.DETAIL_SIDE
    if is_small and region.reduced.shape != region.photo.shape:
        around = crop_around(region.photo, strokes.digit)
        around = reduce_to(around, constants.SEARCH_SIDE)
        # A smaller reduction removes less noise, in which faint strokes can be lost.
        detailed = find(region.dark_on_light(around), None)
        if detailed.digit.any():
            best, searched = detailed, {**searched, "surroundings": around}
    digit_finding, formed = _put_in_form(best)
    found = Found(finding or digit_finding, searched, best.ink, formed)
    if not found.finding or is_uniform:
        return found
    is_soft = has_soft_outline(levels, strokes.ink, strokes.shapes)
    return found._replace(has_shadow=is_soft or bool(flat.any()))


def _find_strokes(
    levels: Levels,
    outside: Outside | None,
    *,
    is_evenly_lit: bool,
    windows_per_side: int,
) -> Strokes:
    """Find the strokes in a reduced photograph, or in a part of a photograph.

    If an image with little noise seems to be blank, the function searches for faint
    strokes.
    """
    ink = ink_of_photo(
        levels, is_evenly_lit=is_evenly_lit, windows_per_side=windows_per_side
    )
    noise = noise_limit(ink)
    if outside is not None:
        ink[outside] = 0
    least = constants.MIN_INK + noise
    shapes = find_strokes(ink, least=least)
    if windows_per_side > constants.WINDOWS_PER_SIDE[0] and shapes.any():
        # In a narrow window, the rest of a shadow is separate from the strokes.
        ink[find_flat(levels, ink, shapes)] = 0
        shapes = find_strokes(ink, least=least)
    digit = digit_among(shapes, outside)
    if digit.any() or noise > constants.FAINT_NOISE:
        return Strokes(ink, shapes, digit)
    ink = ndimage.gaussian_filter(ink, constants.FAINT_BLUR)
    shapes = find_strokes(ink, least=constants.FAINT_INK + noise_limit(ink))
    digit = digit_among(shapes, outside)
    if not stands_out(levels, ink, digit):
        shapes = digit = np.zeros_like(digit)
    return Strokes(ink, shapes, digit)


def _put_in_form(strokes: Strokes, *, stretched: bool = False) -> tuple[Finding, Steps]:
    """Put the strokes of a digit in MNIST's form, and check the strokes."""
    mask = strokes.digit
    digit = cut_out(strokes.ink, mask)
    if stretched:
        digit = narrow(digit)
    edge = constants.STROKE_END * float(np.median(strokes.ink[mask]))
    box = fit_to_box(digit, edge=edge)  # the longer side has BOX * FINE = 80 pixels
    adjusted = adjust_width(box)  # adds margins of 2 * FINE pixels
    centered = center_by_mass(downsample(adjusted))  # (28, 28)
    steps = {
        "digit": _to_bytes(digit),
        "box": _to_bytes(box),
        "stroke": _to_bytes(adjusted),
        "centered": centered,
    }
    return finding_of(mask, box), steps


def resize(levels: Levels) -> Preprocessed:
    """Resize an image to 28x28 pixels without any other change; see `preprocess`."""
    small = levels
    if levels.shape != (SIDE, SIDE):
        image = Image.fromarray(levels)
        small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
    return Preprocessed(small, "blank" if is_blank(small) else "", {"image": small})


def _to_bytes(values: Float[np.ndarray, "h w"] | Mask) -> UInt8[np.ndarray, "h w"]:
    return np.asarray((WHITE * values).round(), np.uint8)
