"""The base of executors, which run a function for several tasks at a time.

`local` uses processes of this machine, and `cluster` uses the nodes of a Ray cluster.
Executors run any function of a data set: sweeps and `grade` train networks, and
`export` converts networks.
"""

import itertools
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pipeline.base.error_messages import is_user_error
from pipeline.core.dataset import DataFile
from pipeline.records.software import OtherSoftware

MAX_TRIES = 3  # attempts to run a task whose worker is lost
POLL_SECONDS = 0.5  # between two checks whether the executor was stopped

Known = TypeVar("Known")  # what needs no worker; see `Executor.run`


@dataclass(frozen=True)
class Task:
    """A call to the function: `function(dataset, **arguments)`."""

    job: Any  # what the caller wants to compute; the executor does not use it
    data_file: DataFile  # the data set, which each worker loads once
    arguments: Mapping[str, Any]  # plain values and arrays


@dataclass(frozen=True)
class TaskResult:
    """The result of a task."""

    job: Any  # see `Task`
    value: Any = None  # what the function returned
    # The tags of the machine that computed the value; empty if it is this machine.
    machine: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None  # one line: why the task failed; None if it succeeded
    traceback: str | None = None  # set for an error in the program


@dataclass(frozen=True)
class LostAttempt:
    """An attempt to run a task that ended because its worker was lost."""

    job: Any  # see `Task`
    error: str  # one line: how the worker was lost


@dataclass
class _Attempt:
    """An attempt to run a task."""

    task: Task
    failures: int = 0  # earlier failed attempts that count toward `MAX_TRIES`
    is_repetition: bool = False
    counts: bool = True  # whether a failure counts toward `MAX_TRIES`


class _Attempts(Generic[Known]):
    """The attempts to run tasks, and the rule for tasks whose worker was lost.

    Such a task is tried again, before new tasks, until `MAX_TRIES` attempts have
    failed. With `repeat_alone`, the task is tried again while no other task runs, and
    only these attempts count, because another task may have used all memory.
    """

    def __init__(self, tasks: Iterable[Task | Known], *, repeat_alone: bool) -> None:
        """Take each task from `tasks` only when it can be started."""
        self._tasks, self._repeat_alone = iter(tasks), repeat_alone
        self._waiting = deque[_Attempt]()  # the repetitions
        self.running: dict[Any, _Attempt] = {}  # attempts by the handle of the call

    def next(self, workers: int) -> list[_Attempt | Known]:
        """Return the attempt to start now in a list; [] if no attempt can be started.

        If the next of the `tasks` is not a task, the list contains it as it is.
        """
        attempts = *self._waiting, *self.running.values()
        is_alone = self._repeat_alone and any(each.is_repetition for each in attempts)
        if len(self.running) >= (1 if is_alone else workers):
            return []
        if self._waiting:
            return [self._waiting.popleft()]
        found = itertools.islice(self._tasks, 1)
        return [_Attempt(x) if isinstance(x, Task) else x for x in found]

    def start(self, call: Any, attempt: _Attempt) -> None:  # noqa: ANN401
        """Add an attempt that was started, with the handle of its call."""
        self.running[call] = attempt
        if self._repeat_alone and len(self.running) > 1:
            for each in self.running.values():
                each.counts = False

    def repeat(self, lost: _Attempt) -> bool:
        """Try the task of a lost attempt again; return False after `MAX_TRIES`."""
        failures = lost.failures + 1 if lost.counts else lost.failures
        if failures == MAX_TRIES:
            return False
        self._waiting.append(_Attempt(lost.task, failures, is_repetition=True))
        return True


