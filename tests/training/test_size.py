"""What a training run needs is compared with what this machine has."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pipeline import UserError
from pipeline.base import resources
from pipeline.base.paths import ROOT
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.training import size
from pipeline.training.size import HISTORIES_OF_RUN, HISTORIES_OF_WORKER
from pipeline.training.size import weight_history_bytes as history_bytes

LARGEST = {"hidden": 10_000, "epochs": 10_000, "dataset": "digits"}


def test_a_training_run_that_needs_too_much_memory_is_rejected_before_it_is_recorded(
    project,
):
    with pytest.raises(
        UserError, match=r"^the training run needs 1,2[0-9.]+ GB of mem"
    ):
        project.call("train", **LARGEST)
    assert not project.runs() and not (project.outputs / "checkpoints").exists()


def test_a_training_run_that_needs_too_much_disk_space_is_rejected_in_the_same_way(
    project, monkeypatch
):
    monkeypatch.setattr(size, "free_memory", lambda: 10**19)
    monkeypatch.setattr(size, "weight_history_bytes", lambda _: 10**18)
    with pytest.raises(UserError, match=r"^the training run needs about") as error:
        project.call("train", **LARGEST)
    assert f" is free in {project.outputs}: delete files" in str(error.value)
    assert not project.runs() and not (project.outputs / "checkpoints").exists()


@pytest.mark.parametrize(("tracking", "copies"), [("none", 2), ("mlflow", 3)])
def test_each_copy_of_the_weight_history_needs_space(
    project, monkeypatch, tracking, copies
):
    monkeypatch.setattr(size, "free_memory", lambda: 10**19)
    monkeypatch.setattr(size, "weight_history_bytes", lambda _: 10**18)
    needed = f"needs about {copies},000,000,000.0 GB of disk space"
    with pytest.raises(UserError, match=needed):
        project.call("train", dataset="digits", tracking=tracking)


def test_a_resumed_training_run_needs_space_only_for_what_is_missing(
    project, monkeypatch
):
    class Stop(BaseException):
        """Ends a training run after its first epoch."""

    def stop(epoch):
        raise Stop

    settings = {"dataset": "digits", "hidden": 100, "epochs": 2}
    with pytest.raises(Stop):
        project.call("train", on_epoch=stop, **settings)
    (state,) = project.outputs.glob("checkpoints/*/*/epochs")
    chosen = Hyperparameters(**OTHERS, **settings)
    saved, whole = state.stat().st_size, history_bytes(chosen)
    assert saved > whole / 2  # two of three networks
    recorded = size.RECORD_BYTES + size.IMAGES_BYTES
    # The network is in the results, in the artifacts, and twice in the model.
    free = 3 * whole - saved + 4 * size.network_bytes(chosen) + recorded
    usage = SimpleNamespace(free=free - 1)
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"^the training run needs about"):
        project.call("train", **settings)
    usage.free = free
    assert "after epoch 1 of 2" in " ".join(project.call("train", **settings).split())


def test_the_check_of_disk_space_counts_the_images_and_the_model(project, monkeypatch):
    settings = {"dataset": "digits", "hidden": 100, "epochs": 2}
    with monkeypatch.context() as full:
        usage = SimpleNamespace(free=0)
        full.setattr(resources.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(UserError, match=r"^the training run needs") as error:
            project.call("train", **settings)
    needed = 1e6 * int(re.search(r"about (\d+) MB", str(error.value))[1])
    before = sum(path.stat().st_size for path in project.files())
    project.call("train", **settings)
    taken = sum(path.stat().st_size for path in project.files()) - before
    # There are fewer images than the 5 MB that are counted; the checkpoint is removed.
    assert taken < needed + 5e5 and needed < taken + 6e6


OTHERS = {"split": "exercise", "batch_size": 32, "lr": 0.001, "seed": 1}
MEASURE = r"""
import re
from pathlib import Path
from pipeline.train import train

for epochs in (1, {epochs}):
    train(dataset="digits", hidden=500, epochs=epochs, tracking="none", quiet=True)
    # The highest use of this process. In ru_maxrss, a child starts with its parent's.
    print(*re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()))
"""


def test_the_check_of_memory_counts_all_copies_of_the_weight_history(project):
    runs = [Hyperparameters(**OTHERS, hidden=500, epochs=each) for each in (1, 26)]
    done = subprocess.check_output(
        [sys.executable, "-c", MEASURE.format(epochs=26)],
        env=os.environ | {"PIPELINE_OUTPUTS": str(project.outputs)},
        cwd=ROOT,
        text=True,
    )
    before, after = (1024 * int(line) for line in done.split())
    copies = (after - before) / (history_bytes(runs[1]) - history_bytes(runs[0]))
    assert HISTORIES_OF_RUN - 0.5 < copies < HISTORIES_OF_RUN + 0.2


SWEEP_MEASURE = r"""
import re, sys
from pathlib import Path
import psutil
from pipeline import datasets
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.execution.executor import Task
from pipeline.execution.local import LocalExecutor
from pipeline.training.unrecorded_training import train_unrecorded

data = datasets.load("digits", folder=Path(sys.argv[1])).file
with LocalExecutor(1) as executor:
    for epochs in (1, 26):
        settings = Hyperparameters(**OTHERS, hidden=500, epochs=epochs)
        given = {"hyperparameters": settings}
        [result] = executor.run(train_unrecorded, [Task(0, data, given)])
        processes = [psutil.Process(), *psutil.Process().children()]
        status = [Path(f"/proc/{each.pid}/status").read_text() for each in processes]
        print(sum(int(re.search(r"VmHWM:\s*(\d+)", text)[1]) for text in status))
"""


def test_the_memory_of_a_sweep_counts_the_copies_of_the_worker_and_of_its_caller(
    prepared_digits,
):
    runs = [Hyperparameters(**OTHERS, hidden=500, epochs=each) for each in (1, 26)]
    done = subprocess.check_output(
        [sys.executable, "-c", f"{OTHERS=}\n{SWEEP_MEASURE}", prepared_digits],
        cwd=ROOT,
        text=True,
    )
    before, after = (1024 * int(line) for line in done.split())
    copies = (after - before) / (history_bytes(runs[1]) - history_bytes(runs[0]))
    assert HISTORIES_OF_WORKER - 0.7 < copies < HISTORIES_OF_WORKER + 0.3
