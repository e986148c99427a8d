"""A person's picture -> how much ink lies where: 0 is bare paper, 1 full ink.

Photographs of pencil on squared paper, thin drawings on a wide canvas, scans, chalk:
whatever paper and light do to a picture is taken out here, one small step at a time.
"""

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image, ImageOps
from scipy import ndimage

LARGEST = 1600  # pixels a side that are kept of a photograph
PHOTO = 64  # pixels; a picture with no longer side is taken for evenly lit
ANGLES = np.arange(-5, 5.1, 0.25)  # degrees that squared paper may lie askew
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

Levels = UInt8[np.ndarray, "h w"]
Ink = Float[np.ndarray, "h w"]


def grey_levels(picture: Image.Image) -> Levels:
    """Turn a picture of any mode into grey levels, the right way up.

    Transparent parts show a paper that the ink stands out from. Where a single colour
    channel shows far more than luminance does, as with yellow ink, it is taken instead.
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode[0] in "IF":  # 32-bit integers, 16 bits, floating point
        return reduced(_from_numbers(np.asarray(picture)), LARGEST)
    if picture.mode == "LAB":
        picture = picture.getchannel("L")  # Pillow converts LAB to nothing else
    picture = picture.convert("RGBA")
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    *colours, alpha = np.moveaxis(np.asarray(picture, np.float32), 2, 0)
    solid = alpha > 127
    if not solid.any():
        return np.full(alpha.shape, 255, np.uint8)
    luminance = np.tensordot(LUMINANCE, np.stack(colours), 1)
    grey = max(colours, key=lambda channel: channel[solid].std())
    if grey[solid].std() < 1.5 * luminance[solid].std():
        grey = luminance
    if not solid.all():
        drawn = grey[solid]
        opposite = 255.0 if drawn.mean() < 128 else 0.0
        # Opaque parts of one tone are ink; of several tones, paper with ink on it.
        behind = opposite if drawn.std() < 32 else float(np.median(drawn))
        grey = behind + (grey - behind) * alpha / 255
    return np.asarray(grey.round().clip(0, 255), np.uint8)


def _from_numbers(values: Shaped[np.ndarray, "h w"]) -> Levels:
    """Scale numbers to grey levels: the range is the smallest usual one that fits.

    Of floating point it fits loosely: resampling overshoots, and normalised pictures
    have a range of their own.

    Raises:
        ValueError: If no number is finite.
    """
    floating = values.dtype.kind == "f"
    values = values.astype(np.float32)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("it holds no finite number")
    lowest, highest = min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)
    usual = (1, 255, 4095, 65535) if floating else (255, 4095, 65535)
    loosely = 1.5 if floating else 1
    full = next((top for top in usual if highest <= loosely * top), highest)
    if floating and full > 4 * (highest - lowest):
        full = highest
    values = np.nan_to_num(values, nan=lowest, posinf=full, neginf=lowest)
    shares = (values - lowest) / max(full - lowest, 1e-30)
    return np.asarray((shares.clip(0, 1) * 255).round(), np.uint8)


def reduced(levels: Levels, largest: int) -> UInt8[np.ndarray, "rows columns"]:
    """Shrink a picture, if need be, until its longer side has that many pixels."""
    picture = Image.fromarray(levels)
    picture.thumbnail((largest, largest), Image.Resampling.BOX)
    return np.asarray(picture)


def is_dark_on_light(levels: Levels) -> bool:
    """Say whether the ink is darker than the paper.

    Ink is what differs most from its surroundings and covers less of them, so the
    third powers of the differences have its sign. The picture is continued beyond its
    border, where there is mostly paper, for digits that fill it.
    """
    small = reduced(levels, 48).astype(np.float32)
    height, width = small.shape
    padding = ((height // 2,) * 2, (width // 2,) * 2)
    small = np.pad(small, padding, "edge")
    photo = max(levels.shape) > PHOTO
    paper = ndimage.median_filter(small, 17) if photo else np.median(small)
    return float(((small - paper) ** 3).sum()) <= 0


def ink_on_paper(levels: Levels) -> Ink:
    """Measure dark ink as the share of the paper's light that it takes away.

    Of a photograph it is measured twice, and the lesser counts. As it is, uneven light
    leaves something at the borders; divided by its trend, a shadow does at its edge.
    """
    light = levels.astype(np.float32)
    if max(light.shape) > PHOTO:
        light = ndimage.gaussian_filter(light, 1)  # takes most of the grain
    if max(light.shape) <= PHOTO or is_even(levels):
        return _darkening(light, window=max(light.shape) // 2 + 1)
    even = light * (np.median(light) / np.maximum(_trend(light), 1))
    window = max(light.shape) // 3
    found = [_darkening(each, window=window) for each in (light, even)]
    # The paper was found at its lightest; its middle lies lower by the grain.
    found = [ink - min(np.median(ink), 3 * grain(ink)) for ink in found]
    return np.asarray(np.minimum(*found).clip(0, 1))


def is_even(levels: Levels) -> bool:
    """Say whether no camera saw the paper: most of the border has the very same level.

    Then filled shapes keep their inside, which looks like shaded paper otherwise.
    """
    border = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    return bool(np.bincount(border).max() > len(border) / 2)


def _darkening(light: Float[np.ndarray, "h w"], *, window: int) -> Ink:
    """Compare each pixel with the paper around: a closing, wider than any stroke."""
    paper = ndimage.minimum_filter(ndimage.maximum_filter(light, window), window)
    return np.asarray((paper - light) / np.maximum(paper, 1))


def _trend(light: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Fit a paraboloid to the light of the paper: a gradient and a vignette."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in light.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    step = max(1, max(light.shape) // 40)
    some, values = terms[::step, ::step].reshape(-1, 6), light[::step, ::step].ravel()
    rest = values - np.median(values)
    for _ in range(5):  # without what is too dark to be paper, or too light
        spread = max(1.48 * float(np.median(np.abs(rest))), 1)
        paper = (rest > -1.5 * spread) & (rest < 2.5 * spread)
        weights = np.linalg.lstsq(some[paper], values[paper])[0]
        rest = values - some @ weights
    trend = np.maximum(terms @ weights, np.median(values) / 5)
    return np.asarray(trend, np.float32)


def grain(ink: Ink) -> float:
    """Estimate the standard deviation of the noise, from pixels 3 apart."""
    differences = np.abs(ink[:, 3:] - ink[:, :-3])
    return 1.05 * float(np.median(differences)) if differences.size else 0.0


def without_lines(ink: Ink) -> Float[np.ndarray, "rows columns"]:
    """Turn squared or ruled paper straight, and take its lines away.

    Ink on a line keeps what it takes of the light that the line leaves. A picture that
    shows no three lines from border to border comes back as it is.
    """
    step = max(1, max(ink.shape) // 200)
    some = np.minimum(ink, np.quantile(ink, 0.97))[::step, ::step]  # lines, not strokes
    slope = max(np.tan(np.radians(ANGLES)), key=lambda slope: _sharpness(some, slope))
    turned = Image.fromarray(ink).rotate(
        -float(np.degrees(np.arctan(slope))), Image.Resampling.BILINEAR
    )
    cut = int(np.ceil(abs(slope) * max(ink.shape) / 2))  # the corners turned in
    straight = np.asarray(turned)[cut : -cut or None, cut : -cut or None]
    lines = np.maximum(_lines(straight)[:, None], _lines(straight.T)[None])
    if not lines.any():
        return ink
    left = (1 - straight) / (1 - lines.clip(max=0.9))
    return np.asarray((1 - left).clip(0, 1))


def _sharpness(ink: Ink, slope: float) -> float:
    """Say how much the mean ink jumps from line to line, for lines of that slope."""
    y, x = np.indices(ink.shape)
    found = 0.0
    for place in (y + x * slope, x - y * slope):
        line = np.round(place - place.min()).astype(int).ravel()
        counts = np.bincount(line)
        means = np.bincount(line, ink.ravel()) / np.maximum(counts, 1)
        whole = counts > counts.max() / 2
        found += float(np.square(np.diff(means[whole])).sum())
    return found


def _lines(ink: Ink) -> Float[np.ndarray, " h"]:
    """Return the ink of the line in each row: what all four quarters of it show."""
    quarters = np.array_split(ink, 4, axis=1)
    level = np.min([np.median(quarter, axis=1) for quarter in quarters], axis=0)
    starts = np.diff((level > 0.03).astype(int)) == 1
    return np.asarray(level) if starts.sum() >= 3 else np.zeros_like(level)
