"""The plot of stage train: the learning curves."""

from collections.abc import Mapping, Sequence

from PIL import Image

from pipeline.plots.common import NEGATIVE, POSITIVE, new_figure, render, simplify_axes


def learning_curves(history: Sequence[Mapping[str, float]]) -> Image.Image:
    """Draw loss and accuracy of training and validation over the epochs from 1."""
    figure = new_figure(9.0, 3.6)
    epochs = range(1, len(history) + 1)
    panels = (("loss", "nats"), ("accuracy", "fraction classified correctly"))
    for axes, (metric, unit) in zip(figure.subplots(1, 2), panels, strict=True):
        for part, colour in (("train", POSITIVE), ("val", NEGATIVE)):
            values = [row[f"{part}/{metric}"] for row in history]
            label = f"{part} {values[-1]:.4f}"
            axes.plot(epochs, values, ".-", color=colour, label=label)
        axes.set(xlabel="epoch", ylabel=unit, title=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        simplify_axes(axes)
        axes.legend(frameon=False)
    return render(figure)
