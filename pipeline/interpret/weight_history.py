"""The text and the file of `inspect weight=`: the history of a parameter."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pipeline.base import csv_files
from pipeline.base.tables import table
from pipeline.base.text import wrap
from pipeline.core import PIXELS, WHITE
from pipeline.interpret.measurements import is_frozen
from pipeline.interpret.names import ParameterLocation
from pipeline.interpret.rounding import rounded

MAX_LISTED_EPOCHS = 24  # epochs in the table of a history; history.csv contains all


def describe_weight_history(
    location: ParameterLocation, values: Float[np.ndarray, " epochs"]
) -> str:
    """Return the value of a parameter before training and after each epoch.

    A long history shows the first epoch, every n-th epoch and the last epoch. Each
    change then covers up to n epochs.
    """
    numbers = [rounded(value, 6) for value in values.tolist()]
    last = len(numbers) - 1
    step = max(1, -(-last // MAX_LISTED_EPOCHS))
    displayed = [e for e in range(1, last + 1) if e in (1, last) or not e % step]
    rows = [["initial", f"{numbers[0]:,}", ""]]
    for before, epoch in zip([0, *displayed], displayed, strict=False):
        change = numbers[epoch] - numbers[before]
        rows.append([f"{epoch}", f"{numbers[epoch]:,}", f"{change:+}"])
    lines = [
        f"{location.name}: {location.describe()}",
        table(["epoch", "value", "change"], rows),
    ]
    if is_frozen(values):
        lines.append("It is frozen: it has its initial value after every epoch.")
    else:
        k = int(np.abs(np.diff(values.astype(float))).argmax())
        change = numbers[k + 1] - numbers[k]
        text = f"The largest change in one epoch was {change:+}, in epoch {k + 1}."
        if step > 1:
            text += f" The changes in the table cover up to {step} epochs each;"
            text += " history.csv contains all epochs."
        lines.append(wrap(text, indent=0))
    return "\n".join(lines)


def write_weight_history(values: Float[np.ndarray, " epochs"], folder: Path) -> None:
    """Write the value of a parameter after each epoch to history.csv."""
    rows = [{"epoch": k, "value": float(value)} for k, value in enumerate(values)]
    csv_files.write_csv(folder / "history.csv", rows)


def describe_pixel(pixel: int, images: UInt8[np.ndarray, "n 28 28"]) -> str:
    """Return how often a pixel is above 0 in training images, and the pixel's mean."""
    levels = images.reshape(-1, PIXELS)[:, pixel]
    total = f"{len(images):,} training images"
    text = f"Pixel {pixel} is an always-zero pixel: it is 0 in all {total}."
    if count := np.count_nonzero(levels):
        text = (
            f"Pixel {pixel} is above 0 in {count:,} of {total} "
            f"({count / len(images):.1%}); its mean is {levels.mean() / WHITE:.4f} (0 "
            "is black, 1 is white)."
        )
    return wrap(text, indent=0)
