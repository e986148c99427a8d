"""Colours, the font and Matplotlib figures, for all plots.

The other modules contain the plots; `rows` arranges images.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageColor, ImageDraw, ImageFont

from pipeline import SIDE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# The colours of the interactive page (interpret/report/page.css, light). Blue and red
# can be distinguished with colour blindness.
INK, MUTED, PALE, LINE, PAPER = "#202124", "#5b6066", "#8b9198", "#d7dade", "#ffffff"
POSITIVE, NEGATIVE, SELECTED, FROZEN = "#005ab5", "#dc3220", "#8a5a00", "#b9bdc2"
DPI = 100  # pixels per inch; text of 10 points is 14 pixels high


def diverging_colours(
    values: Float[np.ndarray, "*n 784"],
    *,
    scale: float,
    grey: Bool[np.ndarray, "784"] | None = None,
) -> UInt8[np.ndarray, "*n 28 28 3"]:
    """Map values to colours: positive to blue, 0 to white, negative to red.

    Args:
        values: An image of 784 values, or several.
        scale: The absolute value that is drawn in the full colour.
        grey: The pixels that become grey, whatever their values.
    """
    colours = _blend(values.reshape(*values.shape[:-1], SIDE, SIDE) / (scale or 1.0))
    if grey is not None:
        colours[..., grey.reshape(SIDE, SIDE), :] = ImageColor.getrgb(FROZEN)
    return colours


def colour_scale(
    low: str, high: str, *, size: int = 13, frozen: str = ""
) -> Image.Image:
    """Draw the legend of `diverging_colours`: a bar from red to blue.

    Args:
        low: The text beside red, such as the smallest value.
        high: The text beside blue.
        size: The size of the text, in pixels.
        frozen: The meaning of grey; empty if the image contains no grey.
    """
    low, high = f"{low} ", f" {high}"
    texts = [font(size).getlength(text) for text in (low, high, f"   {frozen}")]
    bar, height = 5 * size, round(1.4 * size)
    width = round(sum(texts[:2])) + bar + (round(texts[2]) + 2 * size) * bool(frozen)
    image = Image.new("RGB", (width, height), PAPER)
    draw, middle, x = ImageDraw.Draw(image), height // 2, round(texts[0])
    draw.text((0, middle), low, INK, font(size), anchor="lm")
    ramp = _blend(np.tile(np.linspace(-1, 1, bar), (size, 1)))
    image.paste(Image.fromarray(ramp), (x, middle - size // 2))
    draw.text((x + bar, middle), high, INK, font(size), anchor="lm")
    if frozen:
        x += bar + round(texts[1]) + size
        square = (x, middle - size // 2, x + size, middle + size // 2)
        draw.rectangle(square, FROZEN)
        draw.text((x + size, middle), f" {frozen}", INK, font(size), anchor="lm")
    return image


def _blend(strength: Float[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n 3"]:
    """Map -1 to red, 0 to white and 1 to blue."""
    white, blue, red = (
        np.array(ImageColor.getrgb(colour), np.float32)
        for colour in (PAPER, POSITIVE, NEGATIVE)
    )
    strength = np.clip(strength, -1, 1)[..., None]
    full = np.where(strength >= 0, blue, red)
    return np.asarray(white + abs(strength) * (full - white)).astype(np.uint8)


def new_figure(width: int, height: int) -> "Figure":
    """Return a Matplotlib figure of this size, in pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout="constrained")


def render(figure: "Figure") -> Image.Image:
    """Convert a Matplotlib figure to an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def set_title(axes: "Axes", title: str) -> None:
    """Write a title above the left end of a plot."""
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)


def simplify_axes(axes: "Axes") -> None:
    """Draw a light grid, and remove the border at the top and on the right."""
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(MUTED)
    axes.tick_params(which="both", color=MUTED, labelcolor=INK)


def colour_map(*colours: str) -> "Colormap":
    """Return a map of Matplotlib from the smallest value to the largest."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("-".join(colours), colours)


def label_cells(
    axes: "Axes",
    texts: Sequence[Sequence[str]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    dark: Bool[np.ndarray, "rows columns"],
) -> None:
    """Write texts into the cells of a heatmap, white on dark ones; name its axes."""
    for (row, column), is_dark in np.ndenumerate(dark):
        text = axes.text(column, row, texts[row][column], fontsize=8.5)
        text.set(ha="center", va="center", color=PAPER if is_dark else INK)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    if max(map(len, columns)) > len("all"):
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=INK)


def weight_scale(weights: Float[np.ndarray, "..."]) -> float:
    """Return the absolute weight drawn in full colour; 1 % of them are larger."""
    return float(np.quantile(np.abs(weights), 0.99)) or 1.0


def weight_legend(scale: float, *, grey: str) -> Image.Image:
    """Draw the legend of weights in the colours of `diverging_colours`."""
    return colour_scale(f"weights: -{scale:.2f}", f"+{scale:.2f}", frozen=grey)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of the plots in this size, in pixels.

    It is found without importing Matplotlib, which would take longer than the drawing.
    """
    package = find_spec("matplotlib")
    assert package and package.origin
    file = Path(package.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(file, size)
