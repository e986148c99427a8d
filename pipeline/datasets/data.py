"""The command `data`: prepares a data set and prints its summary."""

from pipeline import datasets
from pipeline.base.paths import data_dir, displayed
from pipeline.base.tables import table
from pipeline.base.terminal import say
from pipeline.base.text import command_line, next_steps, wrap
from pipeline.datasets.prepare import PreparedData, prepare


def data(dataset: str, *, default: str) -> PreparedData:
    """Create the file of a data set unless it exists, and print its summary.

    Args:
        dataset: See `prepare`.
        default: The data set of a command without `dataset=`.
    """
    prepared = prepare(dataset, folder=data_dir())
    file, summary = prepared.file, prepared.summary
    spec = datasets.spec(file.name)
    say(f"{file.name}: images of {spec.plural}, 28x28 pixels\n")
    counts = [
        [f"{n:,}" for n in (part.images, *part.per_class)]
        for part in (summary.train, summary.test)
    ]
    rows = zip(("all", *spec.class_names), *counts, strict=True)
    say(table(("class", "train", "test"), rows, left=["class"]))
    pixels = summary.pixels
    unused = len(summary.always_zero)
    text = (
        "The pixels are between 0 (black) and 1 (white). In the training images, their "
        f"mean is {pixels.mean:.4f} and their standard deviation is "
        f"{pixels.std:.4f}; {pixels.zero:.1%} of them are 0. Of the 784 pixels, "
        f"{unused} are 0 in all training images."
    )
    say(f"\n{wrap(text, indent=0)}\n")
    paths = datasets.companion_files(file.path)
    plots = paths.samples, paths.means
    state = "created" if prepared.is_new else "already exists"
    say("plots  " + "\n       ".join(str(displayed(plot)) for plot in plots))
    say(f"file   {displayed(file.path)} {state}")
    say(f"       sha256 {file.sha256}")
    other = file.name if file.name != default else None
    say(next_steps({command_line("train", dataset=other): "trains a network"}))
    return prepared
