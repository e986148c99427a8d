import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, redirect_stdout, suppress
from pathlib import Path

import pytest

from pipeline import UserError, tracking
from pipeline.base.helper_process import HelperKilled, HelperProcess
from pipeline.tracking import StepMetrics, Tracker, provenance, recorder
from pipeline.tracking import tracker as tracker_module
from pipeline.tracking.open_run import RECORDING_PROCESS
from pipeline.tracking.store.locks import run_lock_file
from pipeline.tracking.store.mlflow_calls import import_mlflow
from pipeline.tracking.store.mlflow_internals import quiet
from pipeline.training.log import exported_model, log_files

RUN = {"name": "a name", "params": {"hidden": 20}, "tags": {}, "time": 1000}


# Functions that the other process calls.


def log(run, name, value):
    run.set_tags({name: value})
    points = [StepMetrics(step, 1000, {"val/loss": 0.5}) for step in (1, 2)]
    run.log_points(points)


def log_program(run, model):
    time.sleep(0.5)  # the main process waits at the end of its block
    run.set_tags({"program": str(model.exported.exists())})


def fail(run):
    raise KeyError("a mistake")


def imported_modules():
    return {*sys.modules}


def niceness():
    return os.nice(0)


@pytest.fixture
def tracker(store, monkeypatch):
    """A tracker that records runs in another process, in the experiment "mine"."""
    folder = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", folder)  # with the functions above
    with closing(HelperProcess(RECORDING_PROCESS, channels=2, quiet=True)) as helper:
        helper.submit(recorder.warm_up, store)
        yield Tracker(store, server=None, experiment="mine", helper=helper)


@pytest.fixture
def shared_tracker(store, lasting_helper):
    """A tracker like `tracker`, but in a process that several tests share."""
    return Tracker(store, server=None, experiment="mine", helper=lasting_helper)


@pytest.fixture
def runs(client):
    """Return a function that returns the runs of that experiment."""

    def runs():
        experiment = client.get_experiment_by_name("mine")
        return client.search_runs([experiment.experiment_id]) if experiment else []

    return runs


def test_a_run_is_recorded_by_the_other_process_while_it_is_open(
    shared_tracker, client, runs
):
    with suppress(FloatingPointError), shared_tracker.start_run(**RUN) as run:
        run.record(log, "a", "b")
        run.wait()
        (opened,) = runs()
        assert opened.info.start_time == 1000
        assert (opened.info.run_id, opened.info.status) == (run.run_id, "RUNNING")
        assert opened.data.tags["a"] == "b"
        assert len(client.get_metric_history(run.run_id, "val/loss")) == 2
        raise FloatingPointError("loss is NaN")
    closed = client.get_run(run.run_id)
    assert closed.info.status == "FAILED"
    assert closed.data.tags["error"] == "FloatingPointError: loss is NaN"
    own = provenance.tags(provenance.code_state())
    assert closed.data.tags["command"] == own["command"]
    assert closed.data.params == {"hidden": "20"}
    assert f"({run.run_id})" in run.viewing_hint().replace("\n       ", " ")


def test_the_process_that_records_does_not_import_pytorch(
    shared_tracker, lasting_helper
):
    with shared_tracker.start_run(**RUN) as run:
        run.record(log_files, [])
    modules = lasting_helper.submit(imported_modules).result()
    assert {"pipeline.training.log", "pipeline.tracking.recorder"} <= modules
    assert "torch" not in modules


def test_the_other_process_can_record_several_runs(shared_tracker, client):
    with shared_tracker.start_run(**RUN) as first:
        with shared_tracker.start_run(**RUN) as second:
            for name, run in {"first": first, "second": second}.items():
                run.record(log, "name", name)
        first.record(log, "last", "yes")
    tags = [client.get_run(run.run_id).data.tags for run in (first, second)]
    assert [each["name"] for each in tags] == ["first", "second"]
    assert "last" in tags[0] and "last" not in tags[1]


