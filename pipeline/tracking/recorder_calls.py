"""The functions that an `OpenRun` calls in the process that records.

Runs in the process that records.

An `OpenRun` and the `Run` that it stands for have the same key. The main process
imports this module to pass the functions on. Therefore, only the functions import
modules that import MLflow.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec

from pipeline.base.process import disable_telemetry
from pipeline.base.progress import busy
from pipeline.base.tags import Status
from pipeline.base.urls import database_path
from pipeline.tracking.run_data import RunStart

if TYPE_CHECKING:  # importing MLflow takes a second
    from pipeline.tracking.mlflow_run import Run

Arguments = ParamSpec("Arguments")

_runs: dict[int, "Run"] = {}  # the open runs of this process, by key


class RunInfo(NamedTuple):
    """What the main process knows of an open run."""

    run_id: str
    label: str  # name and id, for messages
    artifacts: Path


def import_mlflow() -> None:
    """Import MLflow early."""
    disable_telemetry()
    with busy("importing MLflow"):
        import pipeline.tracking.run_lifecycle  # noqa: F401


def open_store(store: Path) -> None:
    """Import MLflow, and open the store unless it is missing.

    Raises:
        UserError, OSError: If the store cannot be used.
    """
    import_mlflow()
    from pipeline.tracking import run_lifecycle

    if database_path(store).exists():
        run_lifecycle.new_client(store)


def start_run(key: int, store: Path, experiment: str, start: RunStart) -> RunInfo:
    """Create a run, or resume a run."""
    import_mlflow()
    from pipeline.tracking import run_lifecycle

    return _add(key, run_lifecycle.start_run(store, experiment, start))


def reopen_run(
    key: int,
    store: Path,
    experiment: str,
    run_id: str | None,
    weights_sha256: str | None,
) -> RunInfo:
    """Open the closed run of a network or sweep; see `Tracker.reopen_run`."""
    import_mlflow()
    from pipeline.tracking import run_lifecycle

    return _add(
        key, run_lifecycle.reopen_run(store, experiment, run_id, weights_sha256)
    )


def start_child(key: int, parent: int, start: RunStart) -> RunInfo:
    """Create a child of an open run."""
    return _add(key, _runs[parent].start_child(start))


def _add(key: int, run: "Run") -> RunInfo:
    _runs[key] = run
    return RunInfo(run.run_id, run.label, run.artifacts)


def record(
    key: int,
    function: "Callable[Concatenate[Run, Arguments], None]",
    /,
    *arguments: Arguments.args,
    **keywords: Arguments.kwargs,
) -> None:
    """Call a function with a run; if it was not opened, its error was reported."""
    if run := _runs.get(key):
        function(run, *arguments, **keywords)


def complete_child(key: int, failure: str | None, end: int | None) -> None:
    """Record the data of a child that has ended, and close it."""
    _runs[key].complete(failure, end)


def close(key: int, status: Status, error: str | None) -> str | None:
    """Close a run and return its id; return None if it was not opened."""
    from pipeline.tracking import run_lifecycle

    run = _runs.pop(key, None)
    return run_lifecycle.close(run, status, error) if run else None


def forget(key: int) -> None:
    """Remove a child from the open runs."""
    _runs.pop(key, None)
