"""Opens the tracker that the configuration names; finds and copies its runs.

MLflow is imported inside these functions, because it takes a second.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import UserError
from pipeline.paths import MODEL_FILE
from pipeline.terminal import status, wrap
from pipeline.tracking import mirror
from pipeline.tracking.interface import PARENT_TAG, RecordedRun, Tracker, database_path
from pipeline.tracking.quiet import quiet
from pipeline.tracking.recording import RecordingTracker

if TYPE_CHECKING:
    from pipeline.tracking.store import Store


def open_tracker(
    kind: str, store: Path, *, server: str | None, experiment: str | None = None
) -> Tracker:
    """Return the tracker for a value of the key `tracking`: "mlflow" or "none".

    The folder `store` is created if necessary, and a server receives copies of the
    runs. New runs belong to `experiment`; None is the default.

    Raises:
        UserError, OSError: If the store cannot be opened.
    """
    if kind == "none":
        return Tracker()
    with status("opening MLflow's store"):
        opened = _open_store(store, experiment)
        from pipeline.tracking.mlflow_tracker import MlflowTracker
    if mirror.names_another_store(store):
        other = "the store of MLFLOW_TRACKING_URI or mlflow.set_tracking_uri"
        print(wrap(f"runs are recorded in {database_path(store)}, not in {other}"))
    return MlflowTracker(opened, server)


@contextmanager
def prepared_recording(
    kind: str, store: Path, *, server: str | None, experiment: str | None = None
) -> Iterator[Callable[[], Tracker]]:
    """Start a process that imports MLflow; it records one run and ends with the block.

    Yields a function that returns the tracker of the run, and does not wait. If the
    store cannot be opened, the first method of the run raises the error. If this
    process has imported MLflow itself, the other one would save no time, and is not
    started. Arguments: see `open_tracker`.
    """
    if kind == "none" or "mlflow" in sys.modules:
        yield partial(open_tracker, kind, store, server=server, experiment=experiment)
        return
    with closing(RecordingTracker(store, server, experiment)) as tracker:
        yield lambda: tracker


def find_training_run(text: str, *, store: Path) -> RecordedRun:
    """Find a recorded training run by its id, the start of its id, or its name.

    Raises:
        UserError: If the store does not have exactly one such run, or it has no
            network.
    """
    run = open_existing_store(store).find(text)
    if not (run.folder / "train" / MODEL_FILE).exists():
        reason = f"it is {run.status}"
        if (run.folder / "sweep").exists():
            reason = "it is a sweep; enter the id of one of its child runs"
        raise UserError(f"{_label(run)} has no network: {reason}")
    return run


def find_sweep(text: str, *, store: Path) -> tuple[RecordedRun, list[RecordedRun]]:
    """Find a recorded sweep, and its finished training runs, oldest first.

    `text` is the id of its run, the start of the id, or its name.

    Raises:
        UserError: If the store does not have exactly one such run, or the run is not a
            sweep or has no finished training run.
    """
    opened = open_existing_store(store)
    sweep = opened.find(text)
    label = _label(sweep)
    if parent := sweep.tags.get(PARENT_TAG):
        raise UserError(f"{label} is part of a sweep: enter the sweep's id, {parent}")
    if sweep.tags.get("kind") != "sweep":
        remedy = "python -m pipeline.train -m hidden=10,20 records one"
        raise UserError(f"{label} is not a sweep; {remedy}")
    children = [
        child
        for child in reversed(opened.tagged(PARENT_TAG, sweep.run_id))
        if child.status == "FINISHED" and "setting" in child.tags  # not a user's child
        if (child.folder / "train" / MODEL_FILE).exists()
    ]
    if not children:
        raise UserError(f"{label} has no finished training run: run the sweep again")
    return sweep, children


def _label(run: RecordedRun) -> str:
    return f"run {run.tags['mlflow.runName']} ({run.run_id})"


def sync_runs(*, store: Path, server: str, run: str | None) -> dict[str, str]:
    """Copy a run and its children, or all closed runs, to a server.

    `run` is the id of the run, the start of the id, or its name.

    Returns:
        The address of each copy by the id of the original; that of `run` is last.

    Raises:
        UserError: If nothing has been recorded yet, there is no such run, or it cannot
            be copied.
        OSError: If the server does not accept them.
    """
    opened = open_existing_store(store)
    from pipeline.tracking.mirror_copy import copy_runs

    with quiet():
        opened.mark_orphaned_runs_killed()
        run_id = opened.find(run).run_id if run else None
        addresses = copy_runs(opened, server, run_id)
    if run_id and run_id not in addresses:
        raise UserError(f"run {run_id} is still running, or its copy was deleted")
    return addresses


def open_existing_store(folder: Path) -> "Store":
    """Open a store to read it, and do not create it.

    Raises:
        UserError, OSError: If nothing is recorded yet, or the store cannot be opened.
    """
    database = database_path(folder)
    if not database.exists():
        remedy = "python -m pipeline.train records one"
        raise UserError(f"{database} is missing: no run is recorded yet; {remedy}")
    return _open_store(folder)


def _open_store(folder: Path, experiment: str | None = None) -> "Store":
    with quiet():  # also while MLflow is imported
        from pipeline.tracking.store import open_store

        return open_store(folder, experiment)
