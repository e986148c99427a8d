"""Finds recorded runs by what a user enters: an id, the start of an id, or a name."""

import shlex
from pathlib import Path

from pipeline import UserError
from pipeline.paths import MODEL_FILE
from pipeline.tracking.database import (
    RecordedRun,
    children,
    named_runs,
)
from pipeline.tracking.tags import KIND_TAG, PARENT_TAG
from pipeline.urls import database_path, sqlite_uri


def find_run(text: str, *, store: Path) -> RecordedRun:
    """Return the run with this id, start of an id, or name.

    Raises:
        UserError: If there is not exactly one such run, or it was deleted.
    """
    runs = named_runs(store, text)
    if len(runs) == 1:
        return runs[0]
    if runs:
        ids = [f"{run.run_id} ({run.name})" for run in runs]
        first = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        raise UserError(f"{text!r} matches several runs: enter one of {first}")
    for run in named_runs(store, text, deleted=True):
        command = mlflow_command(store, f"runs restore --run-id {run.run_id}")
        raise UserError(f"run {run.run_id} was deleted: restore it ({command})")
    raise UserError(
        f"{database_path(store)} has no run {text!r}: enter the id that "
        "python -m pipeline.train printed, its first characters, or the run's name"
    )


def find_training_run(text: str, *, store: Path) -> RecordedRun:
    """Find a recorded training run; see `find_run`.

    Raises:
        UserError: If there is not exactly one such run, or it has no network.
    """
    run = find_run(text, store=store)
    if not (run.folder / "train" / MODEL_FILE).exists():
        reason = f"it is {run.status}"
        if run.tags.get(KIND_TAG) == "sweep":
            reason = "it is a sweep; enter the id of one of its child runs"
        raise UserError(f"run {run.label} has no network: {reason}")
    return run


def find_sweep(text: str, *, store: Path) -> tuple[RecordedRun, list[RecordedRun]]:
    """Find a recorded sweep, and its finished training runs, oldest first.

    Raises:
        UserError: If there is not exactly one such run, or the run is not a sweep or
            has no finished training run, or networks of it are lost.
    """
    sweep = find_run(text, store=store)
    if parent := sweep.tags.get(PARENT_TAG):
        raise UserError(
            f"run {sweep.label} is part of a sweep: enter the sweep's id, {parent}"
        )
    if sweep.tags.get(KIND_TAG) != "sweep":
        remedy = "python -m pipeline.train -m hidden=10,20 records one"
        raise UserError(f"run {sweep.label} is not a sweep; {remedy}")
    finished = [
        child
        for child in reversed(children(store, sweep.run_id))
        if child.status == "FINISHED" and child.tags.get(KIND_TAG) == "training"
    ]
    paths = {child.run_id: child.folder / "train" / MODEL_FILE for child in finished}
    if lost := [run_id for run_id, path in paths.items() if not path.exists()]:
        remedy = "delete them, and run the sweep again"
        raise UserError(f"the networks of runs {', '.join(lost)} are lost: {remedy}")
    if not finished:
        remedy = "run the sweep again"
        raise UserError(f"run {sweep.label} has no finished training run: {remedy}")
    return sweep, finished


def mlflow_command(folder: Path, arguments: str) -> str:
    """Return a shell command that runs MLflow on the store in a folder."""
    uri = shlex.quote(sqlite_uri(database_path(folder)))
    return f"MLFLOW_TRACKING_URI={uri} mlflow {arguments}"
