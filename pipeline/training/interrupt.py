"""Ctrl-C while a network is trained.

The first one stops a training run after the epoch, a second one immediately. In both
cases the same command resumes from a checkpoint.
"""

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from pipeline.process import RESUME


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
