"""Step 3 of the preprocessing: gray levels -> ink, from 0 (paper) to 1 (full ink).

The paper can be unevenly lit, ruled, black, or graph paper. `digit` finds the digit in
the result.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image, ImageFilter
from scipy import ndimage

from pipeline.core import WHITE
from pipeline.images import constants

Levels = UInt8[np.ndarray, "h w"]
Ink = Float[np.ndarray, "h w"]


def ink_of_small_image(levels: Levels) -> Ink:
    """Return the ink of an image that is evenly lit and has little noise."""
    if not is_dark_on_light(levels, paper_of=np.median):
        levels = WHITE - levels
    return _absorption(levels.astype(np.float32), window=max(levels.shape) // 2 + 1)


def ink_of_photo(levels: Levels, *, is_evenly_lit: bool, windows_per_side: int) -> Ink:
    """Return the ink of a photograph, without the lines of graph or ruled paper.

    The result is the minimum of two estimates. With uneven light, an estimate from the
    raw image has errors at the borders. An estimate from the image divided by its
    brightness trend has errors at the edges of shadows.

    Args:
        levels: The gray levels, dark on light.
        is_evenly_lit: Whether the light does not vary, as in a drawing.
        windows_per_side: The longer side of the photograph, divided by the side of the
            window in which a pixel is compared with the paper. It has no effect on an
            evenly lit image.
    """
    light = ndimage.gaussian_filter(levels.astype(np.float32), constants.BLUR)
    if is_evenly_lit:
        return remove_lines(_absorption(light, window=max(light.shape) // 2 + 1))
    flattened = light * (np.median(light) / np.maximum(_brightness_trend(light), 1))
    window, narrowest = (
        max(light.shape) // number
        for number in (windows_per_side, constants.WINDOWS_PER_SIDE[-1])
    )
    estimates = [
        _absorption(image, window=window, near_shadows=narrowest)
        for image in (light, flattened)
    ]
    # The closing returns the lightest paper. Because of noise, the median is darker.
    estimates = [ink - min(np.median(ink), noise_limit(ink)) for ink in estimates]
    return remove_lines(np.minimum(*estimates).clip(0, 1))


def reduce_to(levels: Levels, side: int) -> UInt8[np.ndarray, "rows columns"]:
    """Shrink an image so that its longer side has at most this many pixels."""
    image = Image.fromarray(levels)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image)


def has_dark_ink(levels: Levels) -> bool:
    """Return whether the ink in a photograph is darker than the paper around it."""
    return is_dark_on_light(levels, paper_of=_local_median)


def is_dark_on_light(levels: Levels, *, paper_of: Callable[..., Any]) -> bool:
    """Return whether the ink is darker than the paper.

    The ink covers less area than the paper. Therefore, the differences from the paper
    are skewed toward the ink, and the sum of their cubes has the sign of the ink. A
    digit can fill the image, so the image is first padded with its border pixels, which
    are mostly paper.

    Args:
        levels: The gray levels.
        paper_of: A function that returns the gray level of the paper, for the whole
            image or for each pixel.
    """
    height, width = levels.shape
    padded = np.pad(levels, ((height // 2,) * 2, (width // 2,) * 2), "edge")
    difference = padded.astype(np.float32) - paper_of(padded)
    # NumPy computes ** 3 with the function of any power, which takes 100 times as long.
    return float((difference * difference * difference).sum()) <= 0


def _local_median(levels: Levels) -> Levels:
    """Return the median of the surroundings of each pixel.

    Only the median is computed from a reduced image. In a reduced image, the lines of
    ruled paper can be wider than the gaps between the lines.
    """
    # Pillow's filter is faster than SciPy's.
    median = ImageFilter.MedianFilter(constants.POLARITY_WINDOW)
    small = Image.fromarray(reduce_to(levels, constants.POLARITY_SIDE)).filter(median)
    return np.asarray(small.resize(levels.shape[::-1], Image.Resampling.BILINEAR))


def borders(array: Shaped[np.ndarray, "h w"]) -> list[Shaped[np.ndarray, " _"]]:
    """Return views of the four borders: top, bottom, left and right."""
    return [array[0], array[-1], array[:, 0], array[:, -1]]


def _absorption(
    light: Float[np.ndarray, "h w"], *, window: int, near_shadows: int | None = None
) -> Ink:
    """Compare each pixel with the paper: a closing with a window wider than strokes.

    At the corner of a shadow, a wide window contains only lit paper, and shaded paper
    would count as ink. Therefore, if a shadow is at most a window away, the paper is as
    dark as the shadow, unless a narrow window shows lighter paper.

    Args:
        light: The brightness.
        window: The side of the window, in pixels.
        near_shadows: The side of the narrow window, which changes nothing if it is
            `window`. None if there are no shadows.
    """
    paper = _closing(light, window)
    if near_shadows is not None and near_shadows < window:
        shaded = ndimage.minimum_filter(paper, 2 * window)
        paper = np.maximum(shaded, _closing(light, near_shadows))
    return np.asarray((paper - light) / np.maximum(paper, 1))


def _closing(light: Float[np.ndarray, "h w"], window: int) -> Float[np.ndarray, "h w"]:
    """Remove everything that is dark and narrower than a window."""
    filled = ndimage.maximum_filter(light, window)
    return np.asarray(ndimage.minimum_filter(filled, window))


def _brightness_trend(light: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Fit a paraboloid to the brightness of the paper: a gradient and a vignette."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in light.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    step = max(1, max(light.shape) // constants.TREND_SAMPLES)
    sampled = terms[::step, ::step].reshape(-1, 6)
    values = light[::step, ::step].ravel()
    residuals = values - np.median(values)
    for _ in range(constants.TREND_FITS):  # excludes ink, and reflections
        spread = max(constants.MAD_TO_STD * float(np.median(np.abs(residuals))), 1)
        lowest, highest = (limit * spread for limit in constants.TREND_RANGE)
        paper = (residuals > lowest) & (residuals < highest)
        coefficients = np.linalg.lstsq(sampled[paper], values[paper])[0]
        residuals = values - sampled @ coefficients
    return np.asarray(terms @ coefficients, np.float32)


def noise_limit(ink: Ink) -> float:
    """Return the ink level that noise on paper rarely exceeds.

    The standard deviation of the noise is estimated from pairs of pixels that are so
    far apart that a blur does not connect them. The median of their absolute
    differences is 0.6745 sqrt(2) = 1 / 1.05 times the standard deviation.
    """
    distance = constants.NOISE_DISTANCE
    differences = np.abs(ink[:, distance:] - ink[:, :-distance])
    median = float(np.median(differences)) if differences.size else 0.0
    std = constants.DIFFERENCE_TO_STD * median
    return constants.NOISE * std


def remove_lines(ink: Ink) -> Ink:
    """Remove the lines of graph or ruled paper, which may be tilted.

    Where a stroke crosses a line, the ink of the stroke is relative to the light that
    the line reflects. An image with fewer than three lines from border to border is
    returned unchanged.
    """
    step = max(1, max(ink.shape) // constants.LINES_SIDE)
    # The ink is clipped, so that lines count for more than strokes.
    clipped = np.minimum(ink, np.quantile(ink, constants.STROKE_QUANTILE))
    sampled = clipped[::step, ::step].astype(np.float64)
    # For both sets of parallel lines: the cumulative sums over columns.
    sums = [
        np.pad(image, ((1, 0), (0, 0))).cumsum(axis=0) for image in (sampled.T, sampled)
    ]
    slopes = np.tan(np.radians(constants.TILTS))
    slope = max(
        slopes,
        key=lambda slope: _sharpness(sums[0], slope) + _sharpness(sums[1], -slope),
    )
    angle = float(np.degrees(np.arctan(slope)))
    rotated = Image.fromarray(ink).rotate(-angle, Image.Resampling.BILINEAR)
    cut = int(np.ceil(abs(slope) * max(ink.shape) / 2))  # empty after the rotation
    straight = np.asarray(rotated)[cut : -cut or None, cut : -cut or None]
    if min(straight.shape) < constants.LINE_PARTS:
        return ink  # a narrow strip
    lines = np.maximum(_row_lines(straight)[:, None], _row_lines(straight.T)[None])
    if not lines.any():
        return ink
    remaining = (1 - straight) / (1 - lines.clip(max=constants.MAX_LINE_INK))
    # The ink is rotated back, so that positions in the ink and in the image are equal.
    padded = np.pad((1 - remaining).clip(0, 1), cut).astype(np.float32)
    return np.array(Image.fromarray(padded).rotate(angle, Image.Resampling.BILINEAR))


def _sharpness(sums: Float[np.ndarray, "_ h"], slope: float) -> float:
    """Return how much the mean ink varies between adjacent lines of this slope.

    For each row, `sums[j]` is the sum of the ink in the first j columns.
    """
    columns, rows = len(sums) - 1, sums.shape[1]
    shift = np.arange(columns) * slope
    shift = np.round(shift - shift.min()).astype(int)  # in rows, of each column
    line_sums, counts = np.zeros((2, rows + shift.max()))  # for each line
    ends = [0, *np.flatnonzero(np.diff(shift)) + 1, columns]
    for start, end in pairwise(ends):  # columns with the same shift
        lines = slice(shift[start], shift[start] + rows)
        line_sums[lines] += sums[end] - sums[start]
        counts[lines] += end - start
    means = line_sums / np.maximum(counts, 1)
    complete = counts > constants.MIN_LINE_LENGTH * counts.max()
    return float(np.square(np.diff(means[complete])).sum())


def _row_lines(ink: Ink) -> Float[np.ndarray, " h"]:
    """Return the ink of the line in each row: the minimum over parts of the row."""
    parts = np.array_split(ink, constants.LINE_PARTS, axis=1)
    level = np.min([np.median(part, axis=1) for part in parts], axis=0)
    starts = np.diff((level > constants.MIN_LINE_INK).astype(int)) == 1
    is_ruled = starts.sum() >= constants.MIN_LINES
    return np.asarray(level) if is_ruled else np.zeros_like(level)
