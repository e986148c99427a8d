"""The stages work with unusual folders, home directories, repositories and clocks."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.fault

TRAIN = ["train", "dataset=digits", "epochs=3"]


def test_stages_run_without_a_home_and_from_another_folder(empty_project, tmp_path):
    project = empty_project("homeless", store=False)
    # Not even root can create a home there.
    environment = {"HOME": "/dev/null/home", "USER": "", "LOGNAME": ""}
    project.run(*TRAIN, cwd=tmp_path, **environment)
    project.run("evaluate", cwd=tmp_path, **environment)
    assert not list(tmp_path.iterdir())


UNUSUAL = "Übung mit # Größe? & 100% " + "x" * 170  # with spaces, 200 bytes long


def test_outputs_in_a_folder_with_an_unusual_name(empty_project, tmp_path):
    project = empty_project("plain", store=False)
    project = replace(project, outputs=project.outputs.rename(tmp_path / UNUSUAL))
    project.call("train", dataset="digits", epochs=3)
    for stage in ("evaluate", "inspect", "predict"):
        project.call(stage)
    project.run("train", "-m", "seed=1,2", "dataset=digits", "epochs=1")
    again = project.call("train", reproduce=project.run_id())
    assert "reproduced byte for byte" in again
    assert len(project.runs()) == 5
    # Nothing was written to a folder whose name is a part of this one.
    assert [*tmp_path.iterdir()] == [project.outputs]
    assert (project.outputs / "mlflow.db").stat().st_size > 100_000


def test_the_commit_of_a_run_without_git_and_in_a_shallow_clone_with_detached_head(
    clone_project, tmp_path
):
    project = clone_project(tmp_path / UNUSUAL)
    root = project.outputs.parent
    project.run(*TRAIN, cwd=root, PYTHONPATH=str(root), PATH="/nowhere")
    assert [run.data.tags["git.commit"] for run in project.runs()] == ["none"]

    clone = tmp_path / "clone"
    depth = ["--depth=1", f"file://{quote(str(root))}"]
    subprocess.run(["git", "clone", "--quiet", *depth, str(clone)], check=True)
    git = ["git", "-C", str(clone)]
    subprocess.run([*git, "checkout", "--quiet", "--detach"], check=True)
    head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    shallow = replace(project, outputs=clone / "outputs")
    shallow.run(*TRAIN, cwd=clone, PYTHONPATH=str(clone))
    assert [run.data.tags["git.commit"] for run in shallow.runs()] == [head]


def test_a_clock_that_is_set_back_loses_nothing(digits, assert_complete):
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    if not os.path.exists(library):
        pytest.skip("needs Debian's package faketime")
    past = {"LD_PRELOAD": library, "FAKETIME": "-400d"}
    command = ["train", "dataset=digits", "epochs=120"]  # long enough to be killed
    process = digits.start(*command, PYTHONUNBUFFERED="1")
    for line in process.stdout:
        if line.startswith("    5 "):
            break
    process.kill()
    process.communicate()
    again = digits.run(*command, **past)
    assert re.search("after epoch [0-9]+ of 120", again.stdout)
    digits.run("evaluate", **past)
    (run,) = [run for run in digits.runs() if "epochs=120" in run.info.run_name]
    assert run.info.status == "FINISHED" and len(digits.losses(run)) == 120
    assert_complete(digits)


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_outputs_that_were_moved_or_copied_keep_their_runs(digits, tmp_path, how):
    run_id = digits.run_id()
    folder = tmp_path / "another place"
    if how == "moved":
        shutil.move(digits.outputs, folder)
    else:
        shutil.copytree(digits.outputs, folder)
    project = replace(digits, outputs=folder)
    # As processes: MLflow keeps a store that it opened, with its old addresses.
    inspected = project.run("inspect", f"run={run_id}")
    assert "was moved or copied" in inspected.stdout
    if how == "copied":
        digits.run("inspect", f"run={run_id}")  # the original keeps its addresses
        return
    again = project.run("train", f"reproduce={run_id}")
    assert "reproduced byte for byte" in again.stdout
    assert "was moved" not in again.stdout
