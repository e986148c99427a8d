"""The table of epochs that a training prints while it runs."""

from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import Progress

from pipeline.training.loop import Epoch


def print_epochs(
    epochs: Iterable[Epoch], total: int, progress_bar: Callable[[Console], Progress]
) -> Iterator[Epoch]:
    """Yield the epochs; after each, print a line above the progress bar."""
    console = Console(highlight=False, soft_wrap=True)
    with progress_bar(console) as progress:
        task = progress.add_task("epochs", total=total)
        console.print("epoch   train loss  accuracy     val loss  accuracy   seconds")
        for epoch in epochs:
            yield epoch  # the caller saves it before the line says that it is done
            progress.advance(task)
            metrics = epoch.metrics
            console.print(
                f"{epoch.number:5}       {metrics['train/loss']:.4f}"
                f"   {metrics['train/accuracy']:7.2%}"
                f"       {metrics['val/loss']:.4f}"
                f"   {metrics['val/accuracy']:7.2%}   {epoch.seconds:7.2f}"
            )
