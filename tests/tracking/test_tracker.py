import platform
import re
import sqlite3
import sys
import threading
from contextlib import suppress

import pytest
from PIL import Image

from pipeline import UserError
from pipeline.base import locking
from pipeline.records.tags import PROJECT_TAG
from pipeline.tracking import new_tracker, provenance
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.open_run import OpenRun, ThisProcess, UnrecordedRun
from pipeline.tracking.store.locks import run_lock_file, store_lock


@pytest.fixture
def only_run(client):
    """Return a function that returns the only run of the store."""

    def only_run():
        (run,) = client.search_runs(["1"])
        return run

    return only_run


def locked_runs(store):
    """Return the IDs of the runs that have a lock file."""
    return {path.name for path in (store / ".locks").iterdir()} - {"store"}


def test_a_run_that_ended_early_says_why_and_is_resumed(
    store, client, start_run, only_run
):
    run_id = None
    failure = FloatingPointError("loss is NaN")
    for status, error, reason in (
        ("KILLED", KeyboardInterrupt(), None),
        ("FAILED", failure, "FloatingPointError: loss is NaN"),
        ("FINISHED", None, None),
    ):
        resumed = start_run(store, resume=run_id)
        with suppress(KeyboardInterrupt, FloatingPointError), resumed as run:
            run_id = run.run_id
            assert locking.is_locked(run_lock_file(store, run_id))
            assert only_run().info.status == "RUNNING"
            run.log_metrics({"val/loss": 0.5}, step=1, time=1000)
            run.log_image("weights/layer_1", Image.new("RGB", (9, 9)), step=1)
            if error:
                raise error
        stored = only_run()
        assert (stored.info.status, stored.data.tags.get("error")) == (status, reason)
        assert not run_lock_file(store, run_id).exists()
    # What all attempts recorded is stored once.
    (point,) = client.get_metric_history(run.run_id, "val/loss")
    assert (point.value, point.step, point.timestamp) == (0.5, 1, 1000)
    images = client.list_artifacts(run.run_id, "images")
    assert len([file for file in images if file.path.endswith(".png")]) == 1


def test_a_run_can_fail_although_its_block_ends_normally(store, start_run, only_run):
    with start_run(store) as run:
        run.fail("a training run failed")
    assert only_run().info.status == "FAILED"
    assert only_run().data.tags["error"] == "a training run failed"


def test_a_run_that_cannot_be_opened_has_failed(store, tracker, only_run):
    run = {"name": "a name", "params": {"a\ttab": 1}, "tags": {}, "time": 1000}
    with pytest.raises(UserError, match="tab"), tracker.start_run(**run):
        pytest.fail("the block is executed")
    opened = only_run()
    assert opened.info.status == "FAILED"
    error = opened.data.tags["error"]
    assert "tab" in error and "mlflow.db cannot be written: " in error
    assert not run_lock_file(store, opened.info.run_id).exists()


def test_a_run_that_is_not_recorded_replaces_all_that_needs_a_recorder():
    kept = {"copied", "failure", "fail"}  # these need no recorder
    names = {name for name in vars(OpenRun) if not name.startswith("_")}
    assert names - kept <= {*vars(UnrecordedRun)}
    run = UnrecordedRun()
    run.record(lambda recorded: pytest.fail("no data is recorded"))
    assert run.copied is run.failure is run.run_id is None


def test_an_error_of_a_call_in_this_process_is_raised_by_its_future():
    call = ThisProcess().submit(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        call.result()


def test_an_error_of_the_database_of_a_caller_is_not_that_of_the_store(
    store, start_run
):
    with pytest.raises(sqlite3.OperationalError, match="no such"), start_run(store):
        sqlite3.connect(":memory:").execute("SELECT * FROM mine")


@pytest.mark.parametrize("error", [None, OSError("no image")])
def test_a_run_that_cannot_be_closed_is_never_reported_as_finished(
    store, start_run, error, capsys
):
    message = "no image" if error else "mlflow.db cannot be written: .* not a database"
    with pytest.raises((UserError, OSError), match=message), start_run(store):
        (store / "mlflow.db").write_bytes(b"not a database" * 10_000)
        if error:
            raise error
    printed = " ".join(capsys.readouterr().err.split())
    unmarked = re.search(r"could not be marked FAILED: \S+ cannot be written", printed)
    assert bool(unmarked) == bool(error)


def test_an_interrupt_inside_a_transaction_leaves_no_run_open(
    store, start_run, only_run
):
    def write():
        connection = sqlite3.connect(store / "mlflow.db")
        connection.execute("BEGIN IMMEDIATE")  # the traceback keeps the lock
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), start_run(store):
        write()
    assert only_run().info.status == "KILLED"


