"""The embedded store, `mlflow.db` and `mlflow-artifacts` in one folder.

It needs no server and no network, and several processes can write to it at once.
"""

import errno
import os
import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from sqlalchemy.exc import SQLAlchemyError

from pipeline import UserError, files
from pipeline.tracking import mlflow_internals, pages
from pipeline.tracking.interface import (
    LEASE_TAG,
    PARENT_TAG,
    RecordedRun,
    database_path,
    lease_lock,
    sqlite_uri,
)
from pipeline.tracking.quiet import quiet

DEFAULT_EXPERIMENT = "digits"
ARTIFACT_ROOT = re.compile("file:.*/mlflow-artifacts")
STORE_ERRORS = (MlflowException, SQLAlchemyError, sqlite3.Error)
NO_LEASE = "nobody"  # the lease of a run that is closed as soon as it is created
PARENT_LEASE = "parent"  # of a child that the process of its parent records


@dataclass(frozen=True)
class Store:
    """An open store; its methods raise an OSError if the database cannot be used."""

    folder: Path
    client: MlflowClient
    experiment_id: str  # of new runs

    def search(
        self,
        condition: str,
        view: int = ViewType.ACTIVE_ONLY,
        *,
        limit: int = 50_000,  # the most that MLflow accepts
    ) -> list[Run]:
        """Return the runs that meet a condition, newest first and at most `limit`.

        They can be in any experiment that is not deleted.
        """
        with translate_errors(self.folder, "read"):
            ids = [each.experiment_id for each in self.client.search_experiments()]
            return [*self.client.search_runs(ids, condition, view, max_results=limit)]

    def tagged(self, key: str, prefix: str) -> list[RecordedRun]:
        """Return all runs whose tag `key` begins with `prefix`, newest first."""
        database = database_path(self.folder)
        with translate_errors(self.folder, "read"):
            runs = mlflow_internals.tagged_runs(database, key, prefix)
        return [
            RecordedRun(run_id, status, tags, path_from_uri(uri))
            for run_id, (status, uri, tags) in runs.items()
        ]

    def find(self, text: str) -> RecordedRun:
        """Return the run with this id, start of an id, or name.

        Raises:
            UserError: If there is not exactly one such run, or it was deleted.
        """
        named = self.tagged(MLFLOW_RUN_NAME, text)
        runs = {r.run_id: r for r in named if r.tags[MLFLOW_RUN_NAME] == text}
        if re.fullmatch("[0-9a-f]+", text):
            matches = self.search(f"attributes.run_id LIKE '{text}%'")
            runs |= {run.info.run_id: recorded_run(run) for run in matches}
        if not runs:
            self._refuse_deleted_run(text)
            raise UserError(
                f"{database_path(self.folder)} has no run {text!r}: enter the id that "
                "python -m pipeline.train printed, its first characters, or the run's "
                "name"
            )
        if len(runs) > 1:
            ids = [f"{r.run_id} ({r.tags[MLFLOW_RUN_NAME]})" for r in runs.values()]
            first = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
            raise UserError(f"{text!r} matches several runs: enter one of {first}")
        (run,) = runs.values()
        return run

    def _refuse_deleted_run(self, text: str) -> None:
        """Raise a UserError with the command that restores it, if such a run exists."""
        for run in self.search("", ViewType.DELETED_ONLY):
            run_id, name = run.info.run_id, run.info.run_name
            if text and (run_id.startswith(text) or name == text):
                command = _mlflow_command(
                    self.folder, f"runs restore --run-id {run_id}"
                )
                raise UserError(f"run {run_id} was deleted: restore it ({command})")

    def displayed_experiment(self) -> Experiment:
        """Return the experiment whose runs the UI lists first.

        It is the one in MLFLOW_EXPERIMENT_NAME or, by default, that of the newest run.
        """
        experiment_id = self.experiment_id
        if not os.environ.get("MLFLOW_EXPERIMENT_NAME"):
            for newest in self.search("", limit=1):
                experiment_id = newest.info.experiment_id
        with translate_errors(self.folder, "read"):
            return self.client.get_experiment(experiment_id)

    def create_run(
        self, name: str, tags: dict[str, str], start: int | None = None
    ) -> Run:
        """Create a run that started at a time, by default now."""
        return self.client.create_run(
            self.experiment_id, start_time=start, tags=tags, run_name=name
        )

    def mark_orphaned_runs_killed(self) -> None:
        """Mark runs as KILLED if no process holds their lease.

        Leases are files beside the store. A process releases its lease only after it
        has closed its run, so if a lease is free or missing, the process has ended, on
        any host that shares the folder. Runs without a lease belong to other programs.
        """
        with lease_lock(self.folder), translate_errors(self.folder):
            running = self.search("attributes.status = 'RUNNING'")
            leases = {run.info.run_id: run.data.tags.get(LEASE_TAG) for run in running}
            for run in running:
                lease = leases[run.info.run_id]
                if lease == PARENT_LEASE:
                    lease = leases.get(run.data.tags[PARENT_TAG], NO_LEASE)
                if lease is None or files.is_held(self.folder / lease / "lock"):
                    continue
                # Read again: its process may have closed it before it freed the lease.
                if self.client.get_run(run.info.run_id).info.status == "RUNNING":
                    self.client.set_terminated(run.info.run_id, "KILLED")


