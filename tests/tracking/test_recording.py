from contextlib import suppress

import pytest
from PIL import Image

from pipeline import tracking
from pipeline.tracking import provenance, recording

RUN = {"name": "a name", "params": {"hidden": 20}, "tags": {}, "lease": "digest/one"}


@pytest.fixture
def tracker(store):
    """A tracker that records one run in another process."""
    recording.prepare()
    return tracking.open_recording("mlflow", store, server=None)


def test_a_run_is_recorded_by_the_other_process_while_it_is_open(tracker, client):
    with suppress(FloatingPointError), tracker.start_run(**RUN) as run:
        run.log_history((step, 1000, {"val/loss": 0.5}) for step in (1, 2))
        run.log_image("weights/layer_1", Image.new("RGB", (9, 9)), step=1)
        (opened,) = client.search_runs(["1"])
        assert (opened.info.run_id, opened.info.status) == (run.id, "RUNNING")
        assert len(client.get_metric_history(run.id, "val/loss")) == 2
        raise FloatingPointError("loss is NaN")
    closed = client.get_run(run.id)
    assert closed.info.status == "FAILED"
    assert closed.data.tags["error"] == "FloatingPointError: loss is NaN"
    assert closed.data.tags["command"] == provenance.tags()["command"]
    assert closed.data.params == {"hidden": "20"}
    assert f"({run.id})" in run.viewing_hint().replace("\n       ", " ")


def test_the_first_method_raises_the_error_of_opening_the_store(store, tracker):
    (store / "mlflow.db").write_bytes(b"no database" * 1000)
    with (
        pytest.raises(
            ValueError, match=r"mlflow.db cannot be opened: .*not a database"
        ),
        tracker.start_run(**RUN) as run,
    ):
        run.set_tags({"a": "b"})


def test_a_killed_recording_process_is_an_error_with_a_remedy(tracker, client):
    with (
        pytest.raises(OSError, match=r"records the run was killed; run the same com"),
        tracker.start_run(**RUN) as run,
    ):
        run.set_tags({"a": "b"})
        tracker.process._process.kill()
        run.set_tags({"a": "c"})
    assert client.get_run(run.id).info.status == "RUNNING"  # the next process closes it
