"""Opens, resumes, closes and reopens runs in the store.

`mlflow_run` records the data of a run. For `train`, both run in the companion that
`remote` starts, otherwise in the main process.
"""

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import entities

from pipeline import UserError
from pipeline.base import locking
from pipeline.base.call import say
from pipeline.base.terminal import print_error, wrap
from pipeline.tracking import provenance
from pipeline.tracking.interface import OpenRun, Tags
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.store.client import StoreClient
from pipeline.tracking.store.database import new_name, tagged_runs
from pipeline.tracking.store.locks import run_lock, store_lock
from pipeline.tracking.store.tags import ERROR_TAG, KIND_TAG, WEIGHTS_TAG, Kind, Status
from pipeline.tracking.tracker import LocalTracker, RunStart, final_status

OPEN_SECONDS = 10.0  # a killed process has released its run by then; see `locks`


class MlflowTracker(LocalTracker):
    """Records runs in the store; a server, if any, receives copies."""

    def __init__(
        self, client: StoreClient, server: str | None, experiment: str
    ) -> None:
        """Keep the client, the URL of the server, and the experiment of new runs."""
        self.client, self.store, self.server = client, client.store, server
        self._experiment = experiment

    @contextmanager
    def recording(self) -> Iterator[None]:
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as interrupt:
            # The frames of an interrupted transaction keep the database locked, and
            # only the garbage collector frees Python's connections.
            traceback.clear_frames(interrupt.__traceback__)
            gc.collect()
            raise

    def open_run(self, start: RunStart) -> MlflowRun:
        client, store = self.client, self.store
        tags = {**start.tags, **start.code.tags}
        with store_lock(store):
            client.mark_killed_runs()
            if start.resume:
                run = client.get_run(start.resume)
            else:
                run = self._create_run(start.name, tags, time=start.time)
            path = run_lock(store, run.info.run_id)
            lock = locking.hold(path, seconds=OPEN_SECONDS)
        opened = MlflowRun(client, run, lock=lock)
        try:
            if start.resume:
                client.update_run(opened.id, status=Status.RUNNING)
                if ERROR_TAG in run.data.tags:  # an earlier attempt failed
                    client.delete_tag(opened.id, ERROR_TAG)
            # A resumed run keeps its params: MLflow refuses another data set name.
            known = run.data.params
            new = {k: v for k, v in start.params.items() if k not in known}
            opened.log_start(new, tags if start.resume else {}, start.code.diff)
        except BaseException as error:
            self.close_run(opened, *final_status(error))
            raise
        return opened

    def close_run(self, run: OpenRun, status: Status, error: str) -> str:
        client, store = self.client, self.store
        assert isinstance(run, MlflowRun)
        marked = f"run {run.id}"
        try:
            client.set_terminated(run.id, status)
            if error:
                client.set_tag(run.id, ERROR_TAG, error)
            run.release()  # before the store's lock is acquired; see `locks`
            if status != Status.FINISHED:  # a child of a sweep may be incomplete
                marked, status = "killed runs", Status.KILLED
                with store_lock(store):
                    client.mark_killed_runs()
        except (UserError, OSError) as problem:
            if status == Status.FINISHED:
                raise
            # The error that ended the run is more important.
            print_error(f"{marked} could not be marked {status}: {problem}")
        finally:
            run.release()
        return run.id

    def find_or_create_run(
        self, run_id: str | None, weights_sha256: str | None
    ) -> MlflowRun:
        client, store = self.client, self.store
        with store_lock(store):
            client.mark_killed_runs()
            run = self._run_of_network(run_id, weights_sha256)
            # A run that was created for a network is closed before anything is added,
            # so that a process that is killed leaves no open run.
            is_created = run.data.tags.get(KIND_TAG) == Kind.EVALUATION
            if is_created and run.info.status != Status.FINISHED:
                client.set_terminated(run.info.run_id)
        return MlflowRun(client, run)

    def _run_of_network(self, run_id: str | None, sha256: str | None) -> entities.Run:
        """Return the newest run with these weights, or `run_id` if it has them."""
        client = self.client
        if sha256 is None:
            assert run_id
            return client.get_run(run_id)
        ids = [run.run_id for run in tagged_runs(client.store, WEIGHTS_TAG, [sha256])]
        if ids:
            return client.get_run(run_id if run_id in ids else ids[0])
        name = f"network {sha256[:8]}"
        tags = provenance.tags() | {WEIGHTS_TAG: sha256, KIND_TAG: Kind.EVALUATION}
        run = self._create_run(name, tags)
        created = f"created {run.info.run_name} ({run.info.run_id})"
        say(wrap(f"the store has no run of this network; {created}"))
        return run

    def _create_run(
        self, name: str, tags: Tags, *, time: int | None = None
    ) -> entities.Run:
        experiment = self.client.find_or_create_experiment(self._experiment)
        experiment_id = experiment.experiment_id
        return self.client.create_run(
            experiment_id,
            start_time=time,
            tags=dict(tags),
            run_name=new_name(self.client.store, name, experiment_id),
        )