class Executor(AbstractContextManager["Executor"]):
    """Runs functions in other processes, which start and end with the `with` block."""

    processors: frozenset[str]  # the names of the processors that compute
    # Whether a task whose worker was lost is repeated when no other task is running.
    repeats_alone = False
    _is_stopped = False

    @classmethod
    @abstractmethod
    def create(
        cls,
        *,
        workers: int | None,
        tasks: int,
        task_bytes: int,
        module: str,
    ) -> "Executor":
        """Return an executor, which starts its workers in a `with` block.

        Args:
            workers: The number of local workers; None for as many as this machine can
                run.
            tasks: The expected number of tasks, at least 1.
            task_bytes: The memory of a task, in addition to PyTorch and the data.
            module: The name of the module that local workers import first.

        Raises:
            UserError: If the memory is too small for the workers.
        """

    @classmethod
    def check_environment(cls) -> None:
        """Check what the executor needs on this machine, before work that takes long.

        Raises:
            UserError: If it is missing, such as an environment variable.
        """

    @classmethod
    def known_processors(cls) -> frozenset[str]:
        """Return those of the `processors` that are known before the start."""
        return frozenset()

    @property
    @abstractmethod
    def workers(self) -> int:
        """The number of tasks that are computed at the same time."""

    def run(
        self, function: Callable[..., Any], tasks: Iterable[Task | Known]
    ) -> Iterator[TaskResult | LostAttempt | Known]:
        """Run a function for each task, and yield each result when its task ends.

        A lost attempt is yielded too if its task is tried again. Anything else in
        `tasks`, such as a result that is already known, is yielded as it is, before
        the next task is taken.

        Args:
            function: A function of a module that returns plain values and arrays.
            tasks: The tasks. When a worker is free, a task is taken before the caller
                handles the result that has arrived, so that the worker does not wait.

        Raises:
            UserError: If no worker can be started.
        """
        attempts = _Attempts(tasks, repeat_alone=self.repeats_alone)
        error: Exception | None = None
        known: list[Known] = []
        is_last = False
        while not (error or is_last):
            # `stop` can be called during the wait. One more round, which does not wait,
            # then yields all results that have arrived.
            was_stopped = self._is_stopped
            timeout = 0.0 if was_stopped or known else POLL_SECONDS
            results, error = self._collect(attempts, timeout=timeout)
            known, error = ([], error) if error else self._fill(function, attempts)
            for result in results:
                # After `stop`, no task is tried again.
                if isinstance(result, TaskResult) or not self._is_stopped:
                    yield result
            yield from known
            is_last = was_stopped or not (attempts.running or known)
        if error:
            raise error

    def _collect(
        self, attempts: _Attempts[Known], *, timeout: float
    ) -> tuple[list[TaskResult | LostAttempt], Exception | None]:
        """Wait for results, and return them, with an error that ends `run`, if any.

        An error in one call does not affect the results of the other calls.
        """
        results: list[TaskResult | LostAttempt] = []
        error: Exception | None = None
        for call in self._wait(attempts.running, timeout=timeout):
            try:
                results.append(self._end_attempt(call, attempts))
            except Exception as raised:  # noqa: BLE001 - raised after the results
                error = error or raised
        return results, error

    def _fill(
        self, function: Callable[..., Any], attempts: _Attempts[Known]
    ) -> tuple[list[Known], Exception | None]:
        """Start attempts until all workers are busy or no task is left.

        Return what is not a task, if it is next, and an error, for example in `tasks`,
        so that the results that have arrived are yielded first. An interrupt is raised
        immediately: it can be inside `tasks`, in the middle of a transaction, so that
        no result can be recorded.
        """
        try:
            while not self._is_stopped and (found := attempts.next(self.workers)):
                (item,) = found
                if not isinstance(item, _Attempt):
                    return [item], None
                attempts.start(self._start(function, item.task), item)
        except Exception as error:  # noqa: BLE001 - raised after the results
            return [], error
        return [], None

    def _end_attempt(
        self,
        call: Any,  # noqa: ANN401
        attempts: _Attempts[Known],
    ) -> TaskResult | LostAttempt:
        """Return the result of a call that has ended; repeat the task if needed."""
        attempt = attempts.running.pop(call)
        result = self._result(call, attempt.task)
        if isinstance(result, LostAttempt) and not attempts.repeat(attempt):
            return TaskResult(result.job, error=result.error)
        return result

    def stop(self) -> None:
        """Make `run` yield the results that have arrived, and end.

        A signal handler may call this method.
        """
        self._is_stopped = True

    @abstractmethod
    def _start(self, function: Callable[..., Any], task: Task) -> Any:  # noqa: ANN401
        """Start a task in a worker, and return a handle of the call."""

    @abstractmethod
    def _wait(self, calls: Iterable[Any], *, timeout: float) -> Iterable[Any]:
        """Wait at most `timeout` seconds until a call has ended; return ended calls.

        With a timeout of 0, the method returns all calls that have ended.
        """

    @abstractmethod
    def _result(self, call: Any, task: Task) -> TaskResult | LostAttempt:  # noqa: ANN401
        """Return the result of a call that has ended.

        Raises:
            OtherSoftware: If the software of the worker differs; see `failure`.
        """


def failure(task: Task, error: BaseException, *, traceback: str) -> TaskResult:
    """Return the result of a task whose function raised an error in its worker.

    Raises:
        OtherSoftware: If the error is an `OtherSoftware`, because other tasks would
            fail too.
    """
    if isinstance(error, OtherSoftware):
        raise error from None
    reason = " ".join(str(error).split())
    if reason and is_user_error(error):
        return TaskResult(task.job, error=reason)
    name = type(error).__name__
    return TaskResult(task.job, error=f"{name}: {reason}", traceback=traceback)
