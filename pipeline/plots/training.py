"""The plot of stage train: the learning curves."""

from collections.abc import Mapping, Sequence

from PIL import Image

from pipeline.plots.common import (
    NEGATIVE,
    POSITIVE,
    new_figure,
    render,
    set_title,
    simplify_axes,
)


def learning_curves(history: Sequence[Mapping[str, float]]) -> Image.Image:
    """Draw loss and accuracy of training and validation over the epochs from 1."""
    figure = new_figure(900, 380)
    epochs = range(1, len(history) + 1)
    panels = (("loss", "loss (nats)", ".3f"), ("accuracy", "accuracy", ".1%"))
    lines = (
        ("train", "training, during the epoch", POSITIVE, "o-"),
        ("val", "validation, after the epoch", NEGATIVE, "s--"),
    )
    for axes, (metric, title, form) in zip(figure.subplots(1, 2), panels, strict=True):
        for part, name, colour, style in lines:
            values = [row[f"{part}/{metric}"] for row in history]
            label = f"{name}: {values[-1]:{form}}"
            axes.plot(epochs, values, style, color=colour, markersize=4, label=label)
        set_title(axes, title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.yaxis.get_major_locator().set_params(nbins=6)
        axes.legend(frameon=False, fontsize=9)
        simplify_axes(axes)
        if metric == "accuracy":
            axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.4g}%")
    return render(figure)
