"""Estimate how much ink each pixel of an image has: 0 is paper, 1 is full ink.

Handles photographs with uneven light, squared or ruled paper, scans, chalk and
transparency; `preprocessing` finds the digit in the result.
"""

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image
from scipy import ndimage

MIN_PHOTO_SIDE = 64  # pixels; images up to this size are assumed to be evenly lit
TILT_ANGLES = np.arange(-5, 5.1, 0.25)  # degrees by which squared paper may be tilted
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

Levels = UInt8[np.ndarray, "h w"]
Ink = Float[np.ndarray, "h w"]


def grey_levels(image: Image.Image) -> Levels:
    """Convert an image of any mode to gray levels.

    Transparent parts become a background that contrasts with the ink. If one color
    channel has far more contrast than the luminance (yellow ink), it is used instead.
    """
    if image.mode[0] in "IF":  # 32-bit integers, 16 bits, floating point
        return _scale_to_bytes(np.asarray(image))
    if image.mode == "LAB":
        image = image.getchannel("L")  # Pillow converts LAB to no other mode
    pixels = np.asarray(image.convert("RGBA"), np.float32)
    *channels, alpha = np.moveaxis(pixels, 2, 0)
    opaque = alpha > 127
    if not opaque.any():
        return np.full(alpha.shape, 255, np.uint8)
    luminance = np.tensordot(LUMINANCE, np.stack(channels), 1)
    grey = max(channels, key=lambda channel: channel[opaque].std())
    if grey[opaque].std() < 1.5 * luminance[opaque].std():
        grey = luminance
    if not opaque.all():
        values = grey[opaque]
        # Opaque pixels of one tone are ink; of several tones, paper with ink on it.
        contrasting = 255.0 if values.mean() < 128 else 0.0
        behind = contrasting if values.std() < 32 else float(np.median(values))
        grey = behind + (grey - behind) * alpha / 255
    return np.asarray(grey.round().clip(0, 255), np.uint8)


def _scale_to_bytes(values: Shaped[np.ndarray, "h w"]) -> Levels:
    """Scale numbers to 0..255 from the smallest standard range that contains them.

    Floating-point numbers may exceed it a little, because resampling overshoots; if
    they use only a small part of it, as normalized images do, their maximum is used.

    Raises:
        ValueError: If no number is finite.
    """
    is_float = values.dtype.kind == "f"
    values = values.astype(np.float32)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("it contains no finite values")
    lowest, highest = min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)
    maxima = (1, 255, 4095, 65535) if is_float else (255, 4095, 65535)
    tolerance = 1.5 if is_float else 1
    full = next((top for top in maxima if highest <= tolerance * top), highest)
    if is_float and full > 4 * (highest - lowest):
        full = highest
    values = np.nan_to_num(values, nan=lowest, posinf=full, neginf=lowest)
    scaled = (values - lowest) / max(full - lowest, 1e-30)
    return np.asarray((scaled.clip(0, 1) * 255).round(), np.uint8)


def reduce_to(levels: Levels, side: int) -> UInt8[np.ndarray, "rows columns"]:
    """Shrink an image so that its longer side has at most this many pixels."""
    image = Image.fromarray(levels)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image)


def is_photo(image: Shaped[np.ndarray, "_ _"]) -> bool:
    """Return whether an image is so large that light and noise can vary in it."""
    return bool(max(image.shape) > MIN_PHOTO_SIDE)


