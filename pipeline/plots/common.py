"""Colors, the font and legends, for all plots.

Gray weights are frozen: training never changed them (`meaning_of_gray`). Plots that do
not read the weight history show only the weights of always-zero pixels in gray. The
images of `weights`, which `train` records, show no weights in gray.

`figures` contains the shared code of the plots with Matplotlib; `rows` arranges images.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageColor, ImageDraw, ImageFont

from pipeline.core import SIDE

# The colors of the interactive page (interpret/page/page.css, light). Blue and red
# can be distinguished with color blindness.
INK, MUTED, PALE, LINE, PAPER = "#202124", "#5b6066", "#8b9198", "#d7dade", "#ffffff"
POSITIVE, NEGATIVE, SELECTED, FROZEN = "#005ab5", "#dc3220", "#8a5a00", "#b9bdc2"

MAX_DRAWN_NEURONS = 100  # neurons of layer 1 in one image


def diverging_colors(
    values: Float[np.ndarray, "*n 784"],
    *,
    scale: float,
    masked: Bool[np.ndarray, "784"] | None = None,
) -> UInt8[np.ndarray, "*n 28 28 3"]:
    """Map values to colors: positive to blue, 0 to white, negative to red.

    Args:
        values: An image of 784 values, or several images.
        scale: The absolute value that is drawn in the full color.
        masked: The pixels that become gray instead.
    """
    colors = _blend(values.reshape(*values.shape[:-1], SIDE, SIDE) / (scale or 1.0))
    if masked is not None:
        colors[..., masked.reshape(SIDE, SIDE), :] = ImageColor.getrgb(FROZEN)
    return colors


def color_scale(
    low: str, high: str, *, size: int = 13, gray_means: str = ""
) -> Image.Image:
    """Draw the legend of `diverging_colors`: a bar from red to blue.

    Args:
        low: The text next to red, such as the smallest value.
        high: The text next to blue.
        size: The size of the text, in pixels.
        gray_means: The meaning of gray; empty if the image contains no gray.
    """
    low, high = f"{low} ", f" {high}"
    texts = [font(size).getlength(text) for text in (low, high, f"   {gray_means}")]
    bar, height = 5 * size, round(1.4 * size)
    width = round(sum(texts[:2])) + bar
    if gray_means:
        width += round(texts[2]) + 2 * size
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    middle = height // 2
    x = round(texts[0])
    draw.text((0, middle), low, INK, font(size), anchor="lm")
    ramp = _blend(np.tile(np.linspace(-1, 1, bar), (size, 1)))
    image.paste(Image.fromarray(ramp), (x, middle - size // 2))
    draw.text((x + bar, middle), high, INK, font(size), anchor="lm")
    if gray_means:
        x += bar + round(texts[1]) + size
        square = (x, middle - size // 2, x + size, middle + size // 2)
        draw.rectangle(square, FROZEN)
        draw.text((x + size, middle), f" {gray_means}", INK, font(size), anchor="lm")
    return image


def _blend(strength: Float[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n 3"]:
    """Map -1 to red, 0 to white and 1 to blue."""
    white, blue, red = (
        np.array(ImageColor.getrgb(color), np.float32)
        for color in (PAPER, POSITIVE, NEGATIVE)
    )
    strength = np.clip(strength, -1, 1)[..., None]
    full = np.where(strength >= 0, blue, red)
    return np.asarray(white + abs(strength) * (full - white)).astype(np.uint8)


def weight_scale(weights: Float[np.ndarray, "..."]) -> float:
    """Return the absolute weight drawn in full color; 1% of the weights are larger."""
    return float(np.quantile(np.abs(weights), 0.99)) or 1.0


def meaning_of_gray(frozen: Bool[np.ndarray, "..."]) -> str:
    """Return what gray means in a legend; empty if no weight is frozen."""
    return "frozen" if frozen.any() else ""


def weight_limits(scale: float) -> tuple[str, str]:
    """Return the texts for the full colors; larger weights have the same colors."""
    return f"≤ \N{MINUS SIGN}{scale:.2f}", f"≥ {scale:.2f}"


def weight_legend(scale: float, *, gray_means: str) -> Image.Image:
    """Draw the legend of weights in the colors of `diverging_colors`."""
    low, high = weight_limits(scale)
    return color_scale(f"weights: {low}", high, gray_means=gray_means)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of the plots in this size, in pixels.

    The file of the font is found without importing Matplotlib, which would take
    longer than the drawing.
    """
    package = find_spec("matplotlib")
    assert package and package.origin
    file = Path(package.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(file, size)
