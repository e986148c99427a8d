"""Step 3 of the preprocessing: gray levels -> ink, from 0 (paper) to 1 (full ink).

The paper can be unevenly lit, squared, ruled or black. `digit` finds the digit in the
result.
"""

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image
from scipy import ndimage

from pipeline.images import constants

Levels = UInt8[np.ndarray, "h w"]
Ink = Float[np.ndarray, "h w"]


def find_ink(levels: Levels, *, is_photo: bool) -> Float[np.ndarray, "rows columns"]:
    """Return the ink of an image; it is smaller if squared paper was straightened.

    Args:
        levels: The gray levels of the image, or of a part of it.
        is_photo: Whether light and noise can vary in the image; see `has_photo_size`.
    """
    if not is_dark_on_light(levels, is_photo=is_photo):
        levels = 255 - levels
    ink = ink_on_paper(levels, is_photo=is_photo)
    return remove_lines(ink) if is_photo else ink


def reduce_to(levels: Levels, side: int) -> UInt8[np.ndarray, "rows columns"]:
    """Shrink an image so that its longer side has at most this many pixels."""
    image = Image.fromarray(levels)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image)


def has_photo_size(image: Shaped[np.ndarray, "_ _"]) -> bool:
    """Return whether an image is so large that light and noise can vary in it.

    A small part of a photograph is still a photograph: ask for the whole image.
    """
    return bool(max(image.shape) > constants.MIN_PHOTO_SIDE)


def is_dark_on_light(levels: Levels, *, is_photo: bool) -> bool:
    """Return whether the ink is darker than the paper.

    The differences from the surroundings are skewed toward the ink, which covers less
    area than the paper, so the sum of their cubes has the sign of the ink. For digits
    that fill the image, it is extended beyond its border, which is mostly paper.
    """
    small = reduce_to(levels, constants.POLARITY_SIDE).astype(np.float32)
    height, width = small.shape
    padding = ((height // 2,) * 2, (width // 2,) * 2)
    small = np.pad(small, padding, "edge")
    if is_photo:
        paper = ndimage.median_filter(small, constants.POLARITY_WINDOW)
    else:
        paper = np.median(small)
    return float(((small - paper) ** 3).sum()) <= 0


def ink_on_paper(levels: Levels, *, is_photo: bool) -> Ink:
    """Return the fraction of the paper's light that dark ink absorbs at each pixel.

    For photographs, it is the minimum of two estimates: with uneven light, the raw
    image has errors at the borders, and the image divided by its brightness trend has
    errors at the edges of shadows.
    """
    light = levels.astype(np.float32)
    if is_photo:
        light = ndimage.gaussian_filter(light, constants.BLUR)
    if not is_photo or has_uniform_border(levels):
        return _absorption(light, window=max(light.shape) // 2 + 1)
    flattened = light * (np.median(light) / np.maximum(_brightness_trend(light), 1))
    window = max(light.shape) // constants.WINDOW_PARTS
    estimates = [_absorption(image, window=window) for image in (light, flattened)]
    # The closing returns the lightest paper; noise makes the median paper darker.
    estimates = [ink - min(np.median(ink), noise_limit(ink)) for ink in estimates]
    return np.asarray(np.minimum(*estimates).clip(0, 1))


def has_uniform_border(levels: Levels) -> bool:
    """Return whether most border pixels have the same level, unlike in a photograph.

    Filled shapes in such an image are ink; in a photograph they can be shaded paper.
    """
    border = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    return bool(np.bincount(border).max() > len(border) / 2)


def _absorption(light: Float[np.ndarray, "h w"], *, window: int) -> Ink:
    """Compare each pixel with the paper: a closing with a window wider than strokes."""
    paper = ndimage.minimum_filter(ndimage.maximum_filter(light, window), window)
    return np.asarray((paper - light) / np.maximum(paper, 1))


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
    darkest = np.median(values) / constants.TREND_PARTS
    trend = np.maximum(terms @ coefficients, darkest)
    return np.asarray(trend, np.float32)


def noise_limit(ink: Ink) -> float:
    """Return the ink level that noise on paper rarely exceeds.

    The standard deviation of the noise is estimated from pixels that are so far apart
    that a blur does not connect them: the median of their absolute differences is
    0.6745 sqrt(2) = 1 / 1.05 times as large.
    """
    distance = constants.NOISE_DISTANCE
    differences = np.abs(ink[:, distance:] - ink[:, :-distance])
    median = float(np.median(differences)) if differences.size else 0.0
    std = constants.DIFFERENCE_TO_STD * median
    return constants.NOISE * std


def remove_lines(ink: Ink) -> Float[np.ndarray, "rows columns"]:
    """Straighten squared or ruled paper, and remove its lines.

    Where a stroke crosses a line, its ink is relative to the light that the line
    reflects. An image with fewer than three lines from border to border is returned
    unchanged.
    """
    step = max(1, max(ink.shape) // constants.LINES_SIDE)
    # Clipped, so that the lines count for more than the strokes.
    clipped = np.minimum(ink, np.quantile(ink, constants.STROKE_QUANTILE))
    sampled = clipped[::step, ::step]
    slopes = np.tan(np.radians(constants.TILTS))
    slope = max(slopes, key=lambda slope: _sharpness(sampled, slope))
    rotated = Image.fromarray(ink).rotate(
        -float(np.degrees(np.arctan(slope))), Image.Resampling.BILINEAR
    )
    cut = int(np.ceil(abs(slope) * max(ink.shape) / 2))  # empty after the rotation
    straight = np.asarray(rotated)[cut : -cut or None, cut : -cut or None]
    if min(straight.shape) < constants.LINE_PARTS:
        return ink  # a narrow strip
    lines = np.maximum(_row_lines(straight)[:, None], _row_lines(straight.T)[None])
    if not lines.any():
        return ink
    remaining = (1 - straight) / (1 - lines.clip(max=constants.MAX_LINE_INK))
    return np.asarray((1 - remaining).clip(0, 1))


def _sharpness(ink: Ink, slope: float) -> float:
    """Return how much the mean ink varies between adjacent lines of this slope."""
    y, x = np.indices(ink.shape)
    total = 0.0
    for position in (y + x * slope, x - y * slope):
        line = np.round(position - position.min()).astype(int).ravel()
        counts = np.bincount(line)
        means = np.bincount(line, ink.ravel()) / np.maximum(counts, 1)
        complete = counts > constants.MIN_LINE_LENGTH * counts.max()
        total += float(np.square(np.diff(means[complete])).sum())
    return total


def _row_lines(ink: Ink) -> Float[np.ndarray, " h"]:
    """Return the ink of the line in each row: the minimum over parts of the row."""
    parts = np.array_split(ink, constants.LINE_PARTS, axis=1)
    level = np.min([np.median(part, axis=1) for part in parts], axis=0)
    starts = np.diff((level > constants.MIN_LINE_INK).astype(int)) == 1
    is_ruled = starts.sum() >= constants.MIN_LINES
    return np.asarray(level) if is_ruled else np.zeros_like(level)
