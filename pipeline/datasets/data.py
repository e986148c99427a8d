"""The command `data`: prepares a data set and prints its summary."""

from pipeline import datasets
from pipeline.cli import DataConfig, defaults
from pipeline.console import table
from pipeline.paths import displayed, outputs_dir
from pipeline.terminal import command_line, next_steps, wrap


def data(cfg: DataConfig) -> None:
    """Create the file of the data set unless it exists, and print its summary."""
    path, is_new = datasets.prepare(cfg.dataset, folder=outputs_dir() / "data")
    summary, spec = datasets.summary(path), datasets.spec(path.stem)
    print(f"{path.stem}: images of {spec.plural}, 28x28 pixels\n")
    counts = [
        [f"{n:,}" for n in (summary[part]["images"], *summary[part]["per_class"])]
        for part in ("train", "test")
    ]
    rows = zip(("all", *spec.class_names), *counts, strict=True)
    print(table(("class", "train", "test"), rows, left=["class"]))
    pixels, unused = summary["pixels"], len(summary["never_lit"])
    text = (
        "The pixels are between 0 (black) and 1 (white). In the training images, their "
        f"mean is {pixels['mean']:.4f} and their standard deviation is "
        f"{pixels['std']:.4f}; {pixels['zero']:.1%} of them are 0. {unused} of the 784 "
        "pixels are 0 in all training images."
    )
    print(f"\n{wrap(text, indent=0)}\n")
    plots = [path.with_name(f"{path.stem}-{kind}.png") for kind in ("samples", "means")]
    print("plots  " + "\n       ".join(str(displayed(plot)) for plot in plots))
    print(f"file   {displayed(path)} {'created' if is_new else 'exists'}")
    print(f"       sha256 {summary['sha256']}")
    other = path.stem if path.stem != defaults()["dataset"] else None
    print(next_steps({command_line("train", dataset=other): "trains a network"}))
