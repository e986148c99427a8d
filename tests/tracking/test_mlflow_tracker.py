import platform
from contextlib import suppress

import pytest
from PIL import Image

from pipeline import files, tracking
from pipeline.tracking import provenance
from pipeline.tracking.mlflow_run import NO_LEASE
from pipeline.tracking.store import open_store


def runs(store):
    return open_store(store).search("")


def reopen(store, run_id=None):
    tracker = tracking.open_tracker("mlflow", store, server=None)
    return tracker.reopen_run(run_id=run_id, weights_sha256="f00d")


def test_a_run_that_ends_is_finished_and_has_name_params_and_provenance(
    store, start_run
):
    with start_run(store, tags={"data.sha256": "da7a"}) as run:
        assert [stored.info.status for stored in runs(store)] == ["RUNNING"]
    (stored,) = runs(store)
    assert (stored.info.run_id, stored.info.run_name) == (run.id, "a name")
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"hidden": "20"}
    expected = {**provenance.tags(), "data.sha256": "da7a", "claim": "digest/one"}
    assert expected.items() <= stored.data.tags.items()
    assert stored.data.tags["host"] == platform.node()


def test_a_run_that_fails_is_failed_with_its_reason_until_it_is_resumed(
    store, start_run
):
    with pytest.raises(FloatingPointError), start_run(store):
        raise FloatingPointError("the loss is not finite")
    (stored,) = runs(store)
    assert stored.info.status == "FAILED"
    assert stored.data.tags["error"] == "FloatingPointError: the loss is not finite"
    with start_run(store):
        pass
    (stored,) = runs(store)
    assert stored.info.status == "FINISHED" and "error" not in stored.data.tags


def test_a_run_that_is_interrupted_is_killed_and_resumed_by_its_lease(store, start_run):
    ids = []
    for attempt in (1, 2):
        with suppress(KeyboardInterrupt), start_run(store) as run:
            run.log_metrics({"val/loss": 0.5}, step=1, time=1000)
            run.log_image("weights/templates", Image.new("RGB", (9, 9)), step=1)
            ids.append(run.id)
            if attempt == 1:
                raise KeyboardInterrupt
        (stored,) = runs(store)
        assert stored.info.status == ("KILLED" if attempt == 1 else "FINISHED")
    assert ids == [stored.info.run_id] * 2
    # What both attempts recorded is stored once.
    client = open_store(store).client
    assert len(client.get_metric_history(stored.info.run_id, "val/loss")) == 1
    images = client.list_artifacts(stored.info.run_id, "images")
    assert len([file for file in images if file.path.endswith(".png")]) == 1


def test_a_finished_run_is_found_and_not_duplicated_by_its_lease(store, start_run):
    tracker = tracking.open_tracker("mlflow", store, server=None)
    with start_run(store) as run:
        assert tracker.finished_run(lease="digest/one") is None
    assert tracker.finished_run(lease="digest/one").id == run.id
    assert tracker.finished_run(lease="digest/two") is None
    with start_run(store) as again:
        pass
    assert again.id == run.id and len(runs(store)) == 1


def test_leases_are_listed_newest_first(store, start_run):
    for lease in ("sweeps/1-a", "sweeps/1-b", "sweeps/2-a"):
        with start_run(store, lease=lease):
            pass
    tracker = tracking.open_tracker("mlflow", store, server=None)
    assert tracker.leases("sweeps/1-") == ["sweeps/1-b", "sweeps/1-a"]


@pytest.mark.parametrize("action", ["start", "reopen"])
def test_a_running_run_whose_lease_is_not_held_is_marked_killed(
    store, start_run, action
):
    client, ids = open_store(store).client, {}
    for lease in ("digest/dead", "digest/alive", "digest/elsewhere"):
        host = "another" if lease == "digest/elsewhere" else platform.node()
        tags = {"claim": lease, "host": host}
        ids[lease] = client.create_run("1", tags=tags).info.run_id
    lock = files.hold(store / "digest" / "alive" / "lock")
    with start_run(store) if action == "start" else reopen(store):
        pass
    lock.release()
    assert {lease: client.get_run(ids[lease]).info.status for lease in ids} == {
        "digest/dead": "KILLED",
        "digest/alive": "RUNNING",
        "digest/elsewhere": "RUNNING",
    }


def test_a_reopened_run_gets_metrics_and_stays_closed(store, start_run):
    with start_run(store, tags={"weights.sha256": "f00d"}) as run:
        pass
    (before,) = runs(store)
    with reopen(store, run.id) as reopened:
        reopened.log_metrics({"evaluate/mnist/accuracy": 0.9}, step=20, time=1000)
    (after,) = runs(store)
    assert after.data.metrics == {"evaluate/mnist/accuracy": 0.9}
    assert after.info.status == before.info.status == "FINISHED"
    assert after.info.end_time == before.info.end_time


def test_a_run_with_the_same_weights_replaces_an_unknown_run(store, start_run):
    with start_run(store, tags={"weights.sha256": "f00d"}) as run:
        pass
    with reopen(store, "0" * 32) as reopened:
        assert reopened.id == run.id


def test_an_unknown_network_gets_a_run_once_and_a_message(store, capsys):
    for _ in range(2):
        with reopen(store, "0" * 32):
            pass
    (run,) = runs(store)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "network f00d")
    assert capsys.readouterr().out.count("the store has no run of this network") == 1


def test_the_run_of_an_unknown_network_is_closed_whatever_happens(store, start_run):
    client = open_store(store).client
    tags = provenance.run_tags({"weights.sha256": "f00d"}, NO_LEASE)
    killed = client.create_run("1", tags=tags).info.run_id  # its process was killed
    with start_run(store):
        assert client.get_run(killed).info.status == "KILLED"
    with pytest.raises(OSError, match="full"), reopen(store) as run:
        raise OSError("full")
    assert run.id == killed
    assert client.get_run(killed).info.status == "FINISHED"
