"""Runs tasks in processes of this machine; each worker is a `HelperProcess`.

`_import`, `_run_task` and `_load` run in the workers.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache
from importlib import import_module
from typing import Any

from joblib import cpu_count

from pipeline import UserError
from pipeline.base.helper_process import HelperKilled, HelperProcess
from pipeline.base.resources import check_memory, free_memory
from pipeline.base.terminal import is_quiet
from pipeline.base.text import format_bytes
from pipeline.core.dataset import DataFile, Dataset
from pipeline.execution.executor import (
    Executor,
    LostAttempt,
    Task,
    TaskResult,
    failure,
)
from pipeline.records.software import Software, processor

# Memory for PyTorch and MNIST, with a shuffled copy of the images; measured: 0.55 GB.
WORKER_BYTES = 600_000_000
# Memory that the main process will still need for PyTorch, MLflow and the data;
# measured: 0.38 GB.
MAIN_PROCESS_BYTES = 400_000_000
KILLED = "its worker was killed, possibly because memory ran out"


class LocalExecutor(Executor):
    """Runs tasks in processes that end with the `with` block or with this process."""

    repeats_alone = True

    def __init__(self, workers: int, *, module: str | None = None) -> None:
        """Set the number of processes, and the module that each process imports first.

        Without a module, a process starts when it gets its first task.
        """
        self._software = Software.here()
        self._module = module
        self._processes: list[HelperProcess | None] = [None] * workers
        self._calls: list[Future[Any] | None] = [None] * workers  # the last of each

    @classmethod
    def create(
        cls,
        *,
        workers: int | None,
        tasks: int,
        task_bytes: int,
        module: str,
    ) -> "LocalExecutor":
        """Return an executor with at most as many processes as the memory allows."""
        free = max(0, free_memory() - MAIN_PROCESS_BYTES)
        workers = choose_workers(
            requested=workers, tasks=tasks, task_bytes=task_bytes, free=free
        )
        return cls(workers, module=module)

    @classmethod
    def known_processors(cls) -> frozenset[str]:
        """Return the processors of this machine; this imports PyTorch."""
        return frozenset([processor()])

    @property
    def workers(self) -> int:
        """The number of processes."""
        return len(self._processes)

    def __enter__(self) -> "LocalExecutor":
        """Start the processes if they import a module, which takes about a second."""
        try:
            for index in range(self.workers if self._module else 0):
                self._running_process(index)
            self.processors = self.known_processors()
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
            if self._module:
                process.submit(_import, self._module)
        return process

    def _start(self, function: Callable[..., Any], task: Task) -> "Future[Any]":
        # After a `run` that was not finished, all processes may still be busy.
        free = (i for i, call in enumerate(self._calls) if not call or call.done())
        process = self._running_process(index := next(free, 0))
        called = function, task.data_file, task.arguments
        arguments = self._software, self._module, *called
        self._calls[index] = call = process.submit(_run_task, *arguments)
        return call

    def _wait(
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


def choose_workers(
    *, requested: int | None, tasks: int, task_bytes: int, free: int
) -> int:
    """Return the number of workers: one per core, but not more than memory allows.

    The number of cores respects the processor affinity and the quota of the container.

    Args:
        requested: The value of `workers`; None for as many as the machine can run.
        tasks: The number of tasks.
        task_bytes: The memory of a task, in addition to PyTorch and the data.
        free: The memory in bytes that workers can use.

    Raises:
        UserError: If the memory is too small for `requested` workers, or for a single
            worker.
    """
    needed = WORKER_BYTES + task_bytes
    check_memory(needed, free=free, what="a worker")
    possible = free // needed
    workers = min(tasks, requested or min(cpu_count(), possible))
    if workers > possible:
        sizes = f"each needs {format_bytes(needed)}, and {format_bytes(free)} is free"
        raise UserError(f"workers must be at most {possible}, got {requested}: {sizes}")
    return workers


# The functions below run in the workers.


def _import(module: str) -> None:
    import_module(module)


def _run_task(
    software: Software,
    module: str | None,
    function: Callable[..., Any],
    data_file: DataFile,
    arguments: Mapping[str, Any],
) -> object:
    # The code may have been edited before this process started.
    software.check("a worker", remedy="start the program again")
    if module:
        _import(module)  # an error at the start of the process is raised again
    return function(_load(data_file), **arguments)


@lru_cache(2)  # 55 MB each
def _load(data_file: DataFile) -> Dataset:
    return data_file.read()
