"""Sweeps, as processes, that are interrupted or lose a worker and then run again."""

import re
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault

# Of four jobs, one is waiting when one is done and two are being trained.
SETTINGS = ["seed=1,2,3,4", "epochs=12"]
LONG = ["train", "-m", "dataset=digits", *SETTINGS]
TWO = ["workers=2"]  # on any number of cores


def check_finished(sweep, seeds):
    """Check that each seed has one finished run of 12 epochs; return the parent."""
    (parent,), children = sweep.runs()
    assert parent.info.status == "FINISHED"
    assert sorted(child.data.params["seed"] for child in children) == [*seeds]
    assert {child.info.status for child in children} == {"FINISHED"}
    for child in children:
        assert len(sweep.workspace.losses(child)) == 12
    return parent


def is_worker(pid):
    try:
        return b"LokyProcess" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_parallel_jobs_give_the_same_table_as_sequential_ones(project, sweep):
    command = ["train", "-m", "seed=1,2", "dataset=digits", "epochs=1"]
    done = project.run(*command, *TWO)
    again, _ = sweep.run("seed=1,2")
    assert again.startswith("this sweep is finished")
    assert again.endswith(done.stdout[done.stdout.index("\ntrained ") :])
    assert sweep.statuses() == (["FINISHED"], ["FINISHED"] * 2)


# Runs in the launcher: loky sends the function by value, with this wrapper around it.
# The worker of seed 3 is killed while it trains, and the worker of seed 7 after it has
# recorded its run.
KILL_WORKERS = """
import functools, os, signal, time
from pipeline.sweeps import driver
launch = driver.launch_jobs
def launch_jobs(function, *arguments):
    @functools.wraps(function)
    def killed(config, context):
        from pipeline.training import Recorder
        def kill(*_):
            os.kill(os.getpid(), signal.SIGKILL)
        if context.folder.parent.name == "seed=3":
            Recorder.add = kill
        function(config, context)
        while context.folder.parent.name == "seed=7":
            if (context.folder.parents[1] / "seed=6" / "done").exists():
                kill()
            time.sleep(0.01)
    launch(killed, *arguments)
driver.launch_jobs = launch_jobs
"""


def test_a_killed_worker_fails_at_most_the_running_jobs(project, sweep):
    done = project.run(*LONG, *TWO, before=KILL_WORKERS, status=1)
    assert "Traceback" not in done.stdout + done.stderr
    assert "its worker was killed; is there enough memory?" in done.stdout
    (before,), children = sweep.runs()
    statuses = [run.info.status for run in children]
    assert 2 <= statuses.count("FINISHED") <= 3  # at most two were being trained
    assert {*statuses} == {"FINISHED", "FAILED"}
    sweep.run(*SETTINGS)
    assert check_finished(sweep, "1234").info.run_id == before.info.run_id


def test_a_worker_that_is_killed_after_recording_everything_loses_nothing(
    project, sweep
):
    command = ["train", "-m", "seed=6,7", "dataset=digits", "epochs=1"]
    done = project.run(*command, *TWO, before=KILL_WORKERS)
    assert "2 of 2  seed=7" in done.stdout and "failed" not in done.stdout
    assert sweep.statuses() == (["FINISHED"], ["FINISHED"] * 2)


CTRL_C_AFTER_THE_LAST_EPOCH = """
import os, signal
from pipeline import training
finish = training.Recorder.finish
def interrupted(*arguments, **options):
    os.kill(os.getpid(), signal.SIGINT)
    return finish(*arguments, **options)
training.Recorder.finish = interrupted
"""


def test_ctrl_c_after_the_last_epoch_of_a_training_stops_the_sweep(project, sweep):
    project.run(*LONG, before=CTRL_C_AFTER_THE_LAST_EPOCH, status=130)
    (parent,), children = sweep.runs()
    assert parent.info.status == "KILLED" and len(children) < 4
    sweep.run(*SETTINGS)
    check_finished(sweep, "1234")


@pytest.mark.parametrize(
    ("launcher", "stop"),
    [
        ([], signal.SIGINT),
        (TWO, signal.SIGTERM),
        (TWO, signal.SIGKILL),
    ],
)
def test_an_interrupted_sweep_trains_only_the_missing_jobs(
    project, sweep, launcher, stop
):
    process = project.start(*LONG, *launcher, PYTHONUNBUFFERED="1")
    assert any("1 of 4" in line for line in process.stdout)
    children_file = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children_file.read_text().split()
    process.send_signal(stop)
    process.wait(timeout=900)
    assert process.returncode in (130, 143, -9)
    (before,), children = sweep.runs()
    assert "FINISHED" in [run.info.status for run in children]
    if stop != signal.SIGKILL:
        assert before.info.status == "KILLED"
        assert re.search(r"^stopped after [1-3] of 4 ", process.stderr.read(), re.M)

    again, _ = sweep.run(*SETTINGS)
    assert check_finished(sweep, "1234").info.run_id == before.info.run_id
    # No training run that was finished or still running was started again.
    assert {run.info.run_id for run in children} <= {
        run.info.run_id for run in sweep.runs()[1]
    }
    assert re.search("[1-3] of 4 training runs already finished", again)
    assert "\n4," in (sweep.folder / "sweep.csv").read_text()
    assert not [pid for pid in workers if is_worker(pid)]
    process.stdout.close(), process.stderr.close()  # workers may have written there
