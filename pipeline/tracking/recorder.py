"""The recording process, which imports MLflow and records one run while `train` trains.

Importing MLflow, opening the store and writing to it take three seconds of a training
run. A thread would save no time, because it would hold the interpreter lock.

`start_recorder` and `HelperRun` are used in the main process. The functions at the end
run in the recording process, where `_run` is the run that a `HelperRun` stands for.
"""

from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path
from typing import Any, Concatenate

from pipeline.base.process import disable_telemetry
from pipeline.base.tags import Status
from pipeline.base.terminal import is_quiet, print_error
from pipeline.execution.helper_process import HelperKilled, HelperProcess
from pipeline.tracking.interface import Arguments, OpenRun, Run, RunStart

RECORDER = "the process that records the run"
OPENER = "pipeline.tracking.run_opener"  # the module that imports MLflow
# The copying to a server takes half a second of CPU time, and a server on this machine
# takes as much. On two cores, both would delay training without a lower priority.
COPYING_NICENESS = 3


def start_recorder(*, is_copying: bool) -> HelperProcess:
    """Start the process; its second channel can be used to copy the run to a server."""
    disable_telemetry()
    niceness = COPYING_NICENESS if is_copying else 0
    helper = HelperProcess(RECORDER, channels=2, niceness=niceness, quiet=is_quiet())
    helper.submit(import_module, OPENER)
    return helper


class HelperRun(OpenRun):
    """The run in the recording process; properties wait until the run is open.

    If the store cannot be opened, the first call that waits raises the error.
    """

    def __init__(
        self, helper: HelperProcess, store: Path, experiment: str, start: RunStart
    ) -> None:
        """Open or resume a run in the process, without waiting."""
        self._helper = helper
        self._opened = helper.submit(_open, store, experiment, start)
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
        **options: Arguments.kwargs,
    ) -> None:
        """Call function(run, ...) in the recording process without waiting."""
        self._check(wait=False)
        call = self._helper.submit(_record, function, *arguments, **options)
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


# The functions below run in the recording process.

_run: Run | None = None


def _open(store: Path, experiment: str, start: RunStart) -> tuple[str, str, Path]:
    """Open or resume the run, and return its id, label and artifacts."""
    global _run
    from pipeline.tracking.run_opener import RunOpener

    run = RunOpener(store, experiment).open_run(start)
    _run = run
    return run.run_id, run.label, run.artifacts


def _record(
    function: Callable[Concatenate[Run, Arguments], None],
    /,
    *arguments: Arguments.args,
    **options: Arguments.kwargs,
) -> None:
    """Call a function with the run; if it was not opened, its error was reported."""
    if _run:
        function(_run, *arguments, **options)


def _close(status: Status, error: str | None) -> str | None:
    """Close the run, and return its id; return None if it was not opened."""
    return _run.close(status, error) if _run else None