def test_the_program_of_a_model_exists_until_the_other_process_has_recorded_it(
    finished, shared_tracker, client
):
    # Imports PyTorch. The other process, which must not do that, imports this module.
    from pipeline.training.training_files import read_training_run

    trained = tracking.find_training_run(finished.run_id(), store=finished.outputs)
    training = read_training_run(trained)
    with (
        shared_tracker.start_run(**RUN) as run,
        exported_model(run, training, trained.network_path) as model,
    ):
        run.record(log_program, model)
    assert client.get_run(run.run_id).data.tags["program"] == "True"


def test_the_command_itself_says_that_another_store_is_not_used(
    store, monkeypatch, capfd
):
    monkeypatch.delitem(sys.modules, "mlflow")  # otherwise, no process is started
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    with (
        redirect_stdout(io.StringIO()) as printed,  # the output of this process only
        tracking.start_tracker(store, server=None, experiment="digits") as tracker,
        tracker.start_run(**RUN) as run,
    ):
        run.wait()
    assert printed.getvalue().count("runs are recorded in") == 1
    assert "runs are recorded in" not in capfd.readouterr().out


def test_a_recording_that_fails_in_the_other_process_is_an_error_of_the_run(
    store, shared_tracker
):
    (store / "mlflow.db").write_bytes(b"no database" * 1000)
    with (
        pytest.raises(UserError, match=r"mlflow.db cannot be read: .*not a database"),
        shared_tracker.start_run(**RUN) as run,
    ):
        run.record(log, "a", "b")


def test_an_error_of_a_function_has_the_traceback_of_the_other_process(
    shared_tracker, runs
):
    with pytest.raises(KeyError) as error, shared_tracker.start_run(**RUN) as run:
        run.record(fail)
        run.wait()
    assert 'raise KeyError("a mistake")' in error.value.__notes__[-1]
    (failed,) = runs()
    assert failed.info.status == "FAILED"


def test_a_killed_recording_process_is_an_error_with_a_remedy(
    tracker, store, client, start_run
):
    with (
        pytest.raises(HelperKilled, match=r"recording process was killed: run the sa"),
        tracker.start_run(**RUN) as run,
    ):
        run.record(log, "a", "b")
        run.wait()
        tracker._helper._process.kill()
        run.record(log, "a", "c")
        run.wait()
    assert client.get_run(run.run_id).info.status == "RUNNING"
    assert run_lock_file(store, run.run_id).exists()
    with start_run(store):  # closed by the next process
        pass
    assert client.get_run(run.run_id).info.status == "KILLED"
    assert not run_lock_file(store, run.run_id).exists()


def test_a_killed_process_does_not_hide_the_error_of_the_training_run(tracker, capsys):
    with (
        pytest.raises(FloatingPointError, match="loss is NaN"),
        tracker.start_run(**RUN),
    ):
        tracker._helper._process.kill()
        raise FloatingPointError("loss is NaN")
    assert "the run could not be marked FAILED" in capsys.readouterr().err


def test_a_run_that_is_interrupted_before_it_is_open_is_killed(shared_tracker, runs):
    with pytest.raises(KeyboardInterrupt), shared_tracker.start_run(**RUN) as run:
        run.record(log, "a", "b")
        raise KeyboardInterrupt
    (killed,) = runs()
    assert (killed.info.status, killed.data.tags["a"]) == ("KILLED", "b")


def test_a_further_interrupt_does_not_wait_until_the_run_is_open(tracker, runs):
    tracker._helper._process.send_signal(signal.SIGSTOP)  # it never opens the run
    interrupt = [threading.main_thread().ident, signal.SIGINT]
    with pytest.raises(KeyboardInterrupt), tracker.start_run(**RUN):
        threading.Timer(0.2, signal.pthread_kill, interrupt).start()
        raise SystemExit
    tracker._helper.close()
    assert tracker._helper._process.returncode == -signal.SIGKILL
    assert not runs()


