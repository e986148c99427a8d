"""Runs tasks in processes of this machine.

Each worker is a separate process pool with one process. If the system kills a worker,
this shows which task was lost, and the other workers continue.
"""

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.datasets import Dataset
from pipeline.paths import PACKAGE
from pipeline.process import RESUME
from pipeline.sweeps.connection import code_hash
from pipeline.sweeps.executor import Executor, Result, Task, failure
from pipeline.tracking import provenance

KILLED = "its worker was killed; is there enough memory?"


class LocalExecutor(Executor):
    """Runs tasks in processes that end with the `with` block or with this process."""

    def __init__(self, workers: int, *, modules: Sequence[str] = ()) -> None:
        """Set the number of processes, and the modules that they import first.

        Without modules, a process starts when it gets its first task.
        """
        self._code = code_hash(PACKAGE)  # before later edits
        # A killed worker cannot remove its temporary files.
        self._temporary = tempfile.TemporaryDirectory(
            prefix="pipeline-", ignore_cleanup_errors=True
        )
        folder = self._temporary.name
        self._workers = [_Worker(modules, folder) for _ in range(workers)]

    @property
    def workers(self) -> int:
        """The number of processes."""
        return len(self._workers)

    def __enter__(self) -> "LocalExecutor":
        """Start the processes if they have imports, which take about a second."""
        for worker in self._workers:
            if worker.modules:
                worker.start()
        self.processors = frozenset([provenance.processor()])  # imports PyTorch, too
        return self

    def __exit__(self, *exception: object) -> None:
        """End the processes at once; the results of their tasks are not needed."""
        for worker in self._workers:
            if worker.pool:
                worker.pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            assert process.pid
            process.kill()
            with suppress(ProcessLookupError):  # it has not created its group yet
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
        self._temporary.cleanup()

    def _start(self, function: Callable[..., Any], task: Task) -> "Future[Any]":
        worker = min(self._workers, key=lambda worker: worker.is_busy)
        return worker.submit(_call, self._code, function, task.data, task.arguments)

    def _ended(
        self, calls: "Iterable[Future[Any]]", *, timeout: float
    ) -> "Iterable[Future[Any]]":
        return wait(calls, timeout, FIRST_COMPLETED).done

    def _result(self, call: "Future[Any]", task: Task, *, final: bool) -> Result:
        error = call.exception()
        if error is None:
            return Result(task, call.result())
        if isinstance(error, BrokenProcessPool):
            return Result(task, error=KILLED, final=final)
        return failure(task, error)


@dataclass
class _Worker:
    """A process, which is replaced by a new one if it is killed."""

    modules: Sequence[str]
    folder: str  # for temporary files
    pool: ProcessPoolExecutor | None = None
    last: "Future[Any] | None" = None  # its last call

    @property
    def is_busy(self) -> bool:
        return self.last is not None and not self.last.done()

    def start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        self.pool = pool = ProcessPoolExecutor(1, context, _prepare, (self.folder,))
        with _without_interrupts():
            pool.submit(_import, self.modules)
        # This process must not keep the pipe open for writing: if a worker is killed
        # while it sends a result, the pool would wait forever for the rest.
        pool._result_queue._writer.close()  # type: ignore[attr-defined]
        return pool

    def submit(self, *call: Any) -> "Future[Any]":  # noqa: ANN401
        pool = self.pool or self.start()
        try:
            self.last = pool.submit(*call)
        except BrokenProcessPool:  # it was killed
            self.last = self.start().submit(*call)
        return self.last


def _prepare(folder: str) -> None:
    """Set the folder for temporary files, and end this process when the driver ends.

    Processes that a task has started, such as a compiler, also end.
    """
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    os.setpgid(0, 0)
    driver = multiprocessing.parent_process()
    assert driver

    def wait() -> None:
        driver.join()
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _import(modules: Sequence[str]) -> None:
    code_hash(PACKAGE)  # before later edits
    for module in modules:
        import_module(module)


def _call(
    code: str,
    function: Callable[..., Any],
    path: Path,
    arguments: Mapping[str, Any],
) -> object:
    if code_hash(PACKAGE) != code:
        raise UserError(
            f"the code in {PACKAGE} changed while the sweep was running: {RESUME}"
        )
    return function(_load(path), **arguments)


@lru_cache(2)  # 55 MB each
def _load(path: Path) -> Dataset:
    return Dataset.read(path)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which the terminal sends to all of them.

    A new process inherits the blocked signal.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
