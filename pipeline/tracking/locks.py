"""The locks of a store and of its open runs.

The operating system releases a lock when its process ends, even if it is killed. So a
run that is RUNNING and whose lock is free was killed.
"""

from contextlib import AbstractContextManager
from pathlib import Path

from pipeline import files


def store_lock(folder: Path) -> AbstractContextManager[None]:
    """Lock a store while runs and checkpoints are created, checked or removed."""
    waiting = "waiting for another training run to start or end"
    return files.lock(folder / ".locks" / "store", waiting=waiting)


def write_lock(folder: Path) -> AbstractContextManager[None]:
    """Lock a store for operations that MLflow itself does not make safe."""
    waiting = f"waiting for another process that writes to {folder / 'mlflow.db'}"
    return files.lock(folder / ".mlflow.db.lock", waiting=waiting)


def run_lock(folder: Path, run_id: str) -> Path:
    """Return the lock file of a run, which the recording process holds."""
    return folder / ".locks" / run_id
