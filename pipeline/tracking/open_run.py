"""An open run, and how its data gets to the recorder.

Runs in the main process; the functions at the end run in the recorder.

`OpenRun.record` sends a function to the other process, where `_record` calls it with
the `MlflowRun`. If a run cannot be opened, its calls do nothing, and the error is
reported once. Test: "a recording that fails in the other process".
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from pipeline.base.helper_process import HelperKilled, HelperProcess
from pipeline.base.terminal import print_error
from pipeline.records.tags import Status
from pipeline.tracking import recorder
from pipeline.tracking.run_data import RunStart
from pipeline.tracking.store.database import RunInfo
from pipeline.tracking.store.mlflow_calls import using_mlflow

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun

RECORDING_PROCESS = "the recording process"
Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")

_keys = count()


class ThisProcess:
    """Calls functions in this process immediately, as a helper process does later."""

    def submit(
        self,
        function: Callable[Arguments, Value],
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> "Future[Value]":
        """Call a function, and return a future with its result or error.

        An interrupt of this process is raised immediately.
        """
        call: Future[Value] = Future()
        try:
            call.set_result(function(*arguments, **keywords))
        except Exception as error:  # noqa: BLE001 - raised by the future
            call.set_exception(error)
        return call


class OpenRun:
    """An open run, which stands for an `MlflowRun` in the recorder.

    MLflow creates the ID of the run when the run is opened. Data can be sent before, so
    the recorder identifies the `MlflowRun` by the number `_key`.

    The constructor, `record` and `wait` raise the first error of the calls that the
    recorder has made by then. In this process, these include the new call; a recording
    process makes it later.
    """

    # Whether the server has a complete copy, when the run is closed; None: no server.
    copied: bool | None = None
    failure: str | None = None  # see `fail`

    def __init__(
        self,
        process: HelperProcess | ThisProcess,
        opening: "Callable[Arguments, MlflowRun]",
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> None:
        """Open the run with a function of `recorder`, perhaps later."""
        self._process, self._key = process, next(_keys)
        self._opened = process.submit(_open, self._key, opening, *arguments, **keywords)
        self._calls: list[Future[Any]] = [self._opened]  # calls that may raise an error
        self._check(wait=False)

    @property
    def _info(self) -> RunInfo:
        """ID, name and folder of the run; wait until it is open."""
        return self._opened.result()

    @property
    def run_id(self) -> str | None:
        """The ID of the run in MLflow; None with tracking=none.

        This property and the next two wait until the run is open.
        """
        return self._info.run_id

    @property
    def label(self) -> str:
        """Name and ID of the run, for messages."""
        return self._info.label

    @property
    def artifacts(self) -> Path | None:
        """The folder of the artifacts; None with tracking=none."""
        return self._info.artifacts

    def fail(self, reason: str) -> None:
        """Mark the run as FAILED if its block ends normally."""
        self.failure = reason

    def record(
        self,
        function: "Callable[Concatenate[MlflowRun, Arguments], None]",
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> None:
        """Call function(run, ...) in the recorder, asynchronously in another process.

        Calls are made in order. The function calls methods of its argument `run`.
        In a run of `start_tracker`, it must be defined in a module, and its arguments
        are sent to another process.

        Raises:
            UserError, OSError: If the run, or data of a call, is lost.
        """
        call = self._process.submit(
            _record, self._key, function, *arguments, **keywords
        )
        self._calls.append(call)
        self._check(wait=False)

    def wait(self) -> None:
        """Wait until all calls are made; raise their first error."""
        self._check(wait=True)

    def _check(self, *, wait: bool) -> None:
        while self._calls and (wait or self._calls[0].done()):
            self._calls.pop(0).result()

    @contextmanager
    def child(self, start: RunStart, *, end: int | None = None) -> Iterator["OpenRun"]:
        """Record a training run of this sweep, which has ended, as a child of this run.

        `end` is in milliseconds since 1970; None means now. When the block ends, the
        child becomes FINISHED, or FAILED after `fail`. If the block fails, or if this
        process is killed in it, the child is deleted when the sweep is resumed.
        """
        child = OpenRun(self._process, _create_child, self._key, start)
        try:
            yield child
            child.wait()
            child.record(recorder.complete_child, child.failure, end)
            child.wait()
        finally:  # the child may be incomplete
            self._process.submit(_forget, child._key)

    def close(self, status: Status, error: str | None) -> str | None:
        """Close the run, record its error, if any, and return its ID, if any.

        A tracker calls this method. It prints a message if the run cannot be closed.

        Raises:
            UserError, OSError: If the run cannot be marked FINISHED.
        """
        try:
            # This waits until the run is open, unless there is another interrupt.
            return self._process.submit(_close, self._key, status, error).result()
        except HelperKilled:
            if status == Status.FINISHED:
                raise
            # The error that ended the run is raised, and not this error.
            print_error(
                f"the run could not be marked {status}: {RECORDING_PROCESS} was killed"
            )
            return None

    def viewing_hint(self) -> str:
        """Return lines with the run, and the command that shows it."""
        return self._info.viewing_hint()


class UnrecordedRun(OpenRun):
    """The run of a call with tracking=none, which drops all data."""

    run_id = artifacts = None
    label = "a run that is not recorded"

    def __init__(self) -> None:
        """Open no run."""

    def record(self, *call: object, **keywords: object) -> None:
        """Drop the data."""

    def wait(self) -> None:
        """Return at once."""

    @contextmanager
    def child(self, start: RunStart, *, end: int | None = None) -> Iterator[OpenRun]:
        """Yield a child that is not recorded."""
        yield UnrecordedRun()

    def close(self, status: Status, error: str | None) -> None:
        """Close no run."""

    def viewing_hint(self) -> str:
        """Return a line that says why there is no command that shows the run."""
        return "run    not recorded (tracking=none)\n"


# The functions below run in the recorder.

_runs: dict[int, "MlflowRun"] = {}  # the open runs, by the key of the `OpenRun`


def _open(
    key: int,
    opening: "Callable[Arguments, MlflowRun]",
    /,
    *arguments: Arguments.args,
    **keywords: Arguments.kwargs,
) -> RunInfo:
    """Open a run, and return what the main process gets of it."""
    run = _runs[key] = opening(*arguments, **keywords)
    return RunInfo(run.run_id, run.name, run.artifacts)


def _create_child(parent: int, start: RunStart) -> "MlflowRun":
    """Create a child of an open run."""
    return recorder.create_child(_runs[parent], start)


def _record(
    key: int,
    function: "Callable[Concatenate[MlflowRun, Arguments], None]",
    /,
    *arguments: Arguments.args,
    **keywords: Arguments.kwargs,
) -> None:
    """Call a function with a run; if it was not opened, its error was reported."""
    if run := _runs.get(key):
        with using_mlflow(run.client.store):
            function(run, *arguments, **keywords)


def _close(key: int, status: Status, error: str | None) -> str | None:
    """Close a run and return its ID; return None if it was not opened."""
    run = _runs.pop(key, None)
    return recorder.end(run, status, error) if run else None


def _forget(key: int) -> None:
    """Remove a child from the open runs, complete or not."""
    _runs.pop(key, None)
