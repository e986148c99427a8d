"""The process in which MLflow records a training run; `recording` starts it.

It ends when the training process ends, even if that process is killed.
"""

import os
import sys
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
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
        self.run = self.tracker.open_run(name, tags, start)
        self.record("log_start", params, tags, diff)
        return self.run.id, self.run.label

    def record(self, method: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Call a method of the run."""
        from pipeline.tracking.store import translate_errors

        with translate_errors(self.tracker.store.folder):
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


def _serve(connection: Connection) -> None:
    """Answer requests until the process that sends them ends, even if it is killed."""
    limit_garbage_collection()
    recording, thread = Recording(), ThreadPoolExecutor(1)
    thread.submit(import_mlflow)
    while True:
        try:
            method, arguments, options = connection.recv()
        except (EOFError, ConnectionError):
            os._exit(1)  # even in the middle of a request
        answer = thread.submit(getattr(recording, method), *arguments, **options)
        answer.add_done_callback(partial(_send, connection))


def _send(connection: Connection, answer: "Future[Any]") -> None:
    """Send the result or the error."""
    error = answer.exception()
    if error and not isinstance(error, USER_ERRORS):
        # It may not be possible to send the exception itself.
        error = RuntimeError("".join(traceback.format_exception(error)))
    with suppress(ConnectionError):
        connection.send((None if error else answer.result(), error))


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