# The training run has not logged anything yet: it would wait until the run is open.
WAIT_FOR_SIGNAL = """
import time
from pipeline.core import loop
loop.fit = lambda *arguments, **options: time.sleep(60)
"""


def test_a_training_run_that_is_terminated_as_soon_as_its_run_exists_is_killed(project):
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


def test_a_process_without_a_run_ends_when_training_fails(store, monkeypatch):
    monkeypatch.delitem(sys.modules, "mlflow")  # otherwise, no process is started
    prepared = tracking.start_tracker(store, server=None, experiment="digits")
    with suppress(OSError), prepared as tracker:
        raise OSError("no data")
    assert tracker._helper._process.returncode is not None


def test_silencing_mlflow_leaves_the_environment_to_other_threads():
    with quiet():
        during = dict(os.environ)
    assert dict(os.environ) == during


# Each call imports MLflow in another process, except the last two.
ENTRANCES = """
import sys
from contextlib import suppress
from pathlib import Path
from pipeline import UserError, tracking
from pipeline.sync import sync
from pipeline.ui import ui

store, server = Path(sys.argv[1]), "http://127.0.0.1:1"

def record():
    with tracking.start_tracker(store, server=None, experiment="digits") as tracker:
        with tracker.start_run(name="a name", params={}, tags={}, time=1000):
            pass

for call in (
    lambda: sync(server=server),
    lambda: tracking.find_run("0" * 32, store=store, server=server),
    record,
    lambda: ui(browser=False, run="unknown"),
    record,
):
    with suppress(UserError):
        call()
    assert not Path.home().joinpath(".config", "mlflow").exists()
assert "mlflow" in sys.modules
"""
IMPORTED_BY_A_USER = """
import sys
from pathlib import Path
from mlflow.telemetry.utils import is_telemetry_disabled
from pipeline import tracking
assert not is_telemetry_disabled()
tracking.new_tracker(Path(sys.argv[1]), server=None, experiment="digits")
assert is_telemetry_disabled()
"""


@pytest.mark.parametrize("code", [ENTRANCES, IMPORTED_BY_A_USER])
def test_mlflow_sends_no_telemetry_and_writes_no_id_of_its_installation(
    store, tmp_path_factory, code
):
    root, home = Path(tracking.__file__).parents[2], tmp_path_factory.mktemp("home")
    # The process lacks the variables of the tests, some of which disable telemetry too.
    environment = {"PYTHONPATH": str(root), "HOME": str(home)}
    environment["PIPELINE_OUTPUTS"] = str(store)
    command = [sys.executable, "-c", code, store]
    subprocess.run(command, env=environment, check=True)


def test_telemetry_that_a_user_wants_stays_on(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    import_mlflow.__wrapped__()  # as the first call in a process
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_a_call_that_fails_when_the_block_has_ended_marks_the_run_as_failed(
    store, monkeypatch
):
    monkeypatch.delitem(sys.modules, "mlflow")
    with (
        tracking.start_tracker(store, server=None, experiment="digits") as tracker,
        pytest.raises(FileNotFoundError),
        tracker.start_run(name="a name", params={}, tags={}, time=1000) as run,
    ):
        run.record(log_files, [store / "missing"])
    (recorded,) = tracking.tagged_runs(store, "mlflow.runName", ["a name"])
    assert (recorded.run_id, recorded.status) == (run.run_id, "FAILED")
    with pytest.raises(HelperKilled, match="has ended"):
        run.record(log_files, [])


@pytest.mark.parametrize("server", [None, "http://127.0.0.1:1"])
def test_training_has_a_higher_priority_than_a_process_that_also_copies(
    store, server, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.delitem(sys.modules, "mlflow")  # otherwise, no process is started
    with tracking.start_tracker(store, server=server, experiment="digits") as tracker:
        added = tracker._helper.submit(niceness).result() - os.nice(0)
    assert added == (tracker_module.COPYING_NICENESS if server else 0)
