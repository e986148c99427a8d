"""The recording process, which imports MLflow and records one run while `train` trains.

Runs in the main process; the functions at the end run in the recording process.

Importing MLflow, opening the store and writing to it take three seconds of a training
run. A thread would save no time, because it would hold the interpreter lock.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Concatenate

from pipeline.base.process import disable_telemetry
from pipeline.base.tags import Status
from pipeline.base.terminal import is_quiet, print_error
from pipeline.execution.helper_process import HelperKilled, HelperProcess
from pipeline.tracking.interface import Arguments, OpenRun, Run, RunStart
from pipeline.tracking.tracker import Tracker, check_store, new_tracker

RECORDER = "the process that records the run"
OPENER = "pipeline.tracking.run_opener"  # the module that imports MLflow
# The copying to a server takes half a second of CPU time, and a server on this machine
# takes as much. On two cores, both would delay training without a lower priority.
COPYING_NICENESS = 3


class HelperRun(OpenRun):
    """The run in the recording process; properties wait until the run is open.

    If the store cannot be opened, the first call that waits raises the error.
    """

    def __init__(
        self, helper: HelperProcess, store: Path, experiment: str, start: RunStart
    ) -> None:
        """Open or resume a run in the process, without waiting."""
        self._helper = helper
        self._opened = helper.submit(_start_run, store, experiment, start)
        # The calls that may still raise an error.
        self._calls: list[Future[Any]] = [self._opened]

    @property
    def run_id(self) -> str:
        return self._opened.result()[0]

    @property
    def label(self) -> str:
        return self._opened.result()[1]

    @property
    def artifacts(self) -> Path:
        return self._opened.result()[2]

    def submit(
        self,
        function: Callable[Concatenate[Run, Arguments], None],
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> None:
        """Call function(run, ...) in the recording process without waiting."""
        self._check(wait=False)
        call = self._helper.submit(_record, function, *arguments, **keywords)
        self._calls.append(call)

    def wait(self) -> None:
        """Wait until all calls of `submit` are made; raise their first error."""
        self._check(wait=True)

    def _check(self, *, wait: bool) -> None:
        while self._calls and (wait or self._calls[0].done()):
            self._calls.pop(0).result()

    def close(self, status: Status, error: str | None) -> str | None:
        try:
            # This waits until the run is open, unless there is a further interrupt.
            return self._helper.submit(_close, status, error).result()
        except HelperKilled:
            if status == Status.FINISHED:
                raise
            # The error that ended the run is raised, and not this error.
            reason = f"{RECORDER} was killed"
            print_error(f"the run could not be marked {status}: {reason}")
            return None


class HelperTracker(Tracker[HelperRun]):
    """Records one run in the recording process, which it starts."""

    experiment: str

    def __init__(self, store: Path, *, server: str | None, experiment: str) -> None:
        """Start the process; a second channel is used to copy the run to a server."""
        super().__init__(store, server=server, experiment=experiment)
        self._is_used = False
        disable_telemetry()
        niceness = COPYING_NICENESS if server else 0
        self._helper = HelperProcess(
            RECORDER, channels=2, niceness=niceness, quiet=is_quiet()
        )
        self._helper.submit(import_module, OPENER)
        # The process copies the run too, because it imports MLflow.
        self._copying_channel = self._helper.channels[1]

    def _start_run(self, start: RunStart) -> HelperRun:
        assert not self._is_used, "the recording process records only one run"
        self._is_used = True
        return HelperRun(self._helper, self.store, self.experiment, start)

    def close(self) -> None:
        """End the process."""
        self._helper.close()


@contextmanager
def start_tracker(
    store: Path, *, server: str | None, experiment: str | None
) -> Iterator[Tracker[OpenRun]]:
    """Start a recording process, which records one run and ends with the block.

    If this process has already imported MLflow, another process would save no time and
    is not started. `new_tracker` describes the arguments.
    """
    if experiment is None or "mlflow" in sys.modules:
        tracker = new_tracker(store, server=server, experiment=experiment)
        _ = tracker.code  # now, because files may change later
        yield tracker
        return
    check_store(store)
    with closing(HelperTracker(store, server=server, experiment=experiment)) as helper:
        _ = helper.code  # while the process imports MLflow
        yield helper


# The functions below run in the recording process.

_run: Run | None = None  # the run that a `HelperRun` stands for


def _start_run(store: Path, experiment: str, start: RunStart) -> tuple[str, str, Path]:
    """Open or resume the run, and return its id, label and artifacts."""
    global _run
    from pipeline.tracking.run_opener import RunOpener

    run = RunOpener(store, experiment).start_run(start)
    _run = run
    return run.run_id, run.label, run.artifacts


def _record(
    function: Callable[Concatenate[Run, Arguments], None],
    /,
    *arguments: Arguments.args,
    **keywords: Arguments.kwargs,
) -> None:
    """Call a function with the run; if it was not opened, its error was reported."""
    if _run:
        function(_run, *arguments, **keywords)


def _close(status: Status, error: str | None) -> str | None:
    """Close the run, and return its id; return None if it was not opened."""
    return _run.close(status, error) if _run else None
