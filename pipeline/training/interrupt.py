"""Ctrl-C during a training: the first one stops it after the epoch, a second at once.

Both leave a checkpoint from which the same command resumes.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

RESUME = "run the same command again to resume"


@dataclass
class Interrupt:
    """Whether Ctrl-C was pressed."""

    requested: bool = False

    def between(self, epochs: range) -> Iterator[int]:
        """Yield epochs; raise a KeyboardInterrupt between two if it was pressed."""
        for epoch in epochs:
            if self.requested:
                raise KeyboardInterrupt(f"stopped after epoch {epoch - 1}; {RESUME}")
            yield epoch

    def raise_if_requested(self) -> None:
        """Raise a KeyboardInterrupt if it was pressed during the last epoch."""
        if self.requested:
            raise KeyboardInterrupt("stopped after the training, which is finished")


@contextmanager
def delayed_interrupt() -> Iterator[Interrupt]:
    """Handle Ctrl-C, except in workers of a sweep, which ignore it."""
    interrupt = Interrupt()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt(f"stopped; {RESUME}")
        interrupt.requested = True
        message = "stopping at the end of this epoch; press Ctrl-C again to stop now"
        print(message, file=sys.stderr)

    previous = signal.getsignal(signal.SIGINT)
    if previous != signal.SIG_IGN:
        signal.signal(signal.SIGINT, handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)
