"""Opens the tracker that the configuration names.

MLflow is imported inside these functions, because it takes a second.
"""

import os
from pathlib import Path
from typing import Literal

from pipeline.tracking.interface import RecordedRun, Tracker
from pipeline.tracking.null import NullTracker


def open_tracker(
    kind: Literal["mlflow", "none"], store: Path, *, server: str | None
) -> Tracker:
    """Return the tracker for a value of the key `tracking`.

    Args:
        kind: "mlflow", or "none" to record nothing.
        store: The folder of the embedded store.
        server: The address of an MLflow server that mirrors what is recorded.
    """
    if kind == "none":
        return NullTracker()
    _configure_mlflow()
    from pipeline.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(store, server)


def find_training_run(run_id: str, *, store: Path) -> RecordedRun:
    """Return the run of a training, and its files.

    Raises:
        ValueError: If the store does not have this run, or the run has no network.
    """
    _configure_mlflow()
    from pipeline.tracking import mlflow_tracker

    return mlflow_tracker.find_training_run(run_id, folder=store)


def sync_runs(*, store: Path, server: str) -> dict[str, str]:
    """Copy all closed runs to a server, unless they are already there unchanged.

    Returns:
        The address of each run on the server, by the id of its original.

    Raises:
        ValueError: If nothing was recorded yet, or the store cannot be opened.
        OSError: If the server does not accept them.
    """
    if not (store / "mlflow.db").exists():
        raise ValueError(f"{store / 'mlflow.db'} is missing: nothing was recorded yet")
    _configure_mlflow()
    from pipeline.tracking.mirror import mirror_runs
    from pipeline.tracking.mlflow_tracker import mark_orphaned_runs_killed
    from pipeline.tracking.store import open_store

    mark_orphaned_runs_killed(open_store(store))
    return mirror_runs(store, server)


def _configure_mlflow() -> None:
    """Set what MLflow reads from the environment, before it is imported."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # nothing leaves this machine
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
