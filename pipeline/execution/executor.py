"""The base of executors, which run a function for several tasks at a time.

`local` uses processes of this machine, `cluster` the nodes of a Ray cluster. They run
any function of a data set: sweeps train networks with them, `export` converts networks.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.process import is_user_error

MAX_TRIES = 3  # of a task whose worker is lost
POLL_SECONDS = 0.5  # after which an executor notices that it was stopped


@dataclass(frozen=True)
class Task:
    """A call of the function: `function(dataset, **arguments)`."""

    key: str  # identifies the task for the caller
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


@dataclass
class _Attempt:
    """An attempt to run a task."""

    task: Task
    counted: int = 0  # how many attempts count; see `Executor.run`
    is_repetition: bool = False  # the worker of an earlier attempt was lost
    ran_alone: bool = True  # no other task has run beside it


@dataclass
class _Attempts:
    """What a call of `Executor.run` has to do."""

    tasks: Iterator[Task]  # that were not started yet
    repeated: deque[_Attempt] = field(default_factory=deque)  # started before those
    running: dict[Any, _Attempt] = field(default_factory=dict)  # by handle

    @property
    def are_repeating(self) -> bool:
        """Whether a task whose worker was lost is waiting or running."""
        attempts = (*self.repeated, *self.running.values())
        return any(each.is_repetition for each in attempts)

    def next(self) -> _Attempt | None:
        """Return the next attempt to start; None if there is none."""
        if self.repeated:
            return self.repeated.popleft()
        task = next(self.tasks, None)
        return _Attempt(task) if task else None

    def add(self, call: Any, attempt: _Attempt) -> None:  # noqa: ANN401
        """Add an attempt that was started, with the handle of its call."""
        self.running[call] = attempt
        if len(self.running) > 1:
            for each in self.running.values():
                each.ran_alone = False


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
        attempts = _Attempts(iter(tasks))
        self._fill(function, attempts)
        while attempts.running and not self._is_stopped:
            results = []
            try:
                for call in self._ended(attempts.running, timeout=POLL_SECONDS):
                    results.append(self._end(call, attempts))
                self._fill(function, attempts)
            except BaseException:  # no other call can be started
                yield from results  # they have arrived, and are not lost
                raise
            yield from self._valid(results)
        ended = self._ended(attempts.running, timeout=0.0)
        yield from self._valid([self._end(call, attempts) for call in ended])

    def _fill(self, function: Callable[..., Any], attempts: _Attempts) -> None:
        """Start attempts until all workers are busy or no task is left."""
        while True:
            is_alone = self.repeats_alone and attempts.are_repeating
            if len(attempts.running) >= (1 if is_alone else self.workers):
                return
            attempt = attempts.next()
            if attempt is None:
                return
            attempts.add(self._start(function, attempt.task), attempt)

    def _end(self, call: Any, attempts: _Attempts) -> Result:  # noqa: ANN401
        """Return the result of a call that has ended; repeat it if needed."""
        attempt = attempts.running.pop(call)
        if attempt.ran_alone or not self.repeats_alone:
            attempt.counted += 1
        is_last = attempt.counted == MAX_TRIES
        result = self._result(call, attempt.task, final=is_last)
        if not result.final:
            again = _Attempt(attempt.task, attempt.counted, is_repetition=True)
            attempts.repeated.append(again)
        return result

    def _valid(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yield results; after `stop`, not those of tasks that are to be repeated."""
        for result in results:
            if result.final or not self._is_stopped:
                yield result

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
        """Wait at most `timeout` seconds until a call has ended; return ended calls.

        With a timeout of 0, all calls that have ended are returned.
        """

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
