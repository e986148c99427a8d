"""Ctrl-C while networks are trained.

The first Ctrl-C stops the command at a suitable point. The second Ctrl-C stops the
command immediately. In both cases, the same command resumes recorded training. Helper
processes do not get Ctrl-C.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from pipeline.base.error_messages import AGAIN
from pipeline.base.terminal import say


@dataclass
class Interrupt:
    """Whether Ctrl-C was pressed, and the message that Ctrl-C prints."""

    message: str
    requested: bool = False

    def check(self, message: str) -> None:
        """Raise a KeyboardInterrupt if Ctrl-C was pressed."""
        if self.requested:
            raise KeyboardInterrupt(message)


@contextmanager
def delayed_interrupt(
    message: str, stop: Callable[[], object] = lambda: None
) -> Iterator[Interrupt]:
    """Handle Ctrl-C in a block.

    The first Ctrl-C sets `Interrupt.requested`, calls `stop` and prints `message`, such
    as "stopping after this epoch". The second Ctrl-C raises a KeyboardInterrupt.

    Nothing changes in a thread, in a process that ignores Ctrl-C, as with nohup, and in
    a process whose handler is not written in Python and could not be restored.
    """
    interrupt = Interrupt(message)

    def handle(number: int, frame: FrameType | None) -> None:
        interrupt.check(f"stopped: {AGAIN}")
        interrupt.requested = True
        stop()
        say(f"{interrupt.message} (press Ctrl-C again to stop now)", file=sys.stderr)

    previous = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if previous in (signal.SIG_IGN, None) or not in_main_thread:
        yield interrupt
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)
