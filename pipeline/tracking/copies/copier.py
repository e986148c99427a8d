"""Copies runs one by one: the functions that the copying process runs.

Runs in the copying process; `runs_in_order` and `describe_failed` also run in the main
process.

The copying process is a helper process. It can be the recording process, in a second
thread. The main process imports this module too. Therefore, functions import
`copies`, which imports MLflow, only when they are called.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline import UserError
from pipeline.base.terminal import output
from pipeline.records.tags import PARENT_TAG, REUSED_TAG
from pipeline.tracking.store.database import RecordedRun, runs_to_copy
from pipeline.tracking.store.locks import server_lock
from pipeline.tracking.store.mlflow_calls import import_mlflow, using_mlflow

COPYING_PROCESS = "the copying process"  # the name of the process in messages


class CopyStatus(NamedTuple):
    """The result of copying a run."""

    state: Literal["copied", "complete", "running", "deleted", "failed"]
    url: str = ""  # the URL of the copy, if the copy is complete
    reason: str = ""  # why there is no complete copy


RUNNING = CopyStatus("running", reason="it is still running")
DELETED = CopyStatus(
    "deleted", reason="its copy was deleted on the server, where you can restore it"
)


def runs_in_order(store: Path, run_id: str | None) -> list[RecordedRun]:
    """Return a run and its children, or all runs, in the order of copying.

    Parents are last, because a description links to the copies of children. A run that
    reuses another run comes after it, because a tag refers to the copy of the reused
    run. Both have the same start: the time of epoch 0.
    """
    runs = runs_to_copy(store, run_id)
    parents = {recorded.tags.get(PARENT_TAG) for recorded in runs}
    runs.sort(key=lambda x: (x.run_id in parents, x.start, REUSED_TAG in x.tags))
    return runs


def describe_failed(done: Mapping[str, CopyStatus], server: str) -> str:
    """Return how many runs the server rejected, and the first reason; "" if none."""
    failed = [key for key, each in done.items() if each.state == "failed"]
    if not failed:
        return ""
    return (
        f"{len(failed)} of {len(done)} runs were not copied to {server}; "
        f"for example, run {failed[0]}: {done[failed[0]].reason}"
    )


def copy_with_children(
    store: Path, server: str, run_id: str, deadline: float, *, is_open: bool
) -> str:
    """Copy the new data of a run and its children; return the URL of the copy.

    An open run is copied only if `is_open` is true. An open child is never copied.

    Raises:
        UserError: If not all runs were copied, or if another process holds the lock of
            the copies until `deadline`. The message says why. All processes of a
            machine share the clock of the deadline, `time.monotonic`.
    """
    done: dict[str, CopyStatus] = {}
    with output(quiet=True):  # the process of a training run has its own channel
        for recorded in runs_in_order(store, run_id):
            seconds = max(0.0, deadline - time.monotonic())
            is_now_open = is_open and recorded.run_id == run_id
            if status := copy_run(
                store, server, recorded, seconds=seconds, is_open=is_now_open
            ):
                done[recorded.run_id] = status
    if failed := describe_failed(done, server):
        raise UserError(failed)
    if run_id not in done:
        raise UserError("it was deleted")
    if not done[run_id].url:
        raise UserError(done[run_id].reason)
    return done[run_id].url


def copy_run(
    store: Path,
    server: str,
    recorded: RecordedRun,
    *,
    seconds: float,
    is_open: bool = False,
) -> CopyStatus | None:
    """Copy a run while this process holds the lock of the copies.

    The result is None if the run was deleted.

    If the main process is killed, no other process gets the lock before this process
    ends.

    Raises:
        UserError: If another process does not release the lock in `seconds`, or if the
            server does not respond.
    """
    import_mlflow()
    from pipeline.tracking.copies.copies import connect

    with server_lock(store, seconds=seconds):
        return connect(store, server).copy(recorded, is_open=is_open)


def mark_killed_runs(store: Path) -> None:
    """Mark killed runs for the command `sync`, which holds the lock of the store."""
    with using_mlflow(store):
        from pipeline.tracking.store.client import open_store

        open_store(store).mark_killed_runs()
