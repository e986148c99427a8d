"""Opens and closes runs for an `OpenRun`.

Runs in the recorder.

The main process imports this module to pass the functions on. Therefore, only the
functions import modules that import MLflow. Test: "mlflow is imported only after".

    function            passed on by          called by
    warm_up             Tracker.open_store    the process itself
    create_or_resume    Tracker.start_run     open_run._open
    find_or_create      Tracker.reopen_run    open_run._open
    create_child        OpenRun.child         open_run._open, with _create_child
    complete_child      OpenRun.child         open_run._record
    end                 OpenRun.close         open_run._close

`create_or_resume` and `end` perform steps 2 and 7 in the docstring of `tracker`, which
also names tests. `find_or_create` closes a run that it creates before data is added.
Test: "an unknown network gets one run". A child that ends without `complete_child` is
deleted when its sweep is resumed. Test: "a child is complete or removed".
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import UserError
from pipeline.base import locking
from pipeline.base.progress import busy
from pipeline.base.terminal import print_error, say
from pipeline.base.text import short_id, wrap
from pipeline.core.epoch import now
from pipeline.records.tags import (
    ERROR_TAG,
    KIND_TAG,
    PARENT_TAG,
    PROJECT_TAG,
    WEIGHTS_TAG,
    Kind,
    Status,
    outdated,
)
from pipeline.tracking import provenance
from pipeline.tracking.run_data import RunStart, final_status
from pipeline.tracking.store.database import children_of, tagged_runs
from pipeline.tracking.store.location import database_path
from pipeline.tracking.store.locks import run_lock_file, store_lock
from pipeline.tracking.store.mlflow_calls import using_mlflow

if TYPE_CHECKING:
    from mlflow import entities

    from pipeline.tracking.mlflow_run import MlflowRun
    from pipeline.tracking.store.client import StoreClient

OPEN_SECONDS = 10.0  # maximum wait until a killed process releases a run; see `locks`


def warm_up(store: Path) -> None:
    """Import MLflow, and open the store unless it is missing.

    Raises:
        UserError, OSError: If the store cannot be used.
    """
    with using_mlflow(store):
        import pipeline.tracking.mlflow_run  # noqa: F401

        if database_path(store).exists():
            _client(store)


def create_or_resume(store: Path, experiment: str, start: RunStart) -> "MlflowRun":
    """Create a run, or resume a run, whose incomplete children are deleted."""
    with using_mlflow(store):
        from pipeline.tracking.mlflow_run import MlflowRun

        client = _client(store)
        with store_lock(store):
            client.mark_killed_runs()
            resumed = start.resume and client.get_run(start.resume)
            created = resumed or _create(client, experiment, start)
            path = run_lock_file(store, created.info.run_id)
            lock = locking.claim(path, seconds=OPEN_SECONDS)
    run = MlflowRun.of(client, created, lock=lock)
    try:
        with using_mlflow(store):
            if start.resume:
                _reset(run, start, created.data.tags)
            # A resumed run keeps its params, because MLflow rejects changed values.
            known = created.data.params
            run.log_params({k: v for k, v in start.params.items() if k not in known})
            run.log_diff(start.diff)
    except BaseException as error:
        end(run, *final_status(error))
        raise
    return run


def _reset(run: "MlflowRun", start: RunStart, tags: Mapping[str, str]) -> None:
    """Prepare a run that ended early, with these tags, for its next attempt."""
    client = run.client
    client.update_run(run.run_id, Status.RUNNING)
    for tag in outdated(tags, start.tags):
        client.delete_tag(run.run_id, tag)
    run.set_tags(start.tags)
    for child in children_of(client.store, run.run_id):
        if not child.is_final:  # failed children are kept
            client.delete_run(child.run_id)


def find_or_create(
    store: Path, experiment: str, run_id: str | None, weights_sha256: str | None
) -> "MlflowRun":
    """Find the closed run of a network or sweep; see `Tracker.reopen_run`."""
    with using_mlflow(store):
        from pipeline.tracking.mlflow_run import MlflowRun

        client = _client(store)
        with store_lock(store):
            client.mark_killed_runs()
            if weights_sha256:
                found = tagged_runs(store, WEIGHTS_TAG, [weights_sha256])
                ids = [each.run_id for each in found]
                run_id = run_id if run_id in ids else next(iter(ids), None)
            if run_id is None:
                assert weights_sha256  # a sweep has an ID
                start = _start_for_network(weights_sha256)
                run = MlflowRun.of(client, _create(client, experiment, start))
                run.log_diff(start.diff)
                say(wrap(f"the store has no run of this network; created {run.label}"))
                run_id = run.run_id
            recorded = client.get_run(run_id)
            # A run that was created for a network is closed before data is added, so
            # that a killed process leaves no open run.
            is_created = recorded.data.tags.get(KIND_TAG) == Kind.EVALUATION
            if is_created and recorded.info.status != Status.FINISHED:
                client.set_terminated(run_id)
        return MlflowRun.of(client, recorded)


def _start_for_network(weights_sha256: str) -> RunStart:
    """Return the name and the tags of a run for a network without a training run."""
    code = provenance.code_state()
    tags = {WEIGHTS_TAG: weights_sha256, KIND_TAG: Kind.EVALUATION}
    tags |= provenance.tags(code)
    name = f"network {short_id(weights_sha256)}"
    return RunStart(name, {}, tags, now(), code.diff)


def _client(store: Path) -> "StoreClient":
    """Open a store; a missing store is created."""
    from pipeline.tracking.store.client import open_store

    with busy("opening the store"):
        return open_store(store)


def _create(client: "StoreClient", experiment: str, start: RunStart) -> "entities.Run":
    found = client.find_or_create_experiment(experiment)
    return client.create_named_run(
        found.experiment_id, start.name, start.tags, start.time
    )


def create_child(parent: "MlflowRun", start: RunStart) -> "MlflowRun":
    """Create a child of an open run; see `OpenRun.child`."""
    with using_mlflow(parent.client.store):
        from pipeline.tracking.mlflow_run import MlflowRun

        project = {PROJECT_TAG: provenance.project_version()}
        tags = {**project, **start.tags, PARENT_TAG: parent.run_id}
        created = parent.client.create_named_run(
            parent.experiment_id, start.name, tags, start.time
        )
        child = MlflowRun.of(parent.client, created, is_new_child=True)
        child.log_params(start.params)
        child.log_diff(start.diff)
        return child


def complete_child(child: "MlflowRun", failure: str | None, end: int | None) -> None:
    """Record the data of a child that has ended, and close it."""
    assert child.kept is not None
    if failure:
        child.set_tags({ERROR_TAG: failure})  # MLflow truncates long values
    child.client.log_batch(child.run_id, *child.kept)
    status = Status.FAILED if failure else Status.FINISHED
    child.client.set_terminated(child.run_id, status, end)


def end(run: "MlflowRun", status: Status, error: str | None) -> str:
    """Close a run and return its ID; see `OpenRun.close`.

    The status of a run that was opened to add results does not change.
    """
    client, failed = run.client, f"run {run.run_id} could not be marked {status}"
    if run.lock is None:
        return run.run_id
    try:
        with using_mlflow(client.store):
            try:
                client.set_terminated(run.run_id, status)
                if error:
                    client.set_tag(run.run_id, ERROR_TAG, error)
            finally:  # before this process waits for the store's lock
                Path(run.lock.lock_file).unlink(missing_ok=True)
                run.lock.release()
            if status != Status.FINISHED:  # its incomplete children were killed too
                failed = f"killed runs could not be marked {Status.KILLED}"
                with store_lock(client.store):
                    client.mark_killed_runs()
    except (UserError, OSError) as problem:
        if status == Status.FINISHED:
            raise
        print_error(f"{failed}: {problem}")
    return run.run_id
