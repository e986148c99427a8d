"""Records a run in another process, which imports MLflow while this one trains.

Importing MLflow, opening the store and writing to it take three seconds of a training
run. A thread would save no time, because it would hold the interpreter lock.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path
from time import time_ns
from typing import Any

from pipeline.paths import search_path
from pipeline.process import RESUME
from pipeline.terminal import print_error
from pipeline.tracking import mirror, provenance
from pipeline.tracking.interface import Params, Run, Tags, Tracker, closed_with_status

SERVER = "pipeline.tracking.recording_process"
KILLED = "the process that records the run was killed"


class RecordingTracker(Tracker):
    """Records one run in another process; a thread waits for the answers.

    If this process is killed, the recording process ends, too.
    """

    def __init__(self, store: Path, server: str | None, experiment: str | None) -> None:
        """Start the process; see `backend.open_tracker` for the arguments."""
        self._store, self._server, self._experiment = store, server, experiment
        self._connection, other_end = Pipe()
        self._thread = ThreadPoolExecutor(1)
        with other_end:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", SERVER, str(other_end.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[other_end.fileno()],
                env=os.environ | {"PYTHONPATH": search_path()},
                start_new_session=True,  # only this process handles Ctrl-C
            )

    @contextmanager
    def start_run(
        self, *, name: str, params: Params, tags: Tags, lease: str
    ) -> "Iterator[RecordingRun]":
        """Open or resume a run without waiting; the first method raises any error."""
        start = time_ns() // 1_000_000
        opened = self._thread.submit(
            lambda: self._call(
                "open",
                store=self._store,
                experiment=self._experiment,
                name=name,
                params=params,
                tags=provenance.run_tags(tags, lease),  # takes 0.2 s
                start=start,
                diff=provenance.code_diff(),
            )
        )

        def close_run(status: str, error: str) -> None:
            run_id = None
            try:
                # Waits until the run is open, unless there is a further interrupt.
                run_id = self.call("close", status, error)
            except OSError:
                if status == "FINISHED":
                    raise
                # The error of the block is more important.
                print_error(f"the run could not be marked {status}: {KILLED}")
            finally:
                self.close()
            if run_id and self._server and status != "KILLED":
                mirror.mirror_run(self._store, self._server, run_id)

        with closed_with_status(close_run):
            yield RecordingRun(self, opened)

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Call a method of `Recording` in the process, and wait for its result.

        The thread waits, so an interrupt cannot separate a request from its answer.
        """
        return self._thread.submit(self._call, method, *arguments, **options).result()

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            self._connection.send((method, arguments, options))
            result, error = self._connection.recv()
        except (EOFError, ConnectionError):
            raise OSError(f"{KILLED}; {RESUME}") from None
        if error:
            raise error
        return result

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._thread.shutdown()
        self._connection.close()


def _in_process(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that calls the same method in the recording process."""

    def call(run: "RecordingRun", *arguments: object, **options: object) -> object:
        run.opened.result()
        return run.tracker.call("record", method.__name__, *arguments, **options)

    return call


class RecordingRun(Run):
    """The run in the recording process; each method waits until the data is stored.

    It has no children: a sweep is not recorded in another process.
    """

    def __init__(
        self, tracker: RecordingTracker, opened: "Future[tuple[str, str]]"
    ) -> None:
        """Store the tracker and the future id and label of the run."""
        self.tracker, self.opened = tracker, opened

    @property
    def id(self) -> str:  # type: ignore[override]
        """The id of the run in MLflow."""
        return self.opened.result()[0]

    @property
    def label(self) -> str:  # type: ignore[override]
        """Name and id of the run."""
        return self.opened.result()[1]

    log_history = _in_process(Run.log_history)
    log_image = _in_process(Run.log_image)
    log_text = _in_process(Run.log_text)
    log_files = _in_process(Run.log_files)
    log_model = _in_process(Run.log_model)
    log_dataset = _in_process(Run.log_dataset)
    set_tags = _in_process(Run.set_tags)
    describe = _in_process(Run.describe)
    describe_results = _in_process(Run.describe_results)
    link = _in_process(Run.link)
