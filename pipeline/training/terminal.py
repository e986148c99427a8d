"""The table of epochs, with a progress bar, in the terminal."""

from collections.abc import Iterable, Iterator

from pipeline.terminal import new_console, progress_bar
from pipeline.training.loop import Epoch


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
