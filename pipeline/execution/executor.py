"""The base of executors, which run a function for several tasks at a time.

`local` uses processes of this machine, `cluster` the nodes of a Ray cluster. They run
any function of a data set: sweeps train networks with them, `export` converts networks.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.process import is_user_error

MAX_TRIES = 3  # of a task whose worker is lost
INTERVAL = 0.5  # seconds after which an executor notices that it was stopped


@dataclass(frozen=True)
class Task:
    """A call of the function: `function(dataset, **arguments)`."""

    key: str  # identifies the task for the caller
    data: Path  # the file of the data set, which each worker loads once
    arguments: Mapping[str, Any]  # plain values and arrays


@dataclass
class _Attempt:
    """An attempt to run a task."""

    task: Task
    tries: int = 0  # how many attempts count; see `Executor.run`
    lost: bool = False  # the worker of an earlier attempt was lost
    alone: bool = True  # no other task has run beside it


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
    # Whether a task whose worker was lost is repeated when no other task is running.
    repeats_alone = False
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
        to `MAX_TRIES` times. If the executor `repeats_alone`, an attempt beside other
        tasks does not count: another task may have used all memory.

        Args:
            function: A function of a module; it returns plain values and arrays.
            tasks: The tasks. One is taken when a worker is free, before the caller
                handles the result that has arrived, so that the worker does not wait.

        Raises:
            UserError: If no worker can be started.
        """
        waiting, repeated = iter(tasks), deque[_Attempt]()
        running: dict[Any, _Attempt] = {}  # by handle

        def limit() -> int:
            is_repeating = repeated or any(each.lost for each in running.values())
            return 1 if self.repeats_alone and is_repeating else self.workers

        def fill() -> None:
            while len(running) < limit():
                if repeated:
                    attempt = repeated.popleft()
                elif task := next(waiting, None):
                    attempt = _Attempt(task)
                else:
                    return
                running[self._start(function, attempt.task)] = attempt
                if len(running) > 1:
                    for each in running.values():
                        each.alone = False

        def end(call: Any) -> Result:  # noqa: ANN401
            attempt = running.pop(call)
            attempt.tries += attempt.alone or not self.repeats_alone
            is_last = attempt.tries == MAX_TRIES
            result = self._result(call, attempt.task, final=is_last)
            if not result.final:
                repeated.append(_Attempt(attempt.task, attempt.tries, lost=True))
            return result

        fill()
        while running and not self._is_stopped:
            results = []
            try:
                for call in self._ended(running, timeout=INTERVAL):
                    results.append(end(call))
                fill()
            finally:  # if no other call can be started, what has arrived is not lost
                yield from results
        for call in self._ended(running, timeout=0.0):
            yield self._result(call, running[call].task, final=False)

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


def failure(task: Task, error: BaseException, *, traceback: str) -> Result:
    """Return the result of a task whose function raised an error in its worker."""
    reason = " ".join(str(error).split())
    if reason and is_user_error(error):
        return Result(task, error=reason)
    name = type(error).__name__
    return Result(task, error=f"{name}: {reason}", traceback=traceback)
