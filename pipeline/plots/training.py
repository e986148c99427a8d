"""The plots of stage train: learning curves, and the weights after each epoch.

The weights are drawn with NumPy and Pillow alone, in a few milliseconds: Matplotlib
would take longer than an epoch of training.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from pipeline.plots.common import (
    BLUE,
    GRID,
    INK,
    ORANGE,
    PAPER,
    TRAIN,
    VAL,
    diverging_colours,
    font,
    image_grid,
    new_figure,
    render,
    simplify_axes,
)

if TYPE_CHECKING:
    pass

MAX_TEMPLATES = 100  # neurons that one image shows


def templates(
    weights: Float[np.ndarray, "hidden 784"],
    tensors: Mapping[str, Float[np.ndarray, "..."]],
    *,
    title: str,
) -> Image.Image:
    """Draw what each neuron of layer_1 looks for, and how all weights are spread.

    Args:
        weights: The weights of layer_1, a row a neuron; a row is drawn as a picture in
            which blue pixels speak for the neuron, red ones against it, white is 0.
        tensors: Those whose histograms stand beside the templates, by name.
        title: The line above.

    Returns:
        The picture; of more than 100 neurons it shows the first 100.
    """
    shown = weights[:MAX_TEMPLATES]
    scale = float(np.quantile(np.abs(shown), 0.99)) or 1.0  # the rest is drawn full
    colours = diverging_colours(shown, scale=scale)
    captions = [f"N1{number}" for number in range(1, len(shown) + 1)]
    columns = 5 if len(shown) <= 20 else 10
    grid = image_grid(colours, captions, columns=columns, enlarged=3)
    plots = [_histogram(name, values) for name, values in tensors.items()]
    plot_height = max(100, grid.height // len(plots))
    height = max(grid.height, plot_height * len(plots))
    picture = Image.new("RGB", (grid.width + 316, height + 54), PAPER)
    draw = ImageDraw.Draw(picture)
    more = (
        f", the first {MAX_TEMPLATES} of {len(weights)}"
        if len(weights) > MAX_TEMPLATES
        else ""
    )
    draw.text((12, 8), title, INK, font(16))
    draw.text(
        (12, 30),
        f"weights of layer_1 as 28x28 pictures{more}: red -{scale:.2f} and below, "
        f"white 0, blue +{scale:.2f} and above",
        INK,
        font(12),
    )
    picture.paste(grid, (8, 50))
    for row, plot in enumerate(plots):
        picture.paste(plot, (grid.width + 16, 50 + row * plot_height))
    return picture


def learning_curves(history: Sequence[Mapping[str, float]]) -> Image.Image:
    """Draw loss and accuracy over the epochs from 1, training beside validation."""
    figure = new_figure(9.0, 3.6)
    epochs = range(1, len(history) + 1)
    for axes, quantity, unit in zip(
        figure.subplots(1, 2),
        ("loss", "accuracy"),
        ("nats", "share right"),
        strict=True,
    ):
        for part, colour in (("train", TRAIN), ("val", VAL)):
            values = [row[f"{part}/{quantity}"] for row in history]
            axes.plot(
                epochs, values, ".-", color=colour, label=f"{part} {values[-1]:.4f}"
            )
        axes.set(xlabel="epoch", ylabel=unit, title=quantity)
        axes.xaxis.get_major_locator().set_params(integer=True)
        simplify_axes(axes)
        axes.legend(frameon=False)
    return render(figure)


def _histogram(name: str, values: Float[np.ndarray, "..."]) -> Image.Image:
    """Draw how the values of a tensor are spread, 0 in the middle."""
    reach = float(np.abs(values).max()) or 1.0
    counts, _ = np.histogram(values, bins=60, range=(-reach, reach))
    picture = Image.new("RGB", (300, 100), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((0, 0), f"{name}  ({values.size:,})", INK, font(12))
    draw.line((0, 82, 300, 82), GRID)
    draw.line((150, 18, 150, 85), GRID)
    for column, height in enumerate(np.round(60 * counts / counts.max())):
        if height:
            colour = ORANGE if column < 30 else BLUE
            box = (column * 5, 82 - int(height), column * 5 + 3, 82)
            draw.rectangle(box, colour)
    draw.text((0, 84), f"-{reach:.2f}", INK, font(11))
    draw.text((147, 84), "0", INK, font(11))
    draw.text((266, 84), f"+{reach:.2f}", INK, font(11))
    return picture
