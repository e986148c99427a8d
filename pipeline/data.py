"""Download a data set, verify it, and plot its images.

Reads the data set from its source, or from a folder with IDX files. Writes
<dataset>.safetensors, <dataset>.json, <dataset>-means.png and <dataset>-samples.png to
outputs/data/. MNIST is downloaded once (at most 20 MB): 60,000 + 10,000 images with a
mean of 0.1307, and 67 pixels that are always 0.
"""

from pipeline.cli import DataConfig, stage
from pipeline.paths import outputs_dir
from pipeline.terminal import table, wrap


def data(cfg: DataConfig) -> None:
    """Create the file of the data set unless it exists, and print its summary."""
    from pipeline import datasets

    path, is_new = datasets.prepare(cfg.dataset, folder=outputs_dir() / "data")
    summary = datasets.summary(path)
    pixels = summary["pixels"]
    print(f"{path} {'created' if is_new else 'exists'}\nsha256 {summary['sha256']}")
    names = datasets.spec(cfg.dataset).class_names
    counts = [
        [f"{n:,}" for n in (summary[part]["images"], *summary[part]["per_class"])]
        for part in ("train", "test")
    ]
    rows = zip(("all", *names), *counts, strict=True)
    print(table(("class", "train", "test"), rows, left=["class"]))
    print(
        f"pixels mean {pixels['mean']:.4f}, standard deviation {pixels['std']:.4f}, "
        f"{pixels['zero']:.1%} are 0"
    )
    unused = len(summary["never_lit"])
    print(f"{unused} of the 784 pixels are 0 in all training images")
    plots = f"plots  {path.stem}-means.png and {path.stem}-samples.png in that folder"
    print(wrap(plots))


if __name__ == "__main__":
    stage(data, DataConfig)
