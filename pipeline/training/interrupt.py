"""Ctrl-C during a training: the first one waits for the end of the epoch.

A killed process loses at most an epoch; see `checkpoints.py`.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RESUME = "run the same command again to resume"


class Interrupt:
    """Remembers whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        """Start without a request."""
        self.requested = False

    def between(self, epochs: range) -> Iterator[int]:
        """Yield the numbers of the epochs until Ctrl-C was pressed.

        Raises:
            KeyboardInterrupt: If it was pressed during an epoch, before the next one.
        """
        for epoch in epochs:
            if self.requested:
                raise KeyboardInterrupt(f"stopped after epoch {epoch - 1}; {RESUME}")
            yield epoch

    def raise_if_requested(self) -> None:
        """Raise a KeyboardInterrupt if Ctrl-C was pressed during the last epoch."""
        if self.requested:
            raise KeyboardInterrupt("stopped after the training, which is finished")


@contextmanager
def delayed_interrupt() -> Iterator[Interrupt]:
    """Replace the handler of Ctrl-C; a second Ctrl-C stops at once.

    Workers of a sweep ignore Ctrl-C, because the sweep stops them. That remains so.
    """
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
