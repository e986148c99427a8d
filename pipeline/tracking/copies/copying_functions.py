"""The functions that run in the helper process that copies runs.

`mirror` and `sync` start this process and import this module too. Therefore, the
functions import `server_copies`, which imports MLflow, only when they are called.
"""

import time
from importlib import import_module
from pathlib import Path

from pipeline import UserError
from pipeline.base.printing import output
from pipeline.tracking.copies.order import CopyStatus, copy_in_order, describe_failed
from pipeline.tracking.store.database import RecordedRun
from pipeline.tracking.store.locks import server_lock

COPIER = "the process that copies runs"  # the name of the process in messages


def import_mlflow() -> None:
    """Import MLflow early."""
    import_module("pipeline.tracking.copies.server_copies")


def copy_with_children(
    store: Path, server: str, run_id: str, end: float, *, is_open: bool
) -> str:
    """Copy the new data of a run and its children; return the URL of the copy.

    An open run is copied only if `is_open` is true. An open child is never copied.

    Raises:
        UserError: If not all runs were copied, or if another process holds the lock of
            the copies until `end`, in seconds since 1970. The message says why.
    """

    def copy(recorded: RecordedRun) -> CopyStatus | None:
        seconds = max(0.0, end - time.time())
        is_now_open = is_open and recorded.run_id == run_id
        return copy_run(store, server, recorded, seconds=seconds, is_open=is_now_open)

    with output(quiet=True):  # the process of a training run has its own channel
        done = copy_in_order(store, server, run_id, copy)
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

    If the main process is killed, no other process gets the lock before this process
    ends.

    Raises:
        UserError: If another process does not release the lock in `seconds`, or if the
            server does not respond.
    """
    from pipeline.tracking.copies.server_copies import copies_on

    with server_lock(store, seconds=seconds):
        return copies_on(server, store).try_update(recorded, is_open=is_open)


def mark_killed_runs(store: Path) -> None:
    """Mark killed runs for the command `sync`, which holds the lock of the store."""
    from pipeline.tracking.store.client import open_store

    open_store(store).mark_killed_runs()
