"""The locks of a store and of its open runs, and why there is no deadlock.

The process that records a run holds the run's lock until the run is closed, and the
operating system releases the lock when this process ends. So a run that is RUNNING and
whose lock is free was killed.

A thread waits only for a lock of a later level than those that it holds, in the order
of `files.Level`, so processes cannot wait for each other in a circle. The locks of runs
and checkpoints do not count when they are held: `on_epoch` may call a stage, which
acquires the lock of the store. They cause no deadlock for these reasons:

- No process waits for the lock of a checkpoint, because a locked checkpoint belongs to
  another training run.
- Only `open_run` waits for the lock of a run, while it holds that of the store. It
  resumes a run only if its caller holds the lock of the checkpoint or sweep, so the
  process that trained the run has ended. The process that recorded it may still be
  closing it, which needs the lock of the store. Therefore, `close_run` releases the
  lock of the run first.

When a run is closed, the file of its lock is removed. A process that waits for this
lock then holds a new file.
"""

from contextlib import AbstractContextManager
from pathlib import Path

from pipeline import files
from pipeline.files import Level
from pipeline.urls import database_path


def store_lock(store: Path) -> AbstractContextManager[None]:
    """Lock a store while runs and checkpoints are created, checked or removed."""
    waiting = "waiting for another training run to start or end"
    return files.lock(store / ".locks" / "store", Level.STORE, waiting=waiting)


def server_lock(store: Path) -> AbstractContextManager[None]:
    """Lock the copies of a store; two processes at once would create two of a run."""
    waiting = "waiting for another process that copies runs to a server"
    return files.lock(store / ".server.lock", Level.SERVER, waiting=waiting)


def write_lock(store: Path) -> AbstractContextManager[None]:
    """Lock a store for operations that MLflow itself does not make safe."""
    waiting = f"waiting for another process that writes to {database_path(store)}"
    return files.lock(store / ".mlflow.db.lock", Level.DATABASE, waiting=waiting)


def run_lock(store: Path, run_id: str) -> Path:
    """Return the lock file of a run, which the recording process holds."""
    return store / ".locks" / run_id
