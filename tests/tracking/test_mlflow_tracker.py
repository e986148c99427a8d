import platform
from contextlib import suppress

import pytest
from PIL import Image

from pipeline import files
from pipeline.tracking import provenance
from pipeline.tracking.mlflow_run import NO_LEASE


@pytest.fixture
def only_run(client):
    """Return a function that returns the only run of the store."""

    def only_run():
        (run,) = client.search_runs(["1"])
        return run

    return only_run


def test_a_run_that_ends_is_finished_and_has_name_params_and_provenance(
    store, start_run, only_run
):
    with start_run(store, tags={"data.sha256": "da7a"}) as run:
        assert only_run().info.status == "RUNNING"
    stored = only_run()
    assert (stored.info.run_id, stored.info.run_name) == (run.id, "a name")
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"hidden": "20"}
    expected = {**provenance.tags(), "data.sha256": "da7a", "claim": "digest/one"}
    assert expected.items() <= stored.data.tags.items()
    assert stored.data.tags["host"] == platform.node()


def test_a_run_that_fails_is_failed_with_its_reason_until_it_is_resumed(
    store, start_run, only_run
):
    with pytest.raises(FloatingPointError), start_run(store):
        raise FloatingPointError("the loss is not finite")
    stored = only_run()
    assert stored.info.status == "FAILED"
    assert stored.data.tags["error"] == "FloatingPointError: the loss is not finite"
    with start_run(store):
        pass
    assert only_run().info.status == "FINISHED" and "error" not in only_run().data.tags


def test_a_run_that_is_interrupted_is_killed_and_resumed_by_its_lease(
    store, client, start_run, only_run
):
    ids = []
    for status in ("KILLED", "FINISHED"):
        with suppress(KeyboardInterrupt), start_run(store) as run:
            run.log_metrics({"val/loss": 0.5}, step=1, time=1000)
            run.log_image("weights/templates", Image.new("RGB", (9, 9)), step=1)
            ids.append(run.id)
            if status == "KILLED":
                raise KeyboardInterrupt
        assert only_run().info.status == status
    assert ids == [run.id] * 2
    # What both attempts recorded is stored once.
    assert len(client.get_metric_history(run.id, "val/loss")) == 1
    images = client.list_artifacts(run.id, "images")
    assert len([file for file in images if file.path.endswith(".png")]) == 1


def test_a_finished_run_is_found_and_not_duplicated_by_its_lease(
    store, tracker, start_run, only_run
):
    with start_run(store) as run:
        assert tracker.finished_run(lease="digest/one") is None
    assert tracker.finished_run(lease="digest/one").id == run.id
    assert tracker.finished_run(lease="digest/two") is None
    with start_run(store):
        pass
    assert only_run().info.run_id == run.id


def test_leases_are_listed_newest_first(store, tracker, start_run):
    for lease in ("sweeps/1-a", "sweeps/1-b", "sweeps/2-a"):
        with start_run(store, lease=lease):
            pass
    assert tracker.leases("sweeps/1-") == ["sweeps/1-b", "sweeps/1-a"]


@pytest.mark.parametrize("action", ["start", "reopen"])
def test_a_running_run_whose_lease_is_not_held_is_marked_killed(
    store, client, tracker, start_run, action
):
    ids = {}
    for lease in ("digest/dead", "digest/alive", "digest/elsewhere"):
        host = "another" if lease == "digest/elsewhere" else platform.node()
        tags = {"claim": lease, "host": host}
        ids[lease] = client.create_run("1", tags=tags).info.run_id
    lock = files.hold(store / "digest" / "alive" / "lock")
    reopened = tracker.reopen_run(run_id=None, weights_sha256="f00d")
    with start_run(store) if action == "start" else reopened:
        pass
    lock.release()
    assert {lease: client.get_run(ids[lease]).info.status for lease in ids} == {
        "digest/dead": "KILLED",
        "digest/alive": "RUNNING",
        "digest/elsewhere": "RUNNING",
    }


@pytest.mark.parametrize("is_known", [True, False])
def test_the_run_of_a_network_or_of_equal_weights_gets_metrics_and_stays_closed(
    store, tracker, start_run, only_run, is_known
):
    with start_run(store, tags={"weights.sha256": "f00d"}) as run:
        pass
    before, run_id = only_run(), run.id if is_known else "0" * 32
    with tracker.reopen_run(run_id=run_id, weights_sha256="f00d") as reopened:
        reopened.log_metrics({"evaluate/mnist/accuracy": 0.9}, step=20, time=1000)
    after = only_run()
    assert after.data.metrics == {"evaluate/mnist/accuracy": 0.9}
    assert after.info.status == before.info.status == "FINISHED"
    assert after.info.end_time == before.info.end_time


def test_an_unknown_network_gets_a_run_once_and_a_message(tracker, only_run, capsys):
    for _ in range(2):
        with tracker.reopen_run(run_id="0" * 32, weights_sha256="f00d"):
            pass
    run = only_run()
    assert (run.info.status, run.info.run_name) == ("FINISHED", "network f00d")
    assert capsys.readouterr().out.count("the store has no run of this network") == 1


def test_the_run_of_an_unknown_network_is_closed_whatever_happens(
    store, client, tracker, start_run
):
    tags = provenance.run_tags({"weights.sha256": "f00d"}, NO_LEASE)
    killed = client.create_run("1", tags=tags).info.run_id  # its process was killed
    with start_run(store):
        assert client.get_run(killed).info.status == "KILLED"
    reopened = tracker.reopen_run(run_id=None, weights_sha256="f00d")
    with pytest.raises(OSError, match="full"), reopened as run:
        raise OSError("full")
    assert run.id == killed
    assert client.get_run(killed).info.status == "FINISHED"
