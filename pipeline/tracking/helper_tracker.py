"""Records a run in a helper process, which imports MLflow while this process trains.

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

from pipeline.base.printing import is_quiet
from pipeline.base.process import disable_telemetry
from pipeline.base.tags import Status
from pipeline.base.terminal import print_error
from pipeline.execution.helper_process import HelperKilled, HelperProcess
from pipeline.tracking import provenance
from pipeline.tracking.interface import Arguments, OpenRun, Run, RunStart
from pipeline.tracking.null import NullRun
from pipeline.tracking.selection import (
    check_store,
    experiment_of,
    new_tracker,
    open_tracker,
)
from pipeline.tracking.tracker import LocalTracker, Tracker

RECORDER = "the process that records the run"
# The copying to a server takes half a second of CPU time, and a server on this machine
# takes as much. On two cores, both would delay training without a lower priority.
COPYING_NICENESS = 3


class HelperRun(OpenRun):
    """The run in the helper process; properties wait until the run is open."""

    def __init__(
        self, helper: HelperProcess, opened: "Future[tuple[str, str, Path]]"
    ) -> None:
        """Set the process, and the future id, label and artifacts of the run."""
        self._helper, self._opened = helper, opened
        self._calls: list[Future[Any]] = [opened]  # calls that may still raise an error

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
        **options: Arguments.kwargs,
    ) -> None:
        """Call function(run, ...) in the helper process without waiting."""
        self._check(wait=False)
        call = self._helper.submit(_record, function, *arguments, **options)
        self._calls.append(call)

    def wait(self) -> None:
        """Wait until all calls of `submit` are made; raise their first error."""
        self._check(wait=True)

    def _check(self, *, wait: bool) -> None:
        while self._calls and (wait or self._calls[0].done()):
            self._calls.pop(0).result()


class HelperTracker(Tracker[HelperRun]):
    """Records one run in a helper process, which ends with this process."""

    experiment: str

    def __init__(self, store: Path, server: str | None, experiment: str) -> None:
        """Start the process; see `new_tracker` for the arguments."""
        super().__init__(store, server=server, experiment=experiment)
        self._is_used = False
        disable_telemetry()
        niceness = COPYING_NICENESS if server else 0
        self._helper = HelperProcess(
            RECORDER, channels=2, niceness=niceness, quiet=is_quiet()
        )
        self._helper.submit(import_module, "pipeline.tracking.mlflow_tracker")
        _, self.copying_channel = self._helper.channels

    def open_run(self, start: RunStart) -> HelperRun:
        """Open or resume a run without waiting.

        If the store cannot be opened, the first call that waits raises the error.
        """
        assert not self._is_used, "the helper process records only one run"
        self._is_used = True
        opened = self._helper.submit(_open, self.store, self.experiment, start)
        return HelperRun(self._helper, opened)

    def close_run(self, run: OpenRun, status: Status, error: str | None) -> str | None:
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

    def close(self) -> None:
        """End the process."""
        self._helper.close()


@contextmanager
def start_tracker(
    store: Path, *, server: str | None, experiment: str | None, is_recorded: bool = True
) -> Iterator[Tracker[OpenRun]]:
    """Start a process that imports MLflow, records one run and ends with the block.

    If this process has already imported MLflow, another process would save no time and
    is not started. `new_tracker` describes the arguments.
    """
    if is_recorded and "mlflow" not in sys.modules:
        check_store(store)
        name = experiment_of(experiment)
        with closing(HelperTracker(store, server, name)) as tracker:
            _ = tracker.code  # takes 0.1 s, in which the process imports MLflow
            yield tracker
        return
    yield new_tracker(
        store,
        server=server,
        experiment=experiment,
        code=provenance.code_state(),  # now, because files may change later
        is_recorded=is_recorded,
    )


# The functions below run in the helper process, which records one run.

_tracker: LocalTracker | None = None
_run: Run = NullRun()


def _open(store: Path, experiment: str, start: RunStart) -> tuple[str, str, Path]:
    """Open or resume the run, and return its id, label and artifacts."""
    global _tracker, _run
    tracker = open_tracker(store, server=None, experiment=experiment, code=None)
    _tracker, _run = tracker, tracker.open_run(start)
    assert _run.run_id and _run.artifacts
    return _run.run_id, _run.label, _run.artifacts


def _record(
    function: Callable[Concatenate[Run, Arguments], None],
    /,
    *arguments: Arguments.args,
    **options: Arguments.kwargs,
) -> None:
    _run.submit(function, *arguments, **options)


def _close(status: Status, error: str | None) -> str | None:
    """Close the run, and return its id; return None if it was not opened."""
    return _tracker.close_run(_run, status, error) if _tracker else None
