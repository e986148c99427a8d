"""What a training prints: a line for each epoch, and a summary."""

from collections.abc import Iterable, Iterator, Mapping

from pipeline.datasets import LabelledImages, spec
from pipeline.model import Network
from pipeline.terminal import new_console, progress_bar, table
from pipeline.training.loop import Epoch
from pipeline.training.recorder import best_epoch


def print_epochs(epochs: Iterable[Epoch], *, total: int) -> Iterator[Epoch]:
    """Yield the epochs; after each, print a line above the progress bar."""
    console = new_console(highlight=False, soft_wrap=True)
    with progress_bar(console) as progress:
        task = progress.add_task("epochs", total=total)
        console.print("epoch   train loss  accuracy     val loss  accuracy   seconds")
        for epoch in epochs:
            yield epoch  # the caller saves it before its line is printed
            progress.advance(task)
            metrics = epoch.metrics
            console.print(
                f"{epoch.number:5}       {metrics['train/loss']:.4f}"
                f"   {metrics['train/accuracy']:7.2%}"
                f"       {metrics['val/loss']:.4f}"
                f"   {metrics['val/accuracy']:7.2%}   {epoch.seconds:7.2f}"
            )


def print_summary(
    network: Network,
    metrics: Mapping[str, float],
    images: LabelledImages,
    *,
    dataset: str,
    split: str,
) -> None:
    """Print the content of metrics.json, and the answer to the first validation image.

    With the split `exercise`, this is a test image.
    """
    rows = [
        [name, f"{metrics[f'{key}loss']:.4f}", f"{metrics[f'{key}accuracy']:.2%}", note]
        for name, key, note in (
            ("train", "train/final_", "of the trained network"),
            ("validation", "val/", best_epoch(metrics)),
        )
    ]
    print(f"\n{table(['images', 'loss', 'accuracy', ''], rows, left=['images', ''])}")
    probabilities = network.predict(images.images[:1])[0]
    answer, label = int(probabilities.argmax()), images.labels[0]
    kind = "test" if split == "exercise" else "validation"
    names = spec(dataset).class_names
    print(
        f"{kind} image 0 is classified as {names[answer]} with a probability of "
        f"{probabilities[answer]:.1%}; its label is {names[label]}"
    )