@contextmanager
def translate_errors(folder: Path, action: str = "write to") -> Iterator[None]:
    """Silence MLflow, and turn its errors into an OSError with one line."""
    try:
        with quiet():
            yield
    except STORE_ERRORS as error:
        lines = str(error).splitlines()
        reason = next((line for line in lines if "Error) " in line), lines[0])
        message = f"cannot {action} {database_path(folder)}: {reason}"
        if "disk is full" in str(error):
            raise OSError(errno.ENOSPC, message) from error
        raise OSError(message) from error


def open_store(folder: Path, experiment_name: str | None = None) -> Store:
    """Open the store in a folder, which is created or, after a move, updated.

    The default experiment of new runs is that of MLFLOW_EXPERIMENT_NAME, or "digits".

    Raises:
        UserError: If its experiment was deleted, or its artifacts are elsewhere.
        OSError: If the database cannot be opened.
    """
    database = database_path(folder)
    uri = sqlite_uri(database)
    default = os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT
    name = experiment_name or default
    with translate_errors(folder, "open"):
        if not database.exists():
            _create(database)
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(name)
        experiment = experiment or _create_experiment(client, name, folder)
        if _missing_tags(experiment):
            with write_lock(folder):
                complete_experiment(client, experiment)
        experiments = client.search_experiments(ViewType.ALL)
    if experiment.lifecycle_stage != "active":
        restore = f"experiments restore --experiment-id {experiment.experiment_id}"
        command = _mlflow_command(folder, restore)
        raise UserError(
            f"the experiment {name!r} of {database} was deleted: restore it ({command})"
            ", or move the file away to start with a new store"
        )
    own, *roots = (
        each.artifact_location.rpartition("/")[0] for each in (experiment, *experiments)
    )
    # Experiments that other programs created may have their artifacts elsewhere.
    expected = {own, *filter(ARTIFACT_ROOT.fullmatch, roots)}
    for earlier in expected - {artifact_root(folder)}:
        _relocate(folder, earlier)
    return Store(folder, client, experiment.experiment_id)


def write_lock(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock for operations that MLflow itself does not make safe."""
    waiting = f"waiting for another process that writes to {database_path(folder)}"
    return files.lock(folder / ".mlflow.db.lock", waiting=waiting)


def artifact_root(folder: Path) -> str:
    """Return the address of the folder with the artifacts of all experiments."""
    return (folder / "mlflow-artifacts").as_uri()


def path_from_uri(uri: str) -> Path:
    """Return the path of a `file:` address."""
    return Path(url2pathname(urlparse(uri).path))


def recorded_run(run: Run) -> RecordedRun:
    """Convert a run of MLflow to the form in which stages use it."""
    info, folder = run.info, path_from_uri(run.info.artifact_uri)
    return RecordedRun(info.run_id, info.status, run.data.tags, folder)


def complete_experiment(client: MlflowClient, experiment: Experiment) -> None:
    """Add the note and the saved view to an experiment if they are missing."""
    for key, value in _missing_tags(experiment).items():
        client.set_experiment_tag(experiment.experiment_id, key, value)


def _mlflow_command(folder: Path, arguments: str) -> str:
    """Return a shell command that runs MLflow on the store in a folder."""
    uri = shlex.quote(sqlite_uri(database_path(folder)))
    return f"MLFLOW_TRACKING_URI={uri} mlflow {arguments}"


def _create(database: Path) -> None:
    """Create the database under another name and move it into place when complete.

    MLflow creates its tables one by one and without a lock. Concurrent processes, or a
    process that is killed, would leave a database that cannot be opened.
    """
    root = artifact_root(database.parent)
    with write_lock(database.parent):
        if not database.exists():
            with files.atomic_file(database) as new:
                mlflow_internals.create_database(sqlite_uri(new), root)


def _create_experiment(client: MlflowClient, name: str, folder: Path) -> Experiment:
    """Create an experiment, unless another process has created it."""
    with write_lock(folder):
        experiment = client.get_experiment_by_name(name)
        if experiment:
            return experiment
        subfolder = re.sub("[^a-zA-Z0-9-]", "_", name)[:100]
        location = f"{artifact_root(folder)}/{subfolder}"
        return client.get_experiment(client.create_experiment(name, location))


def _missing_tags(experiment: Experiment) -> dict[str, str]:
    """Return the tags for its pages that an experiment lacks; none if it is deleted."""
    if experiment.lifecycle_stage != "active":
        return {}
    tags = pages.experiment_tags(experiment.experiment_id)
    return {key: tags[key] for key in tags.keys() - experiment.tags.keys()}


def _relocate(folder: Path, before: str) -> None:
    """Update the addresses of the artifacts in a store that was moved or copied."""
    database, after = database_path(folder), artifact_root(folder)
    if not ARTIFACT_ROOT.fullmatch(before) or not path_from_uri(after).is_dir():
        raise UserError(
            f"{database} expects its artifacts in {before}, not in {after}: move "
            "mlflow-artifacts to the same folder, or move mlflow.db away to start with "
            "a new store"
        )
    action = "update the addresses of the artifacts in"
    with write_lock(folder), translate_errors(folder, action):
        mlflow_internals.relocate_artifacts(database, before, after)
    print(
        f"{folder} was moved or copied: the addresses of its artifacts were updated",
        file=sys.stderr,
    )
