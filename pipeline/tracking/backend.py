"""Opens the tracker that the configuration names, and finds and copies recorded runs.

MLflow is imported inside these functions, because it takes a second.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import UserError
from pipeline.paths import MODEL_FILE
from pipeline.tracking import mirror
from pipeline.tracking.interface import RecordedRun, Tracker, database_path

if TYPE_CHECKING:
    from pipeline.tracking.store import Store


def open_tracker(kind: str, store: Path, *, server: str | None) -> Tracker:
    """Return the tracker for a value of the key `tracking`.

    Args:
        kind: "mlflow", or "none" to record nothing.
        store: The folder of the embedded store, which is created if necessary.
        server: The address of an MLflow server that receives copies; None for none.

    Raises:
        UserError: If the store cannot be opened.
    """
    if kind == "none":
        return Tracker()
    opened = _open_store(store)
    from pipeline.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(opened, server)


def find_training_run(text: str, *, store: Path) -> RecordedRun:
    """Find a recorded training run and its files.

    Args:
        text: The id of the run, the first characters of its id, or its name.
        store: The folder of the embedded store.

    Raises:
        UserError: If the store does not have exactly one such run, or the run was
            deleted or has no network.
    """
    runs = _open_existing_store(store).find(text)
    from pipeline.tracking.store import mlflow_command, recorded_run

    if not runs:
        raise UserError(
            f"{database_path(store)} has no run {text!r}: enter the id that "
            "python -m pipeline.train printed, its first characters, or the run's name"
        )
    if len(runs) > 1:
        ids = ", ".join(f"{run.info.run_id} ({run.info.run_name})" for run in runs[:5])
        more = ", ..." if len(runs) > 5 else ""
        raise UserError(f"{text!r} matches several runs: enter one of {ids}{more}")
    run = recorded_run(runs[0])
    if runs[0].info.lifecycle_stage == "deleted":
        command = mlflow_command(store, f"runs restore --run-id {run.run_id}")
        raise UserError(f"run {run.run_id} was deleted: restore it ({command})")
    if not (run.folder / "train" / MODEL_FILE).exists():
        reason = f"it is {run.status}"
        if (run.folder / "sweep").exists():
            reason = "it is a sweep; enter the id of one of its child runs"
        name = run.tags["mlflow.runName"]
        raise UserError(f"run {name} ({run.run_id}) has no network: {reason}")
    return run


def sync_runs(*, store: Path, server: str) -> dict[str, str]:
    """Copy all closed runs to a server; see `mirror.mirror_runs`.

    Raises:
        UserError: If nothing has been recorded yet, or the store cannot be opened.
        OSError: If the server does not accept them.
    """
    _open_existing_store(store).mark_orphaned_runs_killed()
    return mirror.mirror_runs(store, server)


def _open_existing_store(folder: Path) -> "Store":
    """Open a store to read it, and do not create it."""
    database = database_path(folder)
    if not database.exists():
        raise UserError(f"{database} is missing: no run is recorded yet")
    return _open_store(folder)


def _open_store(folder: Path) -> "Store":
    """Set the variables that MLflow reads when it is imported, and open the store."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # nothing leaves this machine
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    from pipeline.tracking.store import open_store

    return open_store(folder)
