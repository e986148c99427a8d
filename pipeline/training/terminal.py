"""Training in the terminal: the table of epochs, and Ctrl-C.

The first Ctrl-C stops a training run after the epoch, a second one immediately. In both
cases the same command resumes from a checkpoint.
"""

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from pipeline.terminal import new_console, progress_bar
from pipeline.training.loop import Epoch

RESUME = "run the same command again to resume"


@dataclass
class Interrupt:
    """Whether Ctrl-C was pressed."""

    requested: bool = False

    def between(self, epochs: Iterable[int]) -> Iterator[int]:
        """Yield epochs; before each, raise a KeyboardInterrupt if it was pressed."""
        for epoch in epochs:
            self.check(f"stopped after epoch {epoch - 1}; {RESUME}")
            yield epoch

    def check(self, message: str) -> None:
        """Raise a KeyboardInterrupt if it was pressed."""
        if self.requested:
            raise KeyboardInterrupt(message)


@contextmanager
def delayed_interrupt() -> Iterator[Interrupt]:
    """Handle Ctrl-C, except in workers of a sweep, which ignore it, and in threads."""
    interrupt = Interrupt()

    def handle(number: int, frame: FrameType | None) -> None:
        interrupt.check(f"stopped; {RESUME}")
        interrupt.requested = True
        message = "stopping at the end of this epoch; press Ctrl-C again to stop now"
        print(message, file=sys.stderr)

    previous = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if previous == signal.SIG_IGN or not in_main_thread:
        yield interrupt
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)


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
