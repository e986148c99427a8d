"""The process in which MLflow records a training run; `recording` starts it.

It ends when the training process ends, even if that process is killed.
"""

import io
import os
import signal
import sys
import threading
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import redirect_stdout, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.process import USER_ERRORS, limit_garbage_collection
from pipeline.tracking.interface import Params, Tags
from pipeline.tracking.quiet import quiet

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun
    from pipeline.tracking.mlflow_tracker import MlflowTracker


class Recording:
    """The run that this process records for the training process."""

    tracker: "MlflowTracker"
    run: "MlflowRun | None" = None

    def __init__(self) -> None:
        """Set that no run is created yet."""
        self._creates_run, self._lock = False, threading.Lock()

    def open(
        self,
        *,
        store: Path,
        experiment: str | None,
        name: str,
        params: Params,
        tags: Tags,
        start: int,
        diff: str,
    ) -> tuple[str, str]:
        """Open or resume a run, and return its id and label."""
        from pipeline.tracking.mlflow_tracker import MlflowTracker
        from pipeline.tracking.store import open_store

        self.tracker = MlflowTracker(open_store(store, experiment), None)
        with self._lock:
            self._creates_run = True
        self.run = self.tracker.open_run(name, tags, start)
        self.record("log_start", params, tags, diff)
        return self.run.id, self.run.label

    def end_without_run(self, *signal: object) -> None:
        """End this process, unless it has a run, which must be closed."""
        with self._lock:
            if not self._creates_run:
                os._exit(1)

    def record(self, method: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Call a method of the run."""
        with self.tracker.store.translate_errors():
            return getattr(self.run, method)(*arguments, **options)

    def close(self, status: str, error: str) -> str | None:
        """Close the run, and return its id; return None if it was not opened."""
        if self.run is None:
            return None
        self.tracker.close_run(self.run.id, status, error)
        return self.run.id


def import_mlflow() -> None:
    """Import MLflow and what uses it."""
    with quiet():
        from pipeline.tracking import mlflow_tracker  # noqa: F401


def _serve(connection: Connection, printed: io.StringIO) -> None:
    """Answer requests until the process that sends them ends, even if it is killed."""
    limit_garbage_collection()
    recording, thread = Recording(), ThreadPoolExecutor(1)
    signal.signal(signal.SIGTERM, recording.end_without_run)
    thread.submit(import_mlflow)
    while True:
        try:
            method, arguments, options = connection.recv()
        except (EOFError, ConnectionError):
            os._exit(1)  # even in the middle of a request
        answer = thread.submit(getattr(recording, method), *arguments, **options)
        answer.add_done_callback(partial(_send, connection, printed))


def _send(connection: Connection, printed: io.StringIO, answer: "Future[Any]") -> None:
    """Send the result or the error, and everything that was printed so far."""
    error = answer.exception()
    if error and not isinstance(error, USER_ERRORS):
        # It may not be possible to send the exception itself.
        error = RuntimeError("".join(traceback.format_exception(error)))
    with suppress(ConnectionError):
        result = None if error else answer.result()
        connection.send((result, error, printed.getvalue()))


if __name__ == "__main__":
    with redirect_stdout(io.StringIO()) as printed:  # stderr is printed at once
        _serve(Connection(int(sys.argv[1])), printed)
