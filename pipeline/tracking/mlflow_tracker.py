"""Opens, resumes, closes and reopens runs in MLflow's embedded store.

`mlflow_run` records the data of a run. A server receives a copy of a closed run.
"""

import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow.entities import Run

from pipeline.terminal import wrap
from pipeline.tracking import mirror, provenance
from pipeline.tracking.interface import (
    IDENTITY_TAG,
    LEASE_TAG,
    Params,
    RecordedRun,
    Tags,
    Tracker,
    closed_with_status,
)
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.store import NO_LEASE, Store, translate_errors


@dataclass(frozen=True)
class MlflowTracker(Tracker):
    """Records runs in an embedded store; a server, if any, receives copies."""

    store: Store
    server: str | None

    @contextmanager
    def start_run(
        self, *, name: str, params: Params, tags: Tags, lease: str
    ) -> Iterator[MlflowRun]:
        """Open or resume a run; the runs of a sweep are copied with their parent."""
        tags = provenance.run_tags(tags, lease)
        run = self.open_run(name, tags)

        def close(status: str, error: str) -> None:
            self.close_run(run.id, status, error)
            if status != "KILLED":
                self._mirror(run.id)

        with closed_with_status(close):
            try:
                with translate_errors(self.store.folder):
                    run.log_start(params, tags, provenance.code_diff())
                    yield run
            except (KeyboardInterrupt, SystemExit) as interrupt:
                # Inside a transaction, its frames would keep the database locked;
                # Python's connections are freed by the garbage collector only.
                traceback.clear_frames(interrupt.__traceback__)
                gc.collect()
                raise

    def open_run(self, name: str, tags: Tags, start: int | None = None) -> MlflowRun:
        """Open a run, or the one with the same lease; `close_run` closes it.

        `start` is when a new run started, in milliseconds since 1970; None is now.
        """
        store = self.store
        with translate_errors(store.folder):
            store.mark_orphaned_runs_killed()
            runs = store.search(f"tags.{LEASE_TAG} = '{tags[LEASE_TAG]}'")
            run = runs[0] if runs else store.create_run(name, dict(tags), start)
            run_id: str = run.info.run_id
            store.client.update_run(run_id, status="RUNNING")  # it may be a resumed one
            if "error" in run.data.tags:  # of an earlier attempt
                store.client.delete_tag(run_id, "error")
        return MlflowRun(store, run)

    @contextmanager
    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str | None
    ) -> Iterator[MlflowRun]:
        with translate_errors(self.store.folder):
            self.store.mark_orphaned_runs_killed()
            run = self._run_of_network(run_id, weights_sha256)
            # A new run is closed before anything is added, so that a process that is
            # killed leaves no open run.
            is_new = run.data.tags.get(LEASE_TAG) == NO_LEASE
            if is_new and run.info.status != "FINISHED":
                self.store.client.set_terminated(run.info.run_id)
            yield MlflowRun(self.store, run)
        self._mirror(run.info.run_id)

    def finished_run(self, *, lease: str) -> MlflowRun | None:
        is_finished = f"tags.{LEASE_TAG} = '{lease}' AND attributes.status = 'FINISHED'"
        runs = self.store.search(is_finished)
        if not runs:
            return None
        self._mirror(runs[0].info.run_id)
        return MlflowRun(self.store, runs[0])

    def finished_trainings(self, prefix: str) -> dict[str, RecordedRun]:
        runs = reversed(self.store.tagged(IDENTITY_TAG, prefix))
        finished = [run for run in runs if run.status == "FINISHED"]
        return {run.tags[IDENTITY_TAG]: run for run in finished}

    def _run_of_network(self, run_id: str | None, sha256: str | None) -> Run:
        """Return the newest run with these weights, or `run_id` if it has them."""
        store = self.store
        if sha256 is None:
            assert run_id
            return store.client.get_run(run_id)
        runs = store.search(f"tags.`weights.sha256` = '{sha256}'")
        if runs:
            return next((run for run in runs if run.info.run_id == run_id), runs[0])
        name = f"network {sha256[:8]}"
        tags = {"weights.sha256": sha256, "kind": "evaluation"}
        tags = provenance.run_tags(tags, NO_LEASE)
        run = store.create_run(name, tags)
        created = f"created {name} ({run.info.run_id})"
        print(wrap(f"the store has no run of this network; {created}"))
        return run

    def close_run(self, run_id: str, status: str, error: str) -> None:
        """Close a run; if the store cannot be written to, print a message."""
        client = self.store.client
        try:
            with translate_errors(self.store.folder):
                client.set_terminated(run_id, status)
                if error:
                    client.set_tag(run_id, "error", error)
                if status != "FINISHED":  # a child of a sweep may be incomplete
                    self.store.mark_orphaned_runs_killed()
        except OSError:
            print(f"run {run_id} could not be marked {status}", file=sys.stderr)

    def _mirror(self, run_id: str) -> None:
        if self.server:
            mirror.mirror_run(self.store.folder, self.server, run_id)
