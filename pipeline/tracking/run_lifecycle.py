"""Opens and closes runs in the store: steps 2 and 7 in the docstring of `tracker`.

Runs in the process that records.

`mlflow_run` records the data of the runs.
"""

from pathlib import Path

from mlflow import entities

from pipeline import UserError
from pipeline.base import locking
from pipeline.base.progress import busy
from pipeline.base.tags import ERROR_TAG, KIND_TAG, WEIGHTS_TAG, Kind, Status
from pipeline.base.terminal import print_error, say
from pipeline.base.text import short_id, wrap
from pipeline.tracking import provenance
from pipeline.tracking.mlflow_run import Run
from pipeline.tracking.run_data import RunStart, final_status
from pipeline.tracking.store.client import StoreClient, open_store
from pipeline.tracking.store.database import run_label, tagged_runs
from pipeline.tracking.store.locks import run_lock_file, store_lock

OPEN_SECONDS = 10.0  # maximum wait until a killed process releases a run; see `locks`


def new_client(store: Path) -> StoreClient:
    """Open a store; a missing store is created."""
    with busy("opening the store"):
        return open_store(store)


def start_run(store: Path, experiment: str, start: RunStart) -> Run:
    """Create a run, or resume a run, whose incomplete children are deleted."""
    client = new_client(store)
    with store_lock(store):
        client.mark_killed_runs()
        resumed = start.resume and client.get_run(start.resume)
        run = resumed or _create(client, experiment, start)
        path = run_lock_file(store, run.info.run_id)
        lock = locking.acquire(path, seconds=OPEN_SECONDS)
    opened = Run(client, run, lock=lock)
    try:
        if start.resume:
            client.update_run(opened.run_id, Status.RUNNING)
            if ERROR_TAG in run.data.tags:  # an earlier attempt failed
                client.delete_tag(opened.run_id, ERROR_TAG)
            opened.set_tags(start.tags)
            opened.delete_incomplete_children()
        # A resumed run keeps its params, because MLflow rejects changed values.
        known = run.data.params
        opened.log_params({k: v for k, v in start.params.items() if k not in known})
        opened.log_diff(start.diff)
    except BaseException as error:
        close(opened, *final_status(error))
        raise
    return opened


def reopen_run(
    store: Path, experiment: str, run_id: str | None, weights_sha256: str | None
) -> Run:
    """Return the run of a network or sweep: see `Tracker.reopen_run`."""
    client = new_client(store)
    with store_lock(store):
        client.mark_killed_runs()
        if weights_sha256:
            found = tagged_runs(store, WEIGHTS_TAG, [weights_sha256])
            ids = [recorded.run_id for recorded in found]
            run_id = run_id if run_id in ids else next(iter(ids), None)
        if run_id:
            run = client.get_run(run_id)
        else:
            assert weights_sha256
            run = _create_for_network(client, experiment, weights_sha256)
        # A run that was created for a network is closed before data is added, so that a
        # killed process leaves no open run.
        is_created = run.data.tags.get(KIND_TAG) == Kind.EVALUATION
        if is_created and run.info.status != Status.FINISHED:
            client.set_terminated(run.info.run_id)
    return Run(client, run)


def _create_for_network(
    client: StoreClient, experiment: str, sha256: str
) -> entities.Run:
    code = provenance.code_state()
    tags = {WEIGHTS_TAG: sha256, KIND_TAG: Kind.EVALUATION}
    tags |= provenance.tags(code)
    run = _create(client, experiment, RunStart(f"network {short_id(sha256)}", {}, tags))
    Run(client, run).log_diff(code.diff)
    created = f"created {run_label(run.info.run_name, run.info.run_id)}"
    say(wrap(f"the store has no run of this network; {created}"))
    return run


def _create(client: StoreClient, experiment: str, start: RunStart) -> entities.Run:
    found = client.find_or_create_experiment(experiment)
    return client.create_named_run(
        found.experiment_id, start.name, start.tags, start.time
    )


def close(run: Run, status: Status, error: str | None) -> str:
    """Close a run and return its id; see `OpenRun.close`.

    The status of a run that was opened to add results does not change.
    """
    client, failed = run.client, f"run {run.run_id} could not be marked {status}"
    if run.lock is None:
        return run.run_id
    try:
        try:
            client.set_terminated(run.run_id, status)
            if error:
                client.set_tag(run.run_id, ERROR_TAG, error)
        finally:  # before this process waits for the store's lock
            Path(run.lock.lock_file).unlink(missing_ok=True)
            run.lock.release()
        if status != Status.FINISHED:  # its incomplete children were killed, too
            failed = f"killed runs could not be marked {Status.KILLED}"
            with store_lock(client.store):
                client.mark_killed_runs()
    except (UserError, OSError) as problem:
        if status == Status.FINISHED:
            raise
        print_error(f"{failed}: {problem}")
    return run.run_id
