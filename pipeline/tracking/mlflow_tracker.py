"""The life of runs in MLflow's embedded store: opened, resumed, closed, found.

What a run records is in `mlflow_run`. A server receives a copy of what is closed
(`mirror`).
"""

import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Param, Run, RunTag
from mlflow.exceptions import MlflowException

from pipeline import files
from pipeline.tracking import mirror, provenance
from pipeline.tracking.interface import RecordedRun
from pipeline.tracking.mlflow_run import MAX_ERROR, NO_LEASE, MlflowRun
from pipeline.tracking.store import STORE_ERRORS, Store, artifact_folder, open_store


@dataclass(frozen=True)
class MlflowTracker:
    """Records runs in the embedded store, and mirrors them on a server.

    Attributes:
        folder: The folder of the store.
        server: The address of an MLflow server; None for no mirror.
    """

    folder: Path
    server: str | None

    @contextmanager
    def start_run(
        self,
        *,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        lease: str,
    ) -> Iterator[MlflowRun]:
        """See `interface.Tracker`; the children of a sweep are mirrored with it."""
        store = open_store(self.folder)
        identity = provenance.run_tags(tags, lease)
        with store.translate_errors():
            mark_orphaned_runs_killed(store)
            run = _run_with_lease(lease, store)
            if run is None:
                run = store.client.create_run(
                    store.experiment_id, tags=identity, run_name=name
                )
            run_id = run.info.run_id
            mlflow.start_run(run_id=run_id, nested=True)  # log_model writes to this run
        status, error = "KILLED", ""
        try:
            entries = [Param(key, str(value)) for key, value in params.items()]
            tag_entries = [RunTag(key, value) for key, value in identity.items()]
            with store.translate_errors():
                store.client.log_batch(run_id, params=entries, tags=tag_entries)
                yield MlflowRun(store, run)
            status = "FINISHED"
        except Exception as exception:
            status, error = "FAILED", f"{type(exception).__name__}: {exception}"
            raise
        finally:
            _close(store, run, status, error)
            if self.server and status != "KILLED" and "mlflow.parentRunId" not in tags:
                mirror.mirror_run(self.folder, self.server, run_id)

    @contextmanager
    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str
    ) -> Iterator[MlflowRun]:
        """See `interface.Tracker`."""
        store = open_store(self.folder)
        with store.translate_errors():
            mark_orphaned_runs_killed(store)
            run = _run_of_network(run_id, weights_sha256, store)
            # The run is closed before anything is added, so that a process that is
            # killed leaves no open run.
            is_new = run.data.tags.get("claim") == NO_LEASE
            if is_new and run.info.status != "FINISHED":
                store.client.set_terminated(run.info.run_id)
            yield MlflowRun(store, run)
        if self.server:
            mirror.mirror_run(self.folder, self.server, run.info.run_id)

    def finished_run(self, *, lease: str) -> MlflowRun | None:
        """See `interface.Tracker`."""
        if not (self.folder / "mlflow.db").exists():
            return None
        store = open_store(self.folder)
        run = _run_with_lease(lease, store)
        if run is None or run.info.status != "FINISHED":
            return None
        return MlflowRun(store, run)

    def leases(self, prefix: str) -> list[str]:
        """See `interface.Tracker`."""
        if not (self.folder / "mlflow.db").exists():
            return []
        runs = open_store(self.folder).search(f"tags.claim LIKE '{prefix}%'")
        return [run.data.tags["claim"] for run in runs]


def find_training_run(run_id: str, *, folder: Path) -> RecordedRun:
    """See `backend.find_training_run`."""
    try:
        run = open_store(folder).client.get_run(run_id)
    except MlflowException:
        raise ValueError(
            f"{folder / 'mlflow.db'} has no run {run_id!r}: enter the complete id that "
            "python -m pipeline.train printed"
        ) from None
    artifacts, name = artifact_folder(run), run.info.run_name
    if not (artifacts / "train" / "model.safetensors").exists():
        reason = f"it is {run.info.status}"
        if (artifacts / "sweep").exists():
            reason = "it is a sweep; enter the id of one of its trainings"
        raise ValueError(f"run {name} ({run_id}) has no network: {reason}")
    return RecordedRun(run_id, name, run.data.tags, artifacts)


def mark_orphaned_runs_killed(store: Store) -> None:
    """Mark runs of this machine as KILLED if no process holds their lease any more."""
    waiting = "waiting for another training to begin or end"
    host = platform.node()
    running = f"tags.host = '{host}' AND attributes.status = 'RUNNING'"
    with files.lock(store.folder / "checkpoints" / ".lock", waiting=waiting):
        for run in store.search(running):
            if files.is_held(store.folder / run.data.tags["claim"] / "lock"):
                continue
            # Read again: its process may have closed it before it released the lease.
            if store.client.get_run(run.info.run_id).info.status == "RUNNING":
                store.client.set_terminated(run.info.run_id, "KILLED")


def _close(store: Store, run: Run, status: str, error: str) -> None:
    """Close a run; if the store cannot be written to, print a message."""
    run_id = run.info.run_id
    try:
        mlflow.end_run(status)
        store.client.set_terminated(run_id, status)
        if error:
            store.client.set_tag(run_id, "error", error[:MAX_ERROR])
        elif "error" in run.data.tags:  # from before it was resumed
            store.client.delete_tag(run_id, "error")
        if status != "FINISHED":  # the workers of a sweep may have been killed with it
            mark_orphaned_runs_killed(store)
    except STORE_ERRORS:
        print(f"run {run_id} could not be marked {status}", file=sys.stderr)


def _run_with_lease(lease: str, store: Store) -> Run | None:
    return next(iter(store.search(f"tags.claim = '{lease}'")), None)


def _run_of_network(run_id: str | None, sha256: str, store: Store) -> Run:
    """Return the run of a network; else one with the same weights, or a new one."""
    runs = store.search(f"attributes.run_id = '{run_id}'") if run_id else []
    runs = runs or store.search(f"tags.`weights.sha256` = '{sha256}'")
    if runs:
        return runs[0]
    name = f"network {sha256[:8]}"
    tags = provenance.run_tags({"weights.sha256": sha256}, NO_LEASE)
    run = store.client.create_run(store.experiment_id, tags=tags, run_name=name)
    print(f"the store has no run of this network; created {name} ({run.info.run_id})")
    return run
