import ast
import fcntl
import io
import threading
import time
from contextlib import redirect_stderr

import pytest

from pipeline.base import locking
from pipeline.base.locking import Level
from pipeline.base.paths import PACKAGE


@pytest.mark.parametrize("level", Level)
def test_a_process_that_waits_for_a_lock_says_so(tmp_path, level):
    entered = threading.Event()
    printed = io.StringIO()  # `capfd` can lose text that is written while it reads

    def second():
        with locking.lock(tmp_path / "lock", level, waiting="waiting for the first"):
            entered.set()

    with redirect_stderr(printed):
        with locking.lock(tmp_path / "lock", level, waiting=""):
            thread = threading.Thread(target=second)
            thread.start()
            while not printed.getvalue().endswith("\n"):  # the last of the writes
                time.sleep(0.01)
            assert not entered.is_set()
        thread.join(60)
    assert entered.is_set() and printed.getvalue() == "waiting for the first\n"


@pytest.mark.parametrize("held", Level)
def test_a_thread_cannot_acquire_a_lock_that_comes_before_one_that_it_holds(
    tmp_path, held
):
    def acquire(level):
        with locking.lock(tmp_path / level.name, level, waiting=""):
            pass

    with locking.lock(tmp_path / "held", held, waiting=""):
        for level in Level:
            if level > held:
                acquire(level)
            else:
                with pytest.raises(RuntimeError, match="must be acquired before"):
                    acquire(level)
        thread = threading.Thread(target=acquire, args=(Level.SWEEP,))
        thread.start()
        thread.join(60)
    assert (tmp_path / "SWEEP").exists()  # another thread has its own order


def test_the_lock_of_a_run_does_not_count_while_it_is_held(tmp_path):
    with locking.lock(tmp_path / "store", Level.STORE, waiting=""):
        run = locking.claim(tmp_path / "run")
    with locking.lock(tmp_path / "sweep", Level.SWEEP, waiting=""):
        assert locking.is_locked(tmp_path / "run")
    run.release()


def calls_in(node, name):
    """Return the calls to a function, each with the names of its arguments."""
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    return {
        ast.unparse(call): {each.arg for each in call.keywords}
        for call in calls
        if ast.unparse(call.func).split(".")[-1] == name
    }


def test_only_the_recorder_waits_for_a_lock_that_it_claims():
    """The docstring of `locking` says why these locks cause no deadlock."""
    waits = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        blocks = [each for each in ast.walk(tree) if isinstance(each, ast.With)]
        held = [x for x in blocks if "store_lock(" in ast.unparse(x.items[0])]
        under_store = {call for block in held for call in calls_in(block, "claim")}
        for call, arguments in calls_in(tree, "claim").items():
            if call.startswith("locking."):
                assert call in under_store, path
                waits.setdefault(path.stem, []).append("seconds" in arguments)
    assert waits == {"recorder": [True], "checkpoints": [False]}


def test_a_process_that_waits_for_a_lock_file_that_is_removed_holds_a_new_one(tmp_path):
    path, results = tmp_path / "run", []

    def second():
        lock = locking.claim(path, seconds=60.0)
        results.append(locking.is_locked(path))
        lock.release()

    first = locking.claim(path)
    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.3)  # the thread waits
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
            path.unlink()  # another process closes its run at this moment
            removed.append(path)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    lock = locking.claim(path, seconds=60.0)
    assert removed and locking.is_locked(path)
    lock.release()