def is_dark_on_light(levels: Levels) -> bool:
    """Return whether the ink is darker than the paper.

    The differences from the surroundings are skewed toward the ink, which covers less
    area than the paper, so the sum of their cubes has the sign of the ink. For digits
    that fill the image, it is extended beyond its border, which is mostly paper.
    """
    small = reduce_to(levels, 48).astype(np.float32)
    height, width = small.shape
    padding = ((height // 2,) * 2, (width // 2,) * 2)
    small = np.pad(small, padding, "edge")
    paper = ndimage.median_filter(small, 17) if is_photo(levels) else np.median(small)
    return float(((small - paper) ** 3).sum()) <= 0


def ink_on_paper(levels: Levels) -> Ink:
    """Return the fraction of the paper's light that dark ink absorbs at each pixel.

    For photographs, it is the minimum of two estimates: with uneven light, the raw
    image has errors at the borders, and the image divided by its brightness trend has
    errors at the edges of shadows.
    """
    light = levels.astype(np.float32)
    if is_photo(light):
        light = ndimage.gaussian_filter(light, 1)  # removes most of the noise
    if not is_photo(light) or has_uniform_border(levels):
        return _absorption(light, window=max(light.shape) // 2 + 1)
    flattened = light * (np.median(light) / np.maximum(_brightness_trend(light), 1))
    window = max(light.shape) // 3
    estimates = [_absorption(image, window=window) for image in (light, flattened)]
    # The closing returns the lightest paper; noise makes the median paper darker.
    estimates = [ink - min(np.median(ink), 3 * noise_std(ink)) for ink in estimates]
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
    step = max(1, max(light.shape) // 40)
    sampled = terms[::step, ::step].reshape(-1, 6)
    values = light[::step, ::step].ravel()
    residuals = values - np.median(values)
    for _ in range(5):  # excludes outliers: ink, and reflections
        spread = max(1.48 * float(np.median(np.abs(residuals))), 1)
        paper = (residuals > -1.5 * spread) & (residuals < 2.5 * spread)
        coefficients = np.linalg.lstsq(sampled[paper], values[paper])[0]
        residuals = values - sampled @ coefficients
    trend = np.maximum(terms @ coefficients, np.median(values) / 5)
    return np.asarray(trend, np.float32)


def noise_std(ink: Ink) -> float:
    """Estimate the standard deviation of the noise from pixels 3 columns apart."""
    differences = np.abs(ink[:, 3:] - ink[:, :-3])
    return 1.05 * float(np.median(differences)) if differences.size else 0.0


def remove_lines(ink: Ink) -> Float[np.ndarray, "rows columns"]:
    """Straighten squared or ruled paper, and remove its lines.

    Where a stroke crosses a line, its ink is relative to the light that the line
    reflects. An image with fewer than three lines from border to border is returned
    unchanged.
    """
    step = max(1, max(ink.shape) // 200)
    # Clipped, so that the lines count for more than the strokes.
    sampled = np.minimum(ink, np.quantile(ink, 0.97))[::step, ::step]
    slopes = np.tan(np.radians(TILT_ANGLES))
    slope = max(slopes, key=lambda slope: _sharpness(sampled, slope))
    rotated = Image.fromarray(ink).rotate(
        -float(np.degrees(np.arctan(slope))), Image.Resampling.BILINEAR
    )
    cut = int(np.ceil(abs(slope) * max(ink.shape) / 2))  # empty after the rotation
    straight = np.asarray(rotated)[cut : -cut or None, cut : -cut or None]
    lines = np.maximum(_row_lines(straight)[:, None], _row_lines(straight.T)[None])
    if not lines.any():
        return ink
    remaining = (1 - straight) / (1 - lines.clip(max=0.9))
    return np.asarray((1 - remaining).clip(0, 1))


def _sharpness(ink: Ink, slope: float) -> float:
    """Return how much the mean ink varies between adjacent lines of this slope."""
    y, x = np.indices(ink.shape)
    total = 0.0
    for position in (y + x * slope, x - y * slope):
        line = np.round(position - position.min()).astype(int).ravel()
        counts = np.bincount(line)
        means = np.bincount(line, ink.ravel()) / np.maximum(counts, 1)
        complete = counts > counts.max() / 2
        total += float(np.square(np.diff(means[complete])).sum())
    return total


def _row_lines(ink: Ink) -> Float[np.ndarray, " h"]:
    """Return the ink of the line in each row: the minimum over its four quarters."""
    quarters = np.array_split(ink, 4, axis=1)
    level = np.min([np.median(quarter, axis=1) for quarter in quarters], axis=0)
    starts = np.diff((level > 0.03).astype(int)) == 1
    return np.asarray(level) if starts.sum() >= 3 else np.zeros_like(level)
