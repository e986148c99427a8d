"""Runs tasks in processes of this machine; each worker is a `HelperProcess`.

`_import`, `_run_task` and `_load` run in the workers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache
from importlib import import_module
from typing import Any

from pipeline.base.software import Software, processor
from pipeline.base.terminal import is_quiet
from pipeline.core.dataset import DataFile, Dataset
from pipeline.execution.executor import (
    Executor,
    LostAttempt,
    Task,
    TaskResult,
    failure,
)
from pipeline.execution.helper_process import HelperKilled, HelperProcess

KILLED = "its worker was killed, perhaps because memory ran out"


def local_processors() -> frozenset[str]:
    """Return the names of the processors of this machine; import PyTorch for this."""
    return frozenset([processor()])


class LocalExecutor(Executor):
    """Runs tasks in processes that end with the `with` block or with this process."""

    repeats_alone = True

    def __init__(self, workers: int, *, modules: Sequence[str] = ()) -> None:
        """Set the number of processes, and the modules that each process imports first.

        Without modules, a process starts when it gets its first task.
        """
        self._software = Software.here()
        self._modules = modules
        self._processes: list[HelperProcess | None] = [None] * workers
        self._calls: list[Future[Any] | None] = [None] * workers  # last call of each

    @property
    def workers(self) -> int:
        """The number of processes."""
        return len(self._processes)

    def __enter__(self) -> "LocalExecutor":
        """Start the processes if they import modules, which takes about a second."""
        try:
            for index in range(self.workers if self._modules else 0):
                self._running_process(index)
            self.processors = local_processors()
        except BaseException:  # such as too many processes, or Ctrl-C
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """End the processes immediately; the results of their tasks are not needed."""
        for process in filter(None, self._processes):
            process.close()

    def _running_process(self, index: int) -> HelperProcess:
        """Return a process; start it if it is not running."""
        process = self._processes[index]
        if process is None or not process.check_running():
            process = HelperProcess("a worker", quiet=is_quiet())
            self._processes[index] = process
            process.submit(_import, self._modules)
        return process

    def _start(self, function: Callable[..., Any], task: Task) -> "Future[Any]":
        # After a `run` that was not finished, all processes may still be busy.
        free = (i for i, call in enumerate(self._calls) if not call or call.done())
        process = self._running_process(index := next(free, 0))
        arguments = self._software, function, task.data_file, task.arguments
        self._calls[index] = call = process.submit(_run_task, *arguments)
        return call

    def _ended(
        self, calls: "Iterable[Future[Any]]", *, timeout: float
    ) -> "Iterable[Future[Any]]":
        return wait(calls, timeout, FIRST_COMPLETED).done

    def _result(self, call: "Future[Any]", task: Task) -> TaskResult | LostAttempt:
        error = call.exception()
        if error is None:
            return TaskResult(task.job, call.result())
        if isinstance(error, HelperKilled):
            return LostAttempt(task.job, KILLED)
        return failure(task, error, traceback=error.__notes__[-1])


# The functions below run in the workers.


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        import_module(module)


def _run_task(
    software: Software,
    function: Callable[..., Any],
    data_file: DataFile,
    arguments: Mapping[str, Any],
) -> object:
    # The code may have been edited before this process started.
    software.check("a worker", remedy="start the program again")
    return function(_load(data_file), **arguments)


@lru_cache(2)  # 55 MB each
def _load(data_file: DataFile) -> Dataset:
    return data_file.read()
