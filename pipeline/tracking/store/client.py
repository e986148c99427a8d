"""MLflow's client for the store, and the creation of the store.

The store needs no server and no network. Several processes can write at the same time.
"""

import errno
import functools
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient, entities
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from pipeline import UserError
from pipeline.base import files, locking
from pipeline.base.tags import OPEN, PARENT_TAG, PROJECT_TAG, Status
from pipeline.base.urls import database_path, sqlite_uri
from pipeline.tracking.store import mlflow_internals, pages
from pipeline.tracking.store.database import open_runs
from pipeline.tracking.store.locks import run_lock_file, write_lock
from pipeline.tracking.store.sqlite import (
    artifact_root,
    mlflow_command,
    require_store,
)

STORE_ERRORS = (MlflowException, SQLAlchemyError, sqlite3.Error)


class StoreClient(MlflowClient):
    """A client that knows the folder of its store.

    If a method of MLflow fails, it raises a `UserError` of one line; see `_translated`.
    """

    def __init__(self, store: Path) -> None:
        """Connect to the store."""
        self.store = store
        super().__init__(sqlite_uri(database_path(store)))

    def newest_experiment(self) -> Experiment | None:
        """Return the experiment of the newest run; None if there is no run."""
        ids = [each.experiment_id for each in self.search_experiments()]
        newest = self.search_runs(ids, max_results=1)
        return self.get_experiment(newest[0].info.experiment_id) if newest else None

    def find_or_create_experiment(self, name: str) -> Experiment:
        """Return the experiment with this name.

        Raises:
            UserError: If the experiment was deleted, or the database cannot be used.
        """
        store = self.store
        with write_lock(store):
            experiment = self.get_experiment_by_name(name)
            if experiment is None:
                subfolder = re.sub("[^a-zA-Z0-9-]", "_", name)[:100]
                location = f"{artifact_root(store)}/{subfolder}"
                created = self.create_experiment(name, location)
                experiment = self.get_experiment(created)
            if experiment.lifecycle_stage == "active":
                complete_experiment(self, experiment)
                return experiment
        restore = f"experiments restore --experiment-id {experiment.experiment_id}"
        raise UserError(
            f"the experiment {name!r} of {database_path(store)} was deleted: "
            f"restore it ({mlflow_command(store, restore)}), or set "
            "experiment_name to a different name"
        )

    def mark_killed_runs(self) -> None:
        """Mark the open runs of this project whose process has ended as KILLED.

        The caller holds the lock of the store; see `locks`.
        """
        for recorded in open_runs(self.store):
            run_id, tags = recorded.run_id, recorded.tags
            lock = run_lock_file(self.store, tags.get(PARENT_TAG, run_id))
            if PROJECT_TAG not in tags or locking.is_locked(lock):
                continue
            # The run is read again, because its process may have closed the run before
            # the process released the lock.
            if self.get_run(run_id).info.status in OPEN:
                self.set_terminated(run_id, Status.KILLED)
            run_lock_file(self.store, run_id).unlink(missing_ok=True)


@contextmanager
def translate_errors(store: Path, action: str = "written") -> Iterator[None]:
    """Silence MLflow, and turn its errors into an error with one line."""
    try:
        with mlflow_internals.quiet():
            yield
    except STORE_ERRORS as error:
        lines = str(error).splitlines() or [type(error).__name__]
        reason = next((line for line in lines if "Error) " in line), lines[0])
        message = f"{database_path(store)} cannot be {action}: {reason}"
        if "disk is full" in str(error):
            raise OSError(errno.ENOSPC, message) from error
        raise UserError(message) from error


def _translated(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of MLflow's client whose errors are translated."""
    is_reading = method.__name__.startswith(("get_", "search_"))

    @functools.wraps(method)
    def call(client: StoreClient, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        with translate_errors(client.store, "read" if is_reading else "written"):
            return method(client, *arguments, **options)

    return call


# All methods of MLflow's client are wrapped, so that no call prints MLflow's traceback.
# Methods that StoreClient defines are not replaced, even if a new version of MLflow has
# a method with the same name.
for _name, _method in vars(MlflowClient).items():
    if _name[0] != "_" and callable(_method) and _name not in vars(StoreClient):
        setattr(StoreClient, _name, _translated(_method))


def open_store(store: Path) -> StoreClient:
    """Open the store in the folder `store`.

    A missing store is created. A store that was moved is updated.

    Raises:
        UserError: If the artifacts are elsewhere, or the database cannot be opened.
    """
    database = database_path(store)
    with translate_errors(store, "opened"):
        if not database.exists():
            _create(database)
        require_store(store)
        return StoreClient(store)


def model_outputs(run: entities.Run) -> list[entities.LoggedModelOutput]:
    """Return the links from a run to its models."""
    return run.outputs.model_outputs if run.outputs else []


def complete_experiment(client: MlflowClient, experiment: Experiment) -> None:
    """Add the note and the saved view to an experiment if they are missing."""
    tags = pages.experiment_tags(experiment.experiment_id)
    for key in tags.keys() - experiment.tags.keys():
        client.set_experiment_tag(experiment.experiment_id, key, tags[key])


def _create(database: Path) -> None:
    """Create the database under another name and move it into place when complete.

    MLflow creates its tables one by one and without a lock. Therefore, concurrent
    processes, or a process that is killed, could leave a database that cannot be
    opened.
    """
    root = artifact_root(database.parent)
    with write_lock(database.parent):
        if not database.exists():
            with files.atomic_file(database) as new:
                mlflow_internals.create_database(new, root)
