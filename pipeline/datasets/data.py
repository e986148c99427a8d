"""The command `data`: prepares a data set and prints its summary."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import datasets
from pipeline.base.call import say
from pipeline.base.paths import data_dir, displayed
from pipeline.base.terminal import command_line, next_steps, wrap
from pipeline.base.text import table


@dataclass(frozen=True)
class PreparedData:
    """A data set that is ready."""

    name: str
    path: Path  # its file; the other files are next to it
    sha256: str
    summary: Mapping[str, Any]  # the content of <name>.json
    is_new: bool  # whether this call created it


def data(dataset: str, *, default: str) -> PreparedData:
    """Create the file of a data set unless it exists, and print its summary.

    Args:
        dataset: See `prepare`.
        default: The data set of a command that names none.
    """
    file = datasets.prepare(dataset, folder=data_dir())
    path, summary = file.path, datasets.summary(file.path)
    spec = datasets.spec(path.stem)
    say(f"{path.stem}: images of {spec.plural}, 28x28 pixels\n")
    counts = [
        [f"{n:,}" for n in (summary[part]["images"], *summary[part]["per_class"])]
        for part in ("train", "test")
    ]
    rows = zip(("all", *spec.class_names), *counts, strict=True)
    say(table(("class", "train", "test"), rows, left=["class"]))
    pixels, unused = summary["pixels"], len(summary["never_lit"])
    text = (
        "The pixels are between 0 (black) and 1 (white). In the training images, their "
        f"mean is {pixels['mean']:.4f} and their standard deviation is "
        f"{pixels['std']:.4f}; {pixels['zero']:.1%} of them are 0. {unused} of the 784 "
        "pixels are 0 in all training images."
    )
    say(f"\n{wrap(text, indent=0)}\n")
    plots = [path.with_name(f"{path.stem}-{kind}.png") for kind in ("samples", "means")]
    say("plots  " + "\n       ".join(str(displayed(plot)) for plot in plots))
    say(f"file   {displayed(path)} {'created' if file.is_new else 'exists'}")
    say(f"       sha256 {file.sha256}")
    other = path.stem if path.stem != default else None
    say(next_steps({command_line("train", dataset=other): "trains a network"}))
    return PreparedData(path.stem, path, file.sha256, summary, file.is_new)
