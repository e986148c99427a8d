import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from PIL import Image

from pipeline import tracking
from pipeline.tracking import provenance, recording
from pipeline.tracking.interface import Run
from pipeline.tracking.quiet import quiet
from pipeline.training import Recorder

RUN = {"name": "a name", "params": {"hidden": 20}, "tags": {}, "lease": "digest/one"}


@pytest.fixture
def tracker(store, monkeypatch):
    """A tracker that records one run in another process, in experiment 2."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    with closing(recording.RecordingTracker(store, None, None)) as tracker:
        yield tracker


def test_a_run_is_recorded_by_the_other_process_while_it_is_open(tracker, client):
    before = time.time() * 1000 - 1
    with suppress(FloatingPointError), tracker.start_run(**RUN) as run:
        started = time.time() * 1000
        run.log_history([(step, 1000, {"val/loss": 0.5}) for step in (1, 2)])
        run.log_image("weights/layer_1", Image.new("RGB", (9, 9)), step=1)
        (opened,) = client.search_runs(["2"])
        assert before < opened.info.start_time <= started
        assert client.get_experiment("2").name == "mine"
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
        pytest.raises(OSError, match=r"cannot open .*mlflow.db: .*not a database"),
        tracker.start_run(**RUN) as run,
    ):
        run.set_tags({"a": "b"})


def test_a_killed_recording_process_is_an_error_with_a_remedy(tracker, client):
    with (
        pytest.raises(OSError, match=r"records the run was killed; run the same com"),
        tracker.start_run(**RUN) as run,
    ):
        run.set_tags({"a": "b"})
        tracker._process.kill()
        run.set_tags({"a": "c"})
    assert client.get_run(run.id).info.status == "RUNNING"  # the next process closes it


def test_a_killed_process_does_not_hide_the_error_of_the_training(tracker, capsys):
    with (
        pytest.raises(FloatingPointError, match="loss is NaN"),
        tracker.start_run(**RUN),
    ):
        tracker._process.kill()
        raise FloatingPointError("loss is NaN")
    assert "the run could not be marked FAILED" in capsys.readouterr().err


def test_a_run_that_is_interrupted_before_it_is_open_is_killed(client, tracker):
    with (
        pytest.raises(KeyboardInterrupt),
        tracker.start_run(**RUN) as run,
        Recorder.open(run) as recorder,
    ):
        recorder.log(lambda run: run.set_tags({"a": "b"}))
        raise KeyboardInterrupt
    (killed,) = client.search_runs(["2"])
    assert (killed.info.status, killed.data.tags["a"]) == ("KILLED", "b")


def test_a_run_whose_block_is_interrupted_at_once_is_killed(client, tracker):
    with suppress(KeyboardInterrupt), tracker.start_run(**RUN):
        raise KeyboardInterrupt
    (killed,) = client.search_runs(["2"])
    assert killed.info.status == "KILLED"


def test_a_further_interrupt_does_not_wait_until_the_run_is_open(
    client, tracker, monkeypatch
):
    def call(*arguments):
        interrupt = [threading.main_thread().ident, signal.SIGINT]
        threading.Timer(0.2, signal.pthread_kill, interrupt).start()
        return recording.RecordingTracker.call(tracker, *arguments)

    tracker._process.send_signal(signal.SIGSTOP)  # it never opens the run
    with pytest.raises(KeyboardInterrupt), tracker.start_run(**RUN):
        monkeypatch.setattr(tracker, "call", call)
        raise SystemExit
    assert tracker._process.returncode == -signal.SIGKILL
    assert not client.search_runs(["1", "2"])


# The training has not logged anything yet, which would wait until the run is open.
WAIT_FOR_SIGNAL = """
import time
from pipeline import model
model.store_components = lambda *arguments, **options: time.sleep(60)
"""


def test_a_training_that_is_terminated_as_soon_as_its_run_exists_is_killed(project):
    with closing(sqlite3.connect(project.outputs / "mlflow.db")) as connection:
        process = project.start("train", "dataset=digits", before=WAIT_FOR_SIGNAL)
        while not connection.execute("SELECT * FROM runs").fetchall():
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
    process.terminate()
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 143, stderr
    (killed,) = project.runs()
    assert killed.info.status == "KILLED"


def test_a_process_without_a_run_ends_with_a_training_that_fails(store, monkeypatch):
    monkeypatch.delitem(sys.modules, "mlflow")  # otherwise, no process is started
    prepared = tracking.prepared_recording("mlflow", store, server=None)
    with suppress(OSError), prepared as open_tracker:
        tracker = open_tracker()
        raise OSError("no data")
    assert tracker._process.returncode is not None


def test_silencing_mlflow_leaves_the_environment_to_other_threads():
    with quiet():
        during = dict(os.environ)
    assert dict(os.environ) == during


def test_silencing_mlflow_keeps_a_value_of_the_user(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    with quiet():
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


IMPORTED_BY_THE_PROCESS = """
from pipeline.tracking.recording_process import import_mlflow
import_mlflow()
from mlflow import telemetry
assert telemetry.get_telemetry_client() is None
"""
IMPORTED_BY_A_USER = """
import os
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # the test sends nothing
import mlflow
from mlflow.telemetry.utils import is_telemetry_disabled
from pipeline.tracking.quiet import quiet
del os.environ["MLFLOW_DISABLE_TELEMETRY"]
assert not is_telemetry_disabled()
with quiet():
    assert is_telemetry_disabled()
"""


@pytest.mark.parametrize("code", [IMPORTED_BY_THE_PROCESS, IMPORTED_BY_A_USER])
def test_mlflow_sends_no_telemetry(code):
    root = Path(tracking.__file__).parents[2]
    # Without the variables of the tests, some of which disable telemetry, too.
    environment = {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_the_run_of_the_other_process_records_everything_but_children():
    public = {name for name in vars(Run) if not name.startswith("_")}
    assert public - vars(recording.RecordingRun).keys() == {
        *("child", "reopen_child", "delete_unfinished_children", "children"),
        *("compare_children", "folder", "log_metrics", "viewing_hint"),
    }
