"""Download a data set, verify it, and plot its images.

Reads the data set from its source, or from a folder with IDX files. Writes
<dataset>.safetensors, <dataset>.json, <dataset>-means.png and <dataset>-samples.png to
outputs/data/. MNIST is downloaded once (at most 20 MB): 60,000 + 10,000 images with a
mean of 0.1307, and 67 pixels that are always 0.
"""

from pipeline.cli import DataConfig, defaults, stage
from pipeline.paths import displayed, outputs_dir
from pipeline.terminal import command_line, next_steps, table, wrap


def data(cfg: DataConfig) -> None:
    """Create the file of the data set unless it exists, and print its summary."""
    from pipeline import datasets

    path, is_new = datasets.prepare(cfg.dataset, folder=outputs_dir() / "data")
    summary, spec = datasets.summary(path), datasets.spec(cfg.dataset)
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
    other = cfg.dataset if cfg.dataset != defaults()["dataset"] else None
    print(next_steps({command_line("train", dataset=other): "trains a network"}))


if __name__ == "__main__":
    stage(data, DataConfig)
