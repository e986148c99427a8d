"""The stages work with unusual folders and clocks, and without git and a home."""

import os
import re
from dataclasses import replace

import pytest

pytestmark = pytest.mark.fault

UNUSUAL = "Übung mit # Größe? & 100% " + "x" * 170  # with spaces, 200 bytes long
TRAIN = "from pipeline.train import train; train(dataset='digits', epochs=10)"
KILL_AFTER_EPOCH_5 = """
import os, signal, sys
def write(text, write=sys.stdout.write):
    write(text)
    if text.startswith("    5 "):
        os.kill(os.getpid(), signal.SIGKILL)
sys.stdout.write = write
"""


def test_outputs_in_a_folder_with_an_unusual_name(empty_project, tmp_path):
    project = empty_project("plain", store=False)
    project = replace(project, outputs=project.outputs.rename(tmp_path / UNUSUAL))
    project.call("train", dataset="digits", epochs=3)
    for stage in ("evaluate", "inspect", "predict"):
        project.call(stage)
    sweep = ["seed=1,2", "dataset=digits", "epochs=1", "workers=1"]
    assert project.sweep("train", *sweep)[1] == ""
    again = project.call("train", reproduce=project.run_id())
    assert "reproduced byte for byte" in again
    assert len(project.runs()) == 5
    # Nothing was written to a folder whose name is a part of this one.
    assert [*tmp_path.iterdir()] == [project.outputs]
    assert (project.outputs / "mlflow.db").stat().st_size > 100_000


def test_stages_run_without_git_without_a_home_folder_and_from_another_folder(
    clone_project, tmp_path
):
    project = clone_project(tmp_path / UNUSUAL)
    root, empty = project.outputs.parent, tmp_path / "empty"
    empty.mkdir()
    # Nobody, not even root, can create a home folder there.
    places = {"PYTHONPATH": str(root), "PATH": "/nowhere", "HOME": "/dev/null/home"}
    project.run("evaluate", before=TRAIN, cwd=empty, USER="", LOGNAME="", **places)
    assert not list(empty.iterdir())
    (run,) = project.runs()
    assert run.data.tags["git.commit"] == "none"
    assert "with_test_set/digits/accuracy" in run.data.metrics


def test_a_clock_that_is_set_back_loses_nothing(digits, assert_complete):
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    if not os.path.exists(library):
        pytest.skip("needs Debian's package faketime")
    digits.run("train", before=KILL_AFTER_EPOCH_5 + TRAIN, status=-9)
    past = {"LD_PRELOAD": library, "FAKETIME": "-400d"}
    again = digits.run("evaluate", before=TRAIN, **past)
    assert re.search("after epoch [0-9]+ of 10", again.stdout)
    (run,) = [run for run in digits.runs() if "epochs=10" in run.info.run_name]
    assert run.info.status == "FINISHED" and len(digits.values(run, "val/loss")) == 10
    assert_complete(digits)
