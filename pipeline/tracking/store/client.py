"""MLflow's client for the store, and the creation of the store.

The store needs no server and no network. Several processes can write at the same time.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient, entities
from mlflow.entities import Experiment

from pipeline import UserError
from pipeline.base import files, locking
from pipeline.records.tags import OPEN, PARENT_TAG, PROJECT_TAG, Status
from pipeline.tracking.store import mlflow_internals, pages
from pipeline.tracking.store.database import new_name, open_runs
from pipeline.tracking.store.location import (
    artifact_root,
    database_path,
    mlflow_command,
    sqlite_uri,
)
from pipeline.tracking.store.locks import run_lock_file, write_lock
from pipeline.tracking.store.mlflow_calls import using_mlflow
from pipeline.tracking.store.sqlite import require_store


class StoreClient(MlflowClient):
    """MLflow's client for the store in a folder; used in blocks of `using_mlflow`."""

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

    def create_named_run(
        self, experiment_id: str, name: str, tags: Mapping[str, str], start: int
    ) -> entities.Run:
        """Create a run, whose name gets a number if another run has this name."""
        return self.create_run(
            experiment_id,
            start_time=start,
            tags=dict(tags),
            run_name=new_name(self.store, name, experiment_id),
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


def open_store(store: Path) -> StoreClient:
    """Open the store in the folder `store`.

    A missing store is created. A store that was moved is updated.

    Raises:
        UserError: If the artifacts are elsewhere, or the database cannot be opened.
    """
    database = database_path(store)
    with using_mlflow(store, "opened"):
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
