"""Opens and closes runs in the store: steps 2 and 7 in the docstring of `tracker`.

`mlflow_run` records the data of a run in the same process, which can be a helper
process; see `helper_tracker`.
"""

from functools import cached_property

from mlflow import entities

from pipeline import UserError
from pipeline.base import locking, terminal
from pipeline.base.printing import say
from pipeline.base.tags import ERROR_TAG, KIND_TAG, WEIGHTS_TAG, Kind, Status
from pipeline.tracking import provenance
from pipeline.tracking.interface import OpenRun, RunStart, Tags
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.store.client import StoreClient, open_store
from pipeline.tracking.store.database import new_name, run_label, tagged_runs
from pipeline.tracking.store.locks import run_lock_file, store_lock
from pipeline.tracking.tracker import LocalTracker, final_status

OPEN_SECONDS = 10.0  # maximum wait until a killed process releases a run; see `locks`


class MlflowTracker(LocalTracker):
    """Records runs in the store; a server, if any, receives copies."""

    experiment: str

    @cached_property
    def client(self) -> StoreClient:
        """The client of the store, which the first run creates."""
        with terminal.busy("opening the store"):
            return open_store(self.store)

    def open_run(self, start: RunStart) -> MlflowRun:
        client, store = self.client, self.store
        with store_lock(store):
            client.mark_killed_runs()
            if start.resume:
                run = client.get_run(start.resume)
            else:
                run = self._create(start.name, start.tags, time=start.time)
            path = run_lock_file(store, run.info.run_id)
            lock = locking.acquire(path, seconds=OPEN_SECONDS)
        opened = MlflowRun(client, run, lock)
        try:
            if start.resume:
                client.update_run(opened.run_id, Status.RUNNING)
                if ERROR_TAG in run.data.tags:  # an earlier attempt failed
                    client.delete_tag(opened.run_id, ERROR_TAG)
            # A resumed run keeps its params, because MLflow rejects changed values.
            known = run.data.params
            new = {k: v for k, v in start.params.items() if k not in known}
            opened.log_start(new, start.tags if start.resume else {}, start.diff)
        except BaseException as error:
            self.close_run(opened, *final_status(error))
            raise
        return opened

    def close_run(self, run: OpenRun, status: Status, error: str | None) -> str:
        assert isinstance(run, MlflowRun)
        try:
            is_marked = self._set_final_status(run.run_id, status, error)
        finally:
            run.release()  # before this process waits for the store's lock
        if is_marked and status != Status.FINISHED:
            self._mark_killed_runs()
        return run.run_id

    def _set_final_status(self, run_id: str, status: Status, error: str | None) -> bool:
        """Set the status; return whether this succeeded. See `Tracker.close_run`."""
        try:
            self.client.set_terminated(run_id, status)
            if error:
                self.client.set_tag(run_id, ERROR_TAG, error)
        except (UserError, OSError) as problem:
            if status == Status.FINISHED:
                raise
            message = f"run {run_id} could not be marked {status}: {problem}"
            terminal.print_error(message)
            return False
        return True

    def _mark_killed_runs(self) -> None:
        """Mark killed runs, with the children that this run has not finished."""
        try:
            with store_lock(self.store):
                self.client.mark_killed_runs()
        except (UserError, OSError) as problem:
            message = f"killed runs could not be marked {Status.KILLED}: {problem}"
            terminal.print_error(message)

    def _find_or_create(
        self, run_id: str | None, weights_sha256: str | None
    ) -> MlflowRun:
        client, store = self.client, self.store
        with store_lock(store):
            client.mark_killed_runs()
            run = self._run_of_network(run_id, weights_sha256)
            # A run that was created for a network is closed before data is added, so
            # that a killed process leaves no open run.
            is_created = run.data.tags.get(KIND_TAG) == Kind.EVALUATION
            if is_created and run.info.status != Status.FINISHED:
                client.set_terminated(run.info.run_id)
        return MlflowRun(client, run)

    def _run_of_network(self, run_id: str | None, sha256: str | None) -> entities.Run:
        """Return the run `run_id` if it has these weights, else the newest such run."""
        client = self.client
        if sha256 is None:
            assert run_id
            return client.get_run(run_id)
        found = tagged_runs(client.store, WEIGHTS_TAG, [sha256])
        ids = [recorded.run_id for recorded in found]
        if ids:
            return client.get_run(run_id if run_id in ids else ids[0])
        tags = {WEIGHTS_TAG: sha256, KIND_TAG: Kind.EVALUATION}
        run = self._create(
            f"network {sha256[:8]}", {**provenance.tags(self.code), **tags}
        )
        MlflowRun(client, run).log_diff(self.code.diff)
        created = f"created {run_label(run.info.run_name, run.info.run_id)}"
        say(terminal.wrap(f"the store has no run of this network; {created}"))
        return run

    def _create(
        self, name: str, tags: Tags, *, time: int | None = None
    ) -> entities.Run:
        experiment = self.client.find_or_create_experiment(self.experiment)
        experiment_id = experiment.experiment_id
        return self.client.create_run(
            experiment_id,
            start_time=time,
            tags=dict(tags),
            run_name=new_name(self.client.store, name, experiment_id),
        )
