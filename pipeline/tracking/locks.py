"""The locks of a store and of its open runs.

The operating system releases a lock when its process ends, even if it is killed. So a
run that is RUNNING and whose lock is free was killed.
"""

from contextlib import AbstractContextManager
from pathlib import Path

from pipeline import files
from pipeline.urls import database_path


def store_lock(store: Path) -> AbstractContextManager[None]:
    """Lock a store while runs and checkpoints are created, checked or removed."""
    waiting = "waiting for another training run to start or end"
    return files.lock(store / ".locks" / "store", waiting=waiting)


def server_lock(store: Path) -> AbstractContextManager[None]:
    """Lock the copies of a store; two processes at once would create two of a run."""
    waiting = "waiting for another process that copies runs to a server"
    return files.lock(store / ".server.lock", waiting=waiting)


def write_lock(store: Path) -> AbstractContextManager[None]:
    """Lock a store for operations that MLflow itself does not make safe."""
    waiting = f"waiting for another process that writes to {database_path(store)}"
    return files.lock(store / ".mlflow.db.lock", waiting=waiting)


def run_lock(store: Path, run_id: str) -> Path:
    """Return the lock file of a run, which the recording process holds."""
    return store / ".locks" / run_id
