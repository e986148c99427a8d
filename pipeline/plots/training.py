"""The plots of stage train: learning curves, and the weights after an epoch.

The weights are drawn with NumPy and Pillow in a few milliseconds. Matplotlib would take
longer than an epoch of training.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from pipeline import SIDE
from pipeline.plots.common import (
    BLUE,
    GRID,
    INK,
    PAPER,
    RED,
    TRAIN,
    VAL,
    diverging_colours,
    font,
    image_grid,
    new_figure,
    render,
    simplify_axes,
)

MAX_TEMPLATES = 100  # neurons in one image


def templates(
    weights: Float[np.ndarray, "hidden 784"],
    tensors: Mapping[str, Float[np.ndarray, "..."]],
    *,
    title: str,
) -> Image.Image:
    """Draw the weights of each neuron as an image, beside histograms of all tensors.

    Args:
        weights: The weights of layer_1, a row per neuron; the first 100 are drawn.
            Positive weights are blue, negative ones red, and 0 is white.
        tensors: The tensors of the histograms, by name.
        title: The first line.
    """
    drawn = weights[:MAX_TEMPLATES]
    scale = float(np.quantile(np.abs(drawn), 0.99)) or 1.0  # the largest 1 % saturate
    colours = diverging_colours(drawn, scale=scale)
    images = {f"N1{number}": image for number, image in enumerate(colours, start=1)}
    grid = image_grid(images, columns=5 if len(drawn) <= 20 else 10, side=3 * SIDE)
    plots = [_histogram(name, values) for name, values in tensors.items()]
    plot_height = max(100, grid.height // len(plots))
    height = max(grid.height, plot_height * len(plots))
    image = Image.new("RGB", (grid.width + 308, height + 54), PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((12, 8), title, INK, font(16))
    part = f", {MAX_TEMPLATES} of {len(weights)}" if len(weights) > len(drawn) else ""
    legend = (
        f"weights of layer_1 as 28x28 images{part}: red -{scale:.2f} and below, "
        f"white 0, blue +{scale:.2f} and above"
    )
    draw.text((12, 30), legend, INK, font(12))
    image.paste(grid, (0, 50))
    for row, plot in enumerate(plots):
        image.paste(plot, (grid.width, 54 + row * plot_height))
    return image


def learning_curves(history: Sequence[Mapping[str, float]]) -> Image.Image:
    """Draw loss and accuracy of training and validation over the epochs from 1."""
    figure = new_figure(9.0, 3.6)
    epochs = range(1, len(history) + 1)
    panels = (("loss", "nats"), ("accuracy", "fraction classified correctly"))
    for axes, (metric, unit) in zip(figure.subplots(1, 2), panels, strict=True):
        for part, colour in (("train", TRAIN), ("val", VAL)):
            values = [row[f"{part}/{metric}"] for row in history]
            label = f"{part} {values[-1]:.4f}"
            axes.plot(epochs, values, ".-", color=colour, label=label)
        axes.set(xlabel="epoch", ylabel=unit, title=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        simplify_axes(axes)
        axes.legend(frameon=False)
    return render(figure)


def _histogram(name: str, values: Float[np.ndarray, "..."]) -> Image.Image:
    """Draw the distribution of the values of a tensor, with 0 in the middle."""
    limit = float(np.abs(values).max()) or 1.0
    counts, _ = np.histogram(values, bins=60, range=(-limit, limit))
    image = Image.new("RGB", (300, 100), PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((0, 0), f"{name}  ({values.size:,})", INK, font(12))
    draw.line((0, 82, 300, 82), GRID)
    draw.line((150, 18, 150, 85), GRID)
    for column, height in enumerate(np.round(60 * counts / counts.max())):
        if height:
            colour = RED if column < 30 else BLUE
            draw.rectangle((column * 5, 82 - int(height), column * 5 + 3, 82), colour)
    for x, text in ((0, f"-{limit:.2f}"), (147, "0"), (266, f"+{limit:.2f}")):
        draw.text((x, 84), text, INK, font(11))
    return image