def test_a_finished_run_has_its_provenance(store, start_run, only_run):
    with start_run(store, tags={"data.sha256": "da7a"}) as run:
        pass
    stored = only_run()
    assert (stored.info.run_id, stored.info.run_name) == (run.run_id, "a name")
    assert stored.data.params == {"hidden": "20"}
    expected = {**provenance.tags(provenance.code_state()), "data.sha256": "da7a"}
    assert expected.items() <= stored.data.tags.items()
    assert stored.data.tags["host"] == platform.node()
    assert run.run_id in run.viewing_hint()


def test_a_run_that_ends_releases_its_lock_before_it_waits_for_the_lock_of_the_store(
    store, start_run
):
    holds, released = threading.Event(), []

    def resume(path):  # as `start_run` in another process
        with store_lock(store):
            holds.set()
            released.append(not locking.claim(path, seconds=5.0).release())

    with pytest.raises(ValueError, match="killed"), start_run(store) as run:
        path = run_lock_file(store, run.run_id)
        thread = threading.Thread(target=resume, args=(path,))
        thread.start()
        assert holds.wait(60)
        raise ValueError("killed")
    thread.join(60)
    assert released == [True]


@pytest.mark.parametrize("action", ["start", "reopen"])
def test_a_running_run_whose_lock_is_free_was_killed(
    store, client, tracker, start_run, action
):
    def create(**tags):
        return client.create_run("1", tags=tags).info.run_id

    ours = {PROJECT_TAG: "1", "host": "another"}  # each container has a new host name
    ids = {name: create(**ours) for name in ("never locked", "dead", "alive")}
    ids["of another program"] = create(kind="training")
    for parent in ("dead", "alive"):
        tags = {**ours, "mlflow.parentRunId": ids[parent]}
        ids[f"child of {parent}"] = create(**tags)
    locking.claim(run_lock_file(store, ids["dead"])).release()  # the file remains
    lock = locking.claim(run_lock_file(store, ids["alive"]))
    assert locked_runs(store) == {ids["dead"], ids["alive"]}
    reopened = tracker.reopen_run(run_id=None, weights_sha256="f00d")
    with start_run(store) if action == "start" else reopened:
        pass
    assert locked_runs(store) == {ids["alive"]}
    lock.release()
    assert {name: client.get_run(ids[name]).info.status for name in ids} == {
        "never locked": "KILLED",
        "dead": "KILLED",
        "child of dead": "KILLED",
        "alive": "RUNNING",
        "child of alive": "RUNNING",
        "of another program": "RUNNING",
    }


def test_results_are_recorded_even_if_the_copying_process_cannot_start(
    store, monkeypatch, capsys
):
    tracker = new_tracker(store, server="http://127.0.0.1:1", experiment="digits")
    monkeypatch.setattr(sys, "executable", "/missing/python")
    with tracker.reopen_run(run_id=None, weights_sha256="f00d") as run:
        run.record(
            MlflowRun.log_metrics, {"with_test_set/mnist/accuracy": 0.9}, step=20
        )
    assert run.copied is False
    assert f"the copy of run {run.run_id} is incomplete" in capsys.readouterr().err


def test_results_are_added_to_the_given_or_the_newest_run_with_equal_weights(
    store, client, tracker, start_run
):
    runs = []
    for weights in ("f00d", "f00d", "beef"):
        tags = {"weights.sha256": weights}
        with start_run(store, tags=tags) as run:
            pass
        runs.append(client.get_run(run.run_id))
    first, newest, other = (run.info.run_id for run in runs)
    # If `dvc repro` restored this network from its cache, run.json belongs to another.
    expected = {first: first, other: newest, "0" * 32: newest, None: newest}
    metrics = {"with_test_set/mnist/accuracy": 0.9}
    for run_id, found in expected.items():
        with tracker.reopen_run(run_id=run_id, weights_sha256="f00d") as reopened:
            assert reopened.run_id == found
            reopened.log_metrics(metrics, step=20, time=1000)
    after = client.get_run(first)
    assert after.data.metrics == metrics
    assert after.info.status == "FINISHED"
    assert after.info.end_time == runs[0].info.end_time


def test_an_unknown_network_gets_one_run_which_is_closed_even_after_errors(
    tracker, only_run, capsys
):
    for error in (None, OSError("full")):
        reopened = tracker.reopen_run(run_id="0" * 32, weights_sha256="f00d")
        with suppress(OSError), reopened:
            if error:
                raise error
        run = only_run()
        assert (run.info.status, run.info.run_name) == ("FINISHED", "network f00d")
    printed = capsys.readouterr().out
    assert printed.count("the store has no run of this network") == 1
    assert max(map(len, printed.splitlines())) <= 80
