"""Opens, resumes, closes and reopens runs in MLflow's embedded store.

`mlflow_run` records the data of a run. A server receives a copy of a closed run.
"""

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from mlflow import entities

from pipeline import UserError, files
from pipeline.terminal import print_error, wrap
from pipeline.tracking import mirror, provenance
from pipeline.tracking.interface import Params, Run, Tags, Tracker, closed_with_status
from pipeline.tracking.locks import run_lock, store_lock
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.store import Store, translate_errors

OPEN_SECONDS = 10.0  # within which a killed process has released its run


@dataclass(frozen=True)
class MlflowTracker(Tracker):
    """Records runs in an embedded store; a server, if any, receives copies."""

    store: Store
    server: str | None

    @contextmanager
    def start_run(
        self, *, name: str, params: Params, tags: Tags, resume: str | None = None
    ) -> Iterator[MlflowRun]:
        tags = provenance.process_tags() | dict(tags)
        run = self.open_run(name, params, tags, resume=resume)
        with closed_with_status(partial(self.close_run, run)):
            try:
                with translate_errors(self.store.folder):
                    yield run
            except (KeyboardInterrupt, SystemExit) as interrupt:
                # Inside a transaction, its frames would keep the database locked;
                # Python's connections are freed by the garbage collector only.
                traceback.clear_frames(interrupt.__traceback__)
                gc.collect()
                raise

    def open_run(
        self,
        name: str,
        params: Params,
        tags: Tags,
        *,
        resume: str | None,
        start: int | None = None,
    ) -> MlflowRun:
        store, client = self.store, self.store.client
        with translate_errors(store.folder), store_lock(store.folder):
            store.mark_killed_runs()
            if resume:
                run = client.get_run(resume)
                if "error" in run.data.tags:  # of an earlier attempt
                    client.delete_tag(resume, "error")
            else:
                run = store.create_run(name, provenance.code_tags() | dict(tags), start)
            path = run_lock(store.folder, run.info.run_id)
            lock = files.hold(path, seconds=OPEN_SECONDS)
        opened = MlflowRun(store, run, lock=lock)
        with translate_errors(store.folder):
            client.update_run(opened.id, status="RUNNING")  # it may be a resumed one
            opened.log_start(params, provenance.code_tags() | dict(tags))
        return opened

    def close_run(self, run: Run, status: str, error: str) -> None:
        """Close a run and copy it; the runs of a sweep are copied with their parent.

        Raises:
            UserError, OSError: If a run cannot be marked FINISHED.
        """
        store = self.store
        assert isinstance(run, MlflowRun)
        try:
            with translate_errors(store.folder):
                store.client.set_terminated(run.id, status)
                if error:
                    store.client.set_tag(run.id, "error", error)
                run.release()
                if status != "FINISHED":  # a child of a sweep may be incomplete
                    with store_lock(store.folder):
                        store.mark_killed_runs()
        except (UserError, OSError) as problem:
            if status == "FINISHED":
                raise
            # The error that ended the run is more important.
            print_error(f"run {run.id} could not be marked {status}: {problem}")
        finally:
            run.release()
        if status != "KILLED":
            self._mirror(run.id)

    @contextmanager
    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str | None
    ) -> Iterator[MlflowRun]:
        store = self.store
        with translate_errors(store.folder):
            with store_lock(store.folder):
                store.mark_killed_runs()
                run = self._run_of_network(run_id, weights_sha256)
                # A run that was created for a network is closed before anything is
                # added, so that a process that is killed leaves no open run.
                is_created = run.data.tags.get("kind") == "evaluation"
                if is_created and run.info.status != "FINISHED":
                    store.client.set_terminated(run.info.run_id)
            yield MlflowRun(store, run)
        self._mirror(run.info.run_id)

    def _run_of_network(self, run_id: str | None, sha256: str | None) -> entities.Run:
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
        run = store.create_run(name, provenance.tags() | tags)
        created = f"created {name} ({run.info.run_id})"
        print(wrap(f"the store has no run of this network; {created}"))
        return run

    def _mirror(self, run_id: str) -> None:
        if self.server:
            mirror.mirror_run(self.store.folder, self.server, run_id)
