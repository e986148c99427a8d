"""The locks of a store and of its open runs; `pipeline.base.locking` sets their order.

The recorder of a run holds the run's lock until the run is closed. Therefore,
if a run is RUNNING and its lock is free, the process was killed. The lock of a sweep's
run also covers the children.
"""

from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.base import locking
from pipeline.base.locking import Level
from pipeline.tracking.store.location import database_path


def store_lock(store: Path) -> AbstractContextManager[None]:
    """Lock a store while runs and checkpoints are created, checked or removed."""
    waiting = "waiting for another training run to start or end"
    return locking.lock(store / ".locks" / "store", Level.STORE, waiting=waiting)


def server_lock(
    store: Path, *, seconds: float | None = None
) -> AbstractContextManager[None]:
    """Lock the copies of a store, so that only one process creates a copy of a run.

    `locking.lock` describes `seconds`.
    """
    waiting = "waiting for another process that copies runs to a server"
    path = store / ".server.lock"
    return locking.lock(path, Level.SERVER, waiting=waiting, seconds=seconds)


def wait_for_copies(store: Path) -> None:
    """Wait until no process copies runs; print that this process waits."""
    with server_lock(store):
        pass


def write_lock(store: Path) -> AbstractContextManager[None]:
    """Lock a store for operations that MLflow itself does not make safe."""
    waiting = f"waiting for another process that writes to {database_path(store)}"
    return locking.lock(store / ".mlflow.db.lock", Level.DATABASE, waiting=waiting)


def run_lock_file(store: Path, run_id: str) -> Path:
    """Return the lock file of a run, which the recorder holds."""
    return store / ".locks" / run_id
