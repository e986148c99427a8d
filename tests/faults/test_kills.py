"""A killed process loses nothing, and concurrent processes do not collide.

KILLS in the environment is the number of times that each stage is killed.
"""

import contextlib
import math
import os
import random
import re
import shutil
import signal
import time
from functools import partial

import psutil
import pytest

from pipeline.core import loop
from pipeline.model import load_trained_network
from pipeline.training import recorded_training

pytestmark = pytest.mark.fault

KILLS = int(os.environ.get("KILLS", "1"))
SEED = int(os.environ.get("SEED", "1"))
EPOCHS = 30  # the epochs of a training run that is killed
OPERATIONS = 43  # file operations, from the last epoch until the run is closed
TRAINING = {"dataset": "digits", "epochs": EPOCHS}
TRAIN = ["train", *(f"{key}={value}" for key, value in TRAINING.items())]
# Training runs that are started at the same time.
CONCURRENT_RUNS = int(os.environ.get("CONCURRENT_RUNS", "2"))


# A training run that pauses after an epoch or, later, after some file operations. It
# then creates a file, and continues when a test removes this file. Its other threads
# continue meanwhile, so what the training run has requested is still recorded.
PAUSE = """
import sys
from pathlib import Path
from time import sleep
from pipeline.core import loop

original = loop.fit
paused = Path({path!r})

def pause():
    paused.touch()
    for _ in range(60_000):  # 10 minutes, if the test is killed
        if not paused.exists():
            return
        sleep(0.01)

def pause_after(operations):
    left = operations

    def count(event, arguments):
        nonlocal left
        if event == "open" or event.startswith(("os.", "shutil.")):
            left -= 1
            if left == 0:
                pause()

    sys.addaudithook(count)

def fit(*arguments, **options):
    for epoch in original(*arguments, **options):
        yield epoch
        if epoch.number == {epoch}:
            pause_after({operations}) if {operations} else pause()

loop.fit = fit
"""


@pytest.fixture
def start_and_pause(tmp_path):
    """Return a function that starts a training run and waits until it has paused.

    The function returns the process, and a function that lets the process continue.
    """

    def start(project, *, epoch, operations=0):
        paused = tmp_path / "paused"
        paused.unlink(missing_ok=True)
        before = PAUSE.format(path=str(paused), epoch=epoch, operations=operations)
        process = project.start(*TRAIN, before=before, PYTHONUNBUFFERED="1")
        while not paused.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        return process, paused.unlink

    return start


def kill(process):
    """Kill a process; return its output, and whether it was still running."""
    process.kill()
    printed, errors = process.communicate()
    return printed + errors, process.returncode == -signal.SIGKILL


def kill_while_running(start, *, seconds, path=None):
    """Kill a process after it has used this many seconds of processor time.

    Processor time does not depend on the load of the machine. The seconds begin when
    the process creates `path`, by default when the process starts. If the process ends
    earlier, another process is started and killed after fewer seconds.
    """
    process = start()
    while path and not path.exists() and process.poll() is None:
        time.sleep(0.001)
    end = seconds + (processor_time(process) if path else 0)
    while process.poll() is None and processor_time(process) < end:
        time.sleep(0.002)
    if not kill(process)[1]:
        kill_while_running(start, seconds=seconds / 2, path=path)


