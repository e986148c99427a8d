"""The interface of executors, which run a function for several tasks at a time.

`local.py` uses processes of this machine, `cluster.py` the nodes of a Ray cluster. They
do not depend on training: they can run any function of a module of this project.
"""

import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

from pipeline.process import USER_ERRORS

MAX_TRIES = 3  # of a task whose worker is killed


@dataclass(frozen=True)
class Task:
    """A call of the function: `function(data, **arguments)`."""

    key: str  # identifies the task, such as "hidden=20 seed=3"
    data: str  # the name of a data set, whose `Dataset` is the first argument
    arguments: Mapping[str, Any]  # plain values and arrays


@dataclass(frozen=True)
class Result:
    """The result of a task, or of an attempt that will be repeated."""

    task: Task
    value: Any = None  # what the function returned
    error: str = ""  # one line: why the task or attempt failed; empty if it did not
    traceback: str = ""  # of an error in the program
    final: bool = True  # False: the task will be tried again


@runtime_checkable  # by beartype, in the tests
class Executor(Protocol):
    """Runs functions in other processes, which end with the `with` block."""

    workers: int  # tasks that are computed at the same time
    processors: frozenset[str]  # the names of the processors that compute

    def __enter__(self) -> "Executor":
        """Start the processes."""
        ...

    def __exit__(self, *exception: object) -> None:
        """End them at once."""

    def run(
        self,
        function: Callable[..., Any],
        data: Mapping[str, Path],
        tasks: Iterable[Task],
        *,
        ahead: int,
    ) -> Iterator[Result]:
        """Run a function for each task, and yield each result when its task ends.

        Args:
            function: A function of a module; it returns plain values and arrays.
                PyTorch sends a tensor as an open file of the other process, which may
                be killed before the file is received.
            data: The file of each data set, by name. Each worker loads it once.
            tasks: The tasks. They are taken one by one, when a worker is free, so a
                task can depend on results that were yielded before.
            ahead: How many more tasks than `workers` are taken before a result is
                handled, so that no worker waits for the caller. 0 if a task depends on
                the results before it.

        Raises:
            UserError: If no worker can be started.
        """
        ...

    def stop(self) -> None:
        """Let `run` yield the results that have arrived, and end.

        A signal handler may call this.
        """


def failure(task: Task, error: BaseException) -> Result:
    """Return the result of a task whose function raised an error."""
    reason = " ".join(str(error).split())
    if reason and isinstance(error, USER_ERRORS):
        return Result(task, error=reason)
    text = "".join(traceback.format_exception(error))
    return Result(task, error=f"{type(error).__name__}: {reason}", traceback=text)


@contextmanager
def stop_on_interrupt(executor: Executor, message: str) -> Iterator[Callable[[], bool]]:
    """After Ctrl-C, let the executor stop; a second Ctrl-C stops at once.

    Args:
        executor: The executor.
        message: The message after a second Ctrl-C.

    Yields:
        A function that returns whether Ctrl-C was pressed.
    """
    pressed: list[bool] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt(message)
        pressed.append(True)
        executor.stop()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, previous)
