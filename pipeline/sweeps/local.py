"""Runs tasks in processes of this machine.

Each worker is a separate process pool with one process. If the system kills a worker,
this shows which task was lost, and the other workers continue.
"""

import multiprocessing
import os
import queue
import shutil
import signal
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.datasets import Dataset
from pipeline.paths import PACKAGE
from pipeline.process import RESUME
from pipeline.sweeps.connection import code_hash
from pipeline.sweeps.executor import MAX_TRIES, Executor, Result, Task, failure
from pipeline.tracking import provenance

KILLED = "its worker was killed; is there enough memory?"


class LocalExecutor(Executor):
    """Runs tasks in processes that end with the `with` block or with this process."""

    def __init__(self, workers: int, *, modules: Sequence[str] = ()) -> None:
        """Set the number of processes, and the modules that they import first."""
        self.workers = workers
        code_hash(PACKAGE)  # before later edits
        self._batch: _Batch | None = None
        self._is_stopped = False
        # A killed worker cannot remove its temporary files.
        self._temporary = tempfile.TemporaryDirectory(
            prefix="pipeline-", ignore_cleanup_errors=True
        )
        folder = self._temporary.name
        self._workers = [_Worker(modules, folder) for _ in range(workers)]

    def __enter__(self) -> "LocalExecutor":
        """Start the processes; their imports take about a second."""
        for worker in self._workers:
            worker.start()
        self.processors = frozenset([provenance.processor()])  # imports PyTorch, too
        return self

    def __exit__(self, *exception: object) -> None:
        """End the processes at once; the results of their tasks are not needed."""
        for worker in self._workers:
            worker.stop()
        for process in multiprocessing.active_children():
            assert process.pid
            process.kill()
            with suppress(ProcessLookupError):  # it has not created its group yet
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
        self._temporary.cleanup()

    def run(
        self,
        function: Callable[..., Any],
        data: Mapping[str, Path],
        tasks: Iterable[Task],
        *,
        ahead: int,
    ) -> Iterator[Result]:
        """Run a function for each task; see `Executor.run`.

        With `ahead`, other threads also take tasks.
        """
        limit = self.workers + ahead
        batch = _Batch(self._workers, function, data, iter(tasks), limit)
        self._batch = batch
        if self._is_stopped:
            return
        batch.fill(restart=True)
        while batch.taken and (ended := batch.ended.get()):
            yield batch.result(*ended)
            batch.release()

    def stop(self) -> None:
        """Let `run` yield the results that have arrived, and end."""
        self._is_stopped = True
        if self._batch:
            self._batch.ended.put(None)


@dataclass(eq=False)
class _Worker:
    """A process, which is replaced by a new one if it is killed."""

    modules: Sequence[str]
    folder: str  # for temporary files
    is_free: bool = True
    is_killed: bool = False
    is_stopped: bool = False
    pool: ProcessPoolExecutor = field(init=False)

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, context, _prepare, (self.folder,))
        self.is_killed = False
        with _without_interrupts():
            self.pool.submit(_import, self.modules)
        # This process must not keep the pipe open for writing: if a worker is killed
        # while it sends a result, the pool would wait forever for the rest.
        self.pool._result_queue._writer.close()  # type: ignore[attr-defined]

    def stop(self) -> None:
        self.is_stopped = True
        self.pool.shutdown(wait=False, cancel_futures=True)


@dataclass
class _Batch:
    """The state of one call of `run`.

    When a task ends, the thread of its pool starts the next one, so that the worker
    does not wait while the caller handles the result. Few tasks are taken before their
    results are handled, because results need memory.
    """

    workers: Sequence[_Worker]
    function: Callable[..., Any]
    data: Mapping[str, Path]
    tasks: Iterator[Task]
    limit: int  # of tasks that are taken and whose result is not yet handled
    taken: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    repeated: deque[Task] = field(default_factory=deque)  # their worker was killed
    # The tasks that have ended; None after `stop`.
    ended: "queue.SimpleQueue[tuple[Task, Future[Any]] | None]" = field(
        default_factory=queue.SimpleQueue
    )
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fill(self, *, restart: bool) -> None:
        """Give tasks to free workers; only the main thread restarts a worker."""
        with self.lock:
            for worker in self.workers:
                for _ in range(2):  # again, if it was killed while it was free
                    if worker.is_killed and restart:
                        worker.start()
                    if worker.is_free and not worker.is_killed:
                        self._give_task(worker)

    def _give_task(self, worker: _Worker) -> None:
        if self.taken == self.limit:
            return
        task = self.repeated.popleft() if self.repeated else next(self.tasks, None)
        if task is None:
            return
        path, arguments = self.data[task.data], dict(task.arguments)
        try:
            code = code_hash(PACKAGE)  # of this process: it is cached
            future = worker.pool.submit(_call, code, self.function, path, arguments)
        except BrokenProcessPool:  # it was killed while it was free
            worker.is_killed = True
            self.repeated.append(task)
            return
        worker.is_free = False
        self.taken += 1
        future.add_done_callback(partial(self._end, worker, task))

    def _end(self, worker: _Worker, task: Task, future: "Future[Any]") -> None:
        if worker.is_stopped:
            return
        with self.lock:
            worker.is_free = True
            worker.is_killed = isinstance(future.exception(), BrokenProcessPool)
        self.ended.put((task, future))
        self.fill(restart=False)

    def result(self, task: Task, future: "Future[Any]") -> Result:
        """Return the result of a task that has ended."""
        error = future.exception()
        if error is None:
            return Result(task, future.result())
        if not isinstance(error, BrokenProcessPool):
            return failure(task, error)
        self.tries[task.key] += 1
        final = self.tries[task.key] == MAX_TRIES
        if not final:
            self.repeated.append(task)
        return Result(task, error=KILLED, final=final)

    def release(self) -> None:
        """Take one more task, because the caller has handled a result."""
        with self.lock:  # without `ahead`, no other thread takes a task in between
            self.taken -= 1
            self.fill(restart=True)


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