def processor_time(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return sum(psutil.Process(process.pid).cpu_times())
    return math.inf


STAGES = {  # each stage, and the seconds of processor time that it takes
    "data dataset=digits": 1,
    "evaluate": 3,
    "export bits=4": 3,
    "inspect": 3,
    "predict": 2,
}


@pytest.mark.parametrize("command", STAGES)
def test_a_killed_stage_succeeds_when_it_runs_again(
    command, digits, assert_complete, run_again
):
    draw = random.Random(f"{command} {SEED}")
    arguments = command.split()
    for _ in range(KILLS):
        for path in (digits.outputs / "data").glob("digits*"):
            if "data" in arguments:
                path.unlink()
        before = digits.hashes("train")
        seconds = draw.uniform(0.1, STAGES[command])
        kill_while_running(partial(digits.start, *arguments), seconds=seconds)
        assert_complete(digits)
        run_again(digits, *arguments)
        assert_complete(digits)
        assert digits.hashes("train").items() >= before.items()
        assert {run.info.status for run in digits.runs()} == {"FINISHED"}


def test_evaluate_that_is_killed_while_it_creates_a_run_leaves_one_run(
    digits, empty_project, assert_complete
):
    draw = random.Random(f"clone {SEED}")
    for _ in range(KILLS):
        clone = empty_project("clone", store=False)  # has the network, but not the run
        shutil.copytree(digits.trained(""), clone.trained(""))
        event = {"path": clone.outputs / "mlflow.db", "seconds": draw.uniform(0, 1)}
        kill_while_running(partial(clone.start, "evaluate"), **event)
        clone.call("evaluate")
        assert_complete(clone)
        assert {run.info.status for run in clone.runs()} == {"FINISHED"}


def check_one_whole_run(project):
    """Check that the only run is finished and has every epoch and one model."""
    (run,) = project.runs()
    assert run.info.status == "FINISHED"
    assert len(project.values(run, "val/loss")) == EPOCHS
    images = project.artifacts(run, "images")
    steps = {int(re.search(r"step\W(\d+)\W", image)[1]) for image in images}
    assert steps == {*range(0, EPOCHS + 1, EPOCHS // 10)}
    assert len(project.values(run, "weights/layer_1.bias/norm")) == len(steps)
    (model,) = project.client.search_logged_models(["1"])
    assert (model.source_run_id, model.status) == (run.info.run_id, "READY")


@pytest.mark.parametrize("point", range(KILLS))
def test_a_training_run_killed_repeatedly_loses_no_epoch_and_is_byte_identical(
    point, digits, empty_project, assert_complete, start_and_pause
):
    draw = random.Random(f"{point} {SEED}")
    digits.call("train", **TRAINING, tracking="none")
    project = empty_project("killed", store=False)
    resumed = 0
    for moment in (
        {"epoch": 1},
        {"epoch": draw.randrange(2, EPOCHS)},
        {"epoch": EPOCHS, "operations": draw.randint(1, OPERATIONS)},
    ):
        process, _ = start_and_pause(project, **moment)
        if moment == {"epoch": 1}:  # another process creates the store meanwhile
            time.sleep(draw.uniform(0, 2))
        printed, alive = kill(process)
        assert alive
        assert_complete(project)
        text = " ".join(printed.split())  # without line breaks
        assert f"after epoch {resumed} of {EPOCHS}" in text or not resumed
        resumed = moment["epoch"]
    again = " ".join(project.call("train", **TRAINING).split())
    assert f"after epoch {EPOCHS} of {EPOCHS}" in again
    assert not [*(project.outputs / "checkpoints").iterdir()]
    assert_complete(project)
    check_one_whole_run(project)
    different = digits.hashes("train").items() ^ project.hashes("train").items()
    assert {path for path, _ in different} == {"train/run.json"}


def test_ctrl_c_stops_after_the_epoch_and_the_same_command_resumes(
    empty_project, start_and_pause
):
    project = empty_project("stopped")
    process, resume = start_and_pause(project, epoch=2)
    while not project.runs():  # created by the recording process
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    resume()
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 130
    first, last = stderr.splitlines()
    assert first.startswith("stopping after this epoch (press Ctrl-C again")
    stopped = re.fullmatch(r"stopped after epoch (\d+): run the .* to resume", last)
    assert stopped and int(stopped[1]) < EPOCHS, stderr
    (killed,) = project.runs()
    assert killed.info.status == "KILLED"
    printed = " ".join(project.call("train", **TRAINING).split())
    resuming = f"({killed.info.run_id}) after epoch {stopped[1]} of {EPOCHS}"
    assert f"{resuming} in experiment digits" in printed
    check_one_whole_run(project)
    assert not [*(project.outputs / "checkpoints").iterdir()]


def finish(processes, page=None):
    """Wait for processes, which must succeed, while MLflow's page answers."""
    while any(process.poll() is None for process in processes):
        if page:
            assert page.answers("/") == 200
        time.sleep(0.5)
    for process in processes:
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stdout + stderr


def test_concurrent_training_runs_on_a_new_machine_are_all_recorded(
    empty_project, new_server, assert_complete
):
    project = empty_project("many", store=False)

    def training(seed):
        return project.start("train", "dataset=digits", "epochs=3", f"seed={seed}")

    finish([training(seed) for seed in range(CONCURRENT_RUNS)])
    store = f"sqlite:///{project.outputs / 'mlflow.db'}"
    page = new_server("page", store=store)
    finish([training(seed=CONCURRENT_RUNS), project.start("evaluate")], page)
    runs = project.runs()
    assert len(runs) == CONCURRENT_RUNS + 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all(len(project.values(run, "val/loss")) == 3 for run in runs)
    # All files in outputs/train are from one run, the last that finished.
    (last,) = [run for run in runs if run.info.run_id == project.run_id()]
    network = load_trained_network(project.trained("model.safetensors"))
    assert last.data.tags["weights.sha256"] == network.weights_sha256
    assert_complete(project)


def test_a_loss_that_becomes_non_finite_fails_the_run_and_keeps_the_last_good_epoch(
    digits, monkeypatch
):
    def fit(state, *arguments, **options):
        for epoch in loop.fit(state, *arguments, **options):
            yield epoch
            state.network.vector[5] = math.nan  # before the next epoch

    before = digits.hashes("train")
    settings = {"dataset": "digits", "epochs": 3, "lr": 0.01}
    with monkeypatch.context() as patch, pytest.raises(FloatingPointError) as failed:
        patch.setattr(recorded_training, "fit", fit)
        digits.call("train", **settings)
    error = str(failed.value)
    assert re.search(
        r"in epoch 2, in step \d+ of 47 or earlier "
        r"\(the last epoch with finite values is 1\)",
        error,
    )
    assert error.endswith(": use an lr smaller than 0.01")
    (run,) = [run for run in digits.runs() if run.info.status == "FAILED"]
    assert run.data.tags["error"] == f"FloatingPointError: {error}"
    assert digits.hashes("train") == before
    again = digits.call("train", **settings)
    assert "after epoch 1 of 3" in again
    assert {run.info.status for run in digits.runs()} == {"FINISHED"}
