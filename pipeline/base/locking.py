"""Locks between processes, and why there is no deadlock.

A lock is a file. The operating system releases the lock when its process ends, even if
the process is killed. "Test:" gives the name of a test that fails if this changes.

The lock files of runs, checkpoints and results are deleted after use. `FileLock` opens
a file before it locks the file. In between, another process can delete the file, and a
third process can create a new file. Since version 3.21, filelock detects a deleted file
and opens the new file. Test: "a lock file that is removed before it is locked".

A thread that holds locks waits only for a lock of a later `Level`, so processes cannot
wait for each other in a cycle. Test: "a thread cannot acquire a lock that comes".
This rule ignores the locks of runs and checkpoints that a thread holds, because
`on_epoch` may call a stage, which acquires the lock of the store. Test: "the lock of a
run does not count". These locks, which a process claims, cause no deadlock:

- No process waits for the lock of a checkpoint, because a locked checkpoint belongs to
  another training run. Test: "only the recorder waits for a lock".
- Only `recorder.create_or_resume` waits for the lock of a run, while it holds the lock
  of the store. Its caller holds the lock of the checkpoint or sweep of a run that is
  resumed, so the process that trained the run has ended. The process that recorded the
  run may still be closing it, which needs the lock of the store. Therefore,
  `recorder.end` releases the lock of the run first.
  Test: "a run that ends releases its lock before".
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import UserError
from pipeline.base.terminal import say


class Level(IntEnum):
    """The order in which a thread acquires locks; most files are in outputs/."""

    SWEEP = 1  # sweeps/.<key>.lock, while a sweep runs
    STORE = 2  # .locks/store, while runs and checkpoints are created, checked, removed
    RUN = 3  # .locks/<run> of an open run, and checkpoints/<fingerprint>/<id>/lock
    FOLDER = 4  # .<stage>.lock, while the results of a stage are replaced or read
    SERVER = 5  # .server.lock, while a run is copied to a server
    DATABASE = 6  # .mlflow.db.lock, during writes that MLflow itself does not protect
    DATASET = 7  # data/.lock, while a data set is prepared; raw files may be shared


class _Held(threading.local):
    """The levels of the locks that a thread holds in a block, in order."""

    def __init__(self) -> None:
        self.levels: list[Level] = []


_held = _Held()


def thread_holds(level: Level) -> bool:
    """Return whether this thread holds a lock of this level in a block of `lock`."""
    return level in _held.levels


@contextmanager
def lock(
    path: Path, level: Level, *, waiting: str, seconds: float | None = None
) -> Iterator[None]:
    """Hold the lock file at `path`; print `waiting` if another process holds it.

    Raises:
        UserError: If the lock is not released in `seconds`. With None, the thread waits
            as long as necessary.
    """
    try:
        file_lock = _acquire(path, level, seconds=0.2)
    except UserError:
        say(waiting, file=sys.stderr)
        file_lock = _acquire(path, level, seconds=-1 if seconds is None else seconds)
    _held.levels.append(level)
    try:
        yield
    finally:
        _held.levels.pop()
        file_lock.release()


def claim(path: Path, *, seconds: float = 0.0) -> FileLock:
    """Lock the file at `path`, of a run or checkpoint; the caller releases the lock.

    Other processes can see that this process is alive. Unlike a `lock`, this lock does
    not count while the thread holds it.

    Raises:
        UserError: If another process does not release the lock in `seconds`.
    """
    return _acquire(path, Level.RUN, seconds=seconds)


def _acquire(path: Path, level: Level, *, seconds: float) -> FileLock:
    check_order(level)
    path.parent.mkdir(parents=True, exist_ok=True)
    file_lock = FileLock(path)
    try:
        file_lock.acquire(timeout=seconds)
    except Timeout:
        raise UserError(f"another process holds {path}: wait until it ends") from None
    return file_lock


def is_locked(path: Path) -> bool:
    """Return whether a running process holds the lock file at `path`."""
    if not path.exists():
        return False
    try:
        FileLock(path).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False


def check_order(level: Level) -> None:
    """Check that all locks of this thread have a level before this level.

    Raises:
        RuntimeError: If a lock has a later level, which is an error in the program.
    """
    if _held.levels and _held.levels[-1] >= level:
        rule = f"{level.name} must be acquired before {_held.levels[-1].name}"
        raise RuntimeError(f"locks are in the wrong order: {rule}")
