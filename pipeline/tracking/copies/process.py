"""The functions that run in the helper process that copies runs.

`mirror` and `sync` start this process and import this module, too. So `server`, which
imports MLflow, is imported inside the functions.
"""

import time
from importlib import import_module
from pathlib import Path

from pipeline import UserError
from pipeline.tracking.copies.order import CopyStatus, copy_in_order
from pipeline.tracking.store.database import RecordedRun
from pipeline.tracking.store.locks import server_lock


def import_mlflow() -> None:
    """Import MLflow early."""
    import_module("pipeline.tracking.copies.server")


def copy_with_children(
    store: Path, server: str, run_id: str, end: float, *, is_open: bool
) -> str:
    """Copy what is new in a run and its children; return the URL of the copy.

    A run that is open is copied only if `is_open`; an open child never is.

    Raises:
        UserError: If not all runs were copied, or another process holds the lock of the
            copies until `end`, in seconds since 1970; the message says why.
    """

    def copy(recorded: RecordedRun) -> CopyStatus | None:
        with server_lock(store, seconds=max(0.0, end - time.time())):
            is_this = recorded.run_id == run_id
            return copy_run(store, server, recorded, is_open=is_open and is_this)

    copied = copy_in_order(store, server, run_id, copy).get(run_id)
    if copied is None:
        raise UserError("it was deleted")
    if not copied.url:
        raise UserError("it was deleted on the server")
    return copied.url


def copy_run(
    store: Path, server: str, recorded: RecordedRun, *, is_open: bool = False
) -> CopyStatus | None:
    """Copy a run; the caller, such as `sync`, holds the lock of the copies."""
    from pipeline.tracking.copies.server import copies_on

    return copies_on(server, store).try_update(recorded, is_open=is_open)


def mark_killed_runs(store: Path) -> None:
    """Mark runs whose process has ended, for `sync`, which holds the store's lock."""
    from pipeline.tracking.store.client import open_store

    open_store(store).mark_killed_runs()
