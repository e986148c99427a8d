import fcntl
import threading
import time

import pytest

from pipeline.base import locking
from pipeline.base.locking import Level


def test_a_process_that_waits_for_a_lock_says_so(tmp_path, capfd):
    entered = threading.Event()

    def second():
        waiting = "waiting for the first"
        with locking.lock(tmp_path / "lock", Level.STORE, waiting=waiting):
            entered.set()

    with locking.lock(tmp_path / "lock", Level.STORE, waiting=""):
        thread = threading.Thread(target=second)
        thread.start()
        printed = ""
        while not printed:
            printed = capfd.readouterr().err
            time.sleep(0.01)
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set() and printed == "waiting for the first\n"


def test_a_thread_cannot_acquire_a_lock_that_comes_before_one_that_it_holds(tmp_path):
    def acquire(name, level):
        with locking.lock(tmp_path / name, level, waiting=""):
            pass

    with locking.lock(tmp_path / "store", Level.STORE, waiting=""):
        acquire("database", Level.DATABASE)
        run = locking.acquire(tmp_path / "run")
        for name, level in (("sweep", Level.SWEEP), ("another", Level.STORE)):
            with pytest.raises(RuntimeError, match="must be acquired before"):
                acquire(name, level)
        thread = threading.Thread(target=acquire, args=("sweep", Level.SWEEP))
        thread.start()
        thread.join(60)
    assert (tmp_path / "sweep").exists()  # another thread has its own order
    acquire("sweep", Level.SWEEP)  # the lock of the run is still held
    run.release()


def test_a_process_that_waits_for_a_lock_file_that_is_removed_holds_a_new_one(tmp_path):
    path, results = tmp_path / "run", []

    def second():
        lock = locking.acquire(path, seconds=60.0)
        results.append(locking.is_locked(path))
        lock.release()

    first = locking.acquire(path)
    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.3)  # it waits
    path.unlink()
    first.release()
    thread.join(60)
    assert results == [True]


def test_a_lock_file_that_is_removed_before_it_is_locked_has_one_holder(
    tmp_path, monkeypatch
):
    path, flock, removed = tmp_path / "run", fcntl.flock, []

    def remove_first(descriptor, operation):
        if not removed:
            path.unlink()  # as a process that closes its run at this moment
            removed.append(path)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    lock = locking.acquire(path, seconds=60.0)
    assert removed and locking.is_locked(path)
    lock.release()
