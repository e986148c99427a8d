"""Opens runs in the store: step 2 in the docstring of `tracker`.

Runs in the process that records.

`mlflow_children` closes the runs, and `mlflow_run` records their data.
"""

from functools import cached_property
from pathlib import Path

from mlflow import entities

from pipeline.base import locking
from pipeline.base.progress import busy
from pipeline.base.tags import ERROR_TAG, KIND_TAG, WEIGHTS_TAG, Kind, Status
from pipeline.base.terminal import say
from pipeline.base.text import short_id, wrap
from pipeline.base.urls import database_path
from pipeline.tracking import provenance
from pipeline.tracking.interface import RunStart, final_status
from pipeline.tracking.mlflow_children import ParentRun
from pipeline.tracking.store.client import StoreClient, open_store
from pipeline.tracking.store.database import run_label, tagged_runs
from pipeline.tracking.store.locks import run_lock_file, store_lock

OPEN_SECONDS = 10.0  # maximum wait until a killed process releases a run; see `locks`


class RunOpener:
    """Opens the runs of one experiment in the store."""

    def __init__(self, store: Path, experiment: str) -> None:
        """Open the store, unless it is missing: the first run creates it."""
        self.store, self.experiment = store, experiment
        if database_path(store).exists():
            _ = self.client

    @cached_property
    def client(self) -> StoreClient:
        """The client of the store."""
        with busy("opening the store"):
            return open_store(self.store)

    def start_run(self, start: RunStart) -> ParentRun:
        """Create a run, or resume a run; the caller closes the run."""
        client, store = self.client, self.store
        with store_lock(store):
            client.mark_killed_runs()
            resumed = start.resume and client.get_run(start.resume)
            run = resumed or self._create(start)
            path = run_lock_file(store, run.info.run_id)
            lock = locking.acquire(path, seconds=OPEN_SECONDS)
        opened = ParentRun(client, run, lock)
        try:
            if start.resume:
                client.update_run(opened.run_id, Status.RUNNING)
                if ERROR_TAG in run.data.tags:  # an earlier attempt failed
                    client.delete_tag(opened.run_id, ERROR_TAG)
                opened.set_tags(start.tags)
            # A resumed run keeps its params, because MLflow rejects changed values.
            known = run.data.params
            opened.log_params({k: v for k, v in start.params.items() if k not in known})
            opened.log_diff(start.diff)
        except BaseException as error:
            opened.close(*final_status(error))
            raise
        return opened

    def reopen_run(self, run_id: str | None, weights_sha256: str | None) -> ParentRun:
        """Return the run of a network or sweep: see `LocalTracker.reopen_run`."""
        client = self.client
        with store_lock(self.store):
            client.mark_killed_runs()
            if weights_sha256:
                found = tagged_runs(self.store, WEIGHTS_TAG, [weights_sha256])
                ids = [recorded.run_id for recorded in found]
                run_id = run_id if run_id in ids else next(iter(ids), None)
            if run_id:
                run = client.get_run(run_id)
            else:
                assert weights_sha256
                run = self._create_for_network(weights_sha256)
            # A run that was created for a network is closed before data is added, so
            # that a killed process leaves no open run.
            is_created = run.data.tags.get(KIND_TAG) == Kind.EVALUATION
            if is_created and run.info.status != Status.FINISHED:
                client.set_terminated(run.info.run_id)
        return ParentRun(client, run)

    def _create_for_network(self, sha256: str) -> entities.Run:
        code = provenance.code_state()
        tags = {WEIGHTS_TAG: sha256, KIND_TAG: Kind.EVALUATION}
        tags |= provenance.tags(code)
        run = self._create(RunStart(f"network {short_id(sha256)}", {}, tags))
        ParentRun(self.client, run).log_diff(code.diff)
        created = f"created {run_label(run.info.run_name, run.info.run_id)}"
        say(wrap(f"the store has no run of this network; {created}"))
        return run

    def _create(self, start: RunStart) -> entities.Run:
        experiment = self.client.find_or_create_experiment(self.experiment)
        return self.client.create_named_run(
            experiment.experiment_id, start.name, start.tags, start.time
        )
