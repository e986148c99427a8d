"""The base of executors, which run a function for several tasks at a time.

`local.py` uses processes of this machine, `cluster.py` the nodes of a Ray cluster. They
do not depend on training: they can run any function of a module of this project.
"""

import traceback
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.process import USER_ERRORS

MAX_TRIES = 3  # of a task whose worker is killed
INTERVAL = 0.5  # seconds after which an executor notices that it was stopped


@dataclass(frozen=True)
class Task:
    """A call of the function: `function(dataset, **arguments)`."""

    key: str  # identifies the task, such as "hidden=20 seed=3"
    data: Path  # the file of the data set, which each worker loads once
    arguments: Mapping[str, Any]  # plain values and arrays


@dataclass(frozen=True)
class Result:
    """The result of a task, or of an attempt that will be repeated."""

    task: Task
    value: Any = None  # what the function returned
    error: str = ""  # one line: why the task or attempt failed; empty if it did not
    traceback: str = ""  # of an error in the program
    final: bool = True  # False: the task will be tried again


class Executor(AbstractContextManager["Executor"]):
    """Runs functions in other processes, which start and end with the `with` block."""

    processors: frozenset[str]  # the names of the processors that compute
    _is_stopped = False

    @property
    @abstractmethod
    def workers(self) -> int:
        """The number of tasks that are computed at the same time."""

    def run(
        self, function: Callable[..., Any], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Run a function for each task, and yield each result when its task ends.

        An attempt whose worker is lost is yielded, too, and its task is tried again, up
        to `MAX_TRIES` times in total.

        Args:
            function: A function of a module; it returns plain values and arrays.
                PyTorch sends a tensor as an open file of the other process, which may
                be killed before the file is received.
            tasks: The tasks. One is taken when a worker is free, before the caller
                handles the result that has arrived, so that the worker does not wait.

        Raises:
            UserError: If no worker can be started.
        """
        waiting, repeated = iter(tasks), deque[Task]()
        tries: Counter[str] = Counter()
        running: dict[Any, Task] = {}

        def fill() -> None:
            workers = self.workers
            while len(running) < workers:
                task = repeated.popleft() if repeated else next(waiting, None)
                if task is None:
                    return
                running[self._start(function, task)] = task

        fill()
        while running and not self._is_stopped:
            results = []
            for call in self._ended(running, timeout=INTERVAL):
                task = running.pop(call)
                tries[task.key] += 1
                final = tries[task.key] == MAX_TRIES
                results.append(self._result(call, task, final=final))
                if not results[-1].final:
                    repeated.append(task)
            try:
                fill()
            finally:  # if no call can be started, what has arrived is not lost
                yield from results
        for call in self._ended(running, timeout=0.0):
            yield self._result(call, running[call], final=False)

    def stop(self) -> None:
        """Let `run` yield the results that have arrived, and end.

        A signal handler may call this.
        """
        self._is_stopped = True

    @abstractmethod
    def _start(self, function: Callable[..., Any], task: Task) -> Any:  # noqa: ANN401
        """Start a task in a worker, and return a handle of the call."""

    @abstractmethod
    def _ended(self, calls: Iterable[Any], *, timeout: float) -> Iterable[Any]:
        """Wait until calls have ended, at most `timeout` seconds, and return them."""

    @abstractmethod
    def _result(self, call: Any, task: Task, *, final: bool) -> Result:  # noqa: ANN401
        """Return the result of a call that has ended.

        If its worker was lost, `final` is whether this was the last attempt.
        """


def failure(task: Task, error: BaseException) -> Result:
    """Return the result of a task whose function raised an error."""
    reason = " ".join(str(error).split())
    if reason and isinstance(error, USER_ERRORS):
        return Result(task, error=reason)
    text = "".join(traceback.format_exception(error))
    return Result(task, error=f"{type(error).__name__}: {reason}", traceback=text)
