"""Whatever breaks, nothing is lost: real processes, disks, folders and clocks.

KILLS and FULL in the environment raise the number of points of a long run.
"""

import csv
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from PIL import Image
from safetensors.numpy import load_file

from pipeline.datasets import file_sha256
from pipeline.tracking.addresses import sqlite_uri

pytestmark = pytest.mark.fault

KILLS = int(os.environ.get("KILLS", "6"))
FULL = int(os.environ.get("FULL", "4"))
ROOMS = [8, 60, 200, 500, 1000, 2500]  # KiB that are left at most
EPOCHS = 30  # of a training that is killed
TRAIN = ["train", "dataset=digits", "epochs=3"]
STAGES = {  # and the seconds within which each is killed, on a quiet machine
    "train": (TRAIN, 6),
    "data": (["data", "dataset=digits"], 3),
    "sweep": (["train", "-m", "seed=1,2", "dataset=digits", "epochs=2"], 8),
    "evaluate": (["evaluate"], 5),
    "inspect": (["inspect"], 4),
    "predict": (["predict"], 4),
}


def client_of(project):
    return MlflowClient(sqlite_uri(project.outputs / "mlflow.db"))


def runs_of(project):
    return client_of(project).search_runs(["1"], max_results=10_000)


def losses(project, run):
    history = client_of(project).get_metric_history(run.info.run_id, "val/loss")
    return [metric.value for metric in history]


def results(project):
    """What stands under a final name: files of ours, and of runs that are finished."""
    for path in project.files():
        place = path.relative_to(project.outputs)
        hidden = any(part.startswith(".") for part in place.parts)
        if not hidden and place.parts[0] not in ("mlflow-artifacts", "data"):
            yield path
        if place.parts[0] == "data" and place.parts[1].startswith("digits"):
            yield path
    if (project.outputs / "mlflow.db").exists():
        for run in runs_of(project):
            if run.info.status == "FINISHED":
                folder = project.outputs / "mlflow-artifacts/digits" / run.info.run_id
                yield from (path for path in folder.rglob("*") if path.is_file())


def assert_whole(project):
    for path in results(project):
        if path.suffix == ".safetensors":
            assert load_file(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".csv":
            with path.open() as stream:
                rows = [*csv.reader(stream)]
            assert len({len(row) for row in rows}) == 1
        elif path.suffix in (".png", ".webp"):
            with Image.open(path) as picture:
                picture.load()


def hashes(project, *stages):
    return {
        path: file_sha256(path)
        for stage in stages
        for path in (project.outputs / stage).rglob("*")
        if path.is_file()
    }


def reached(stdout):
    """The last epoch that was said to be done."""
    epochs = re.findall(r"^ +(\d+)  .*%.*%", stdout, re.MULTILINE)
    return int(epochs[-1]) if epochs else 0


@pytest.fixture
def digits(empty_project):
    """A project in which a training on scikit-learn's digits is finished."""
    made = empty_project("digits")
    made.run(*TRAIN)
    return made


# --- kill -9 ------------------------------------------------------------------------


def test_kill_9_of_any_stage_at_any_point_loses_nothing(digits, empty_project):
    draw = random.Random(int(os.environ.get("SEED", "1")))
    killed = dict.fromkeys([*STAGES, "creation"], 0)
    for point in range(KILLS):
        name = [*STAGES][point % len(STAGES)]
        command, seconds = STAGES[name]
        project = digits
        if name in ("train", "sweep"):
            command = [*command, f"lr={0.002 + point / 1e6:.6g}"]
        if name == "train":
            command[2] = f"epochs={EPOCHS}"
        if name == "data":
            for path in (digits.outputs / "data").glob("digits*"):
                path.unlink()
        if name == "evaluate" and point % 4 == 3:  # as in a clone, without the run
            project = empty_project(f"clone{point}", store=False)
            shutil.copytree(digits.trained(""), project.trained(""))
        new = name == "train" and point % 4 == 0
        if new:  # killed while the store is made, too
            project, seconds = empty_project(f"new{point}", store=False), 3
        before = hashes(project, "train") if name != "train" else {}
        process = project.start(*command, PYTHONUNBUFFERED="1")
        stdout = ""
        if name == "train" and not new:  # amid the epochs, which take no time
            epoch, seconds = draw.randint(1, EPOCHS), 0
            for line in process.stdout:
                stdout += line
                if line.startswith(f"{epoch:5} "):
                    break
        try:
            rest, _ = process.communicate(timeout=draw.uniform(0.1, 1.6 * seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            rest, _ = process.communicate()
            killed["creation" if new else name] += 1
        stdout += rest
        assert_whole(project)
        again = project.run(*command)
        assert_whole(project)
        assert hashes(project, "train").items() >= before.items()
        runs = runs_of(project)
        assert {run.info.status for run in runs} == {"FINISHED"}, name
        checkpoints = project.outputs / "checkpoints"
        assert not [path for path in checkpoints.glob("*") if path.is_dir()]
        if name == "train":
            carried = re.search(r"resuming .* after epoch (\d+)", again.stdout)
            if 0 < reached(stdout) < EPOCHS:
                assert carried and int(carried[1]) >= reached(stdout)
            same = [run for run in runs if command[-1] in run.info.run_name]
            found = [len(losses(project, run)) for run in same]
            assert found in ([EPOCHS], [EPOCHS] * 2)
    with open(os.environ.get("FIGURES", os.devnull), "a") as figures:
        print(f"killed {sum(killed.values())} of {KILLS}: {killed}", file=figures)


# --- A full disk --------------------------------------------------------------------


class Disk:
    """The outputs/ of a project on a small disk of its own."""

    def __init__(self, project):
        self.project = project
        self.place = str(project.outputs)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.place], check=True)

    def leave(self, kib):
        """Leave so much room beside what is used."""
        found = os.statvfs(self.place)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize // 1024
        size = f"remount,size={used + kib}k"
        subprocess.run(["mount", "-o", size, self.place], check=True)


@pytest.fixture
def small_disk(empty_project):
    made = empty_project("small")
    try:
        disk = Disk(made)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk.place], check=True)


def assert_one_clear_message(done):
    assert "Traceback" not in done.stderr and not done.returncode < 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and done.stderr.splitlines()[-1] == errors[0]
    others = done.stderr.splitlines()[:-1]  # a run that can't even be closed is named
    assert all("could not be marked FAILED" in line for line in others)
    return errors[0]


def attempt(project, command, limit=None):
    """Run a command that may fail; with a limit, as KiB a file may have."""
    typed = [sys.executable, "-m", f"pipeline.{command[0]}", *command[1:]]
    if limit:
        typed = ["sh", "-c", f"ulimit -f {2 * limit}; exec " + shlex.join(typed)]
    environment = {**os.environ, "PYTHONPATH": str(project.root)}
    return subprocess.run(
        typed, cwd=project.root, env=environment, capture_output=True, text=True
    )


def test_a_full_disk_is_said_once_and_the_same_command_succeeds_after(small_disk):
    project, draw = small_disk.project, random.Random(3)
    project.run(*TRAIN)
    project.run("evaluate")
    refused = 0
    for point in range(FULL):
        name = [*STAGES][point % len(STAGES)]
        command, _ = STAGES[name]
        if name in ("train", "sweep"):
            command = [*command, f"lr={0.002 + point / 1e6:.6g}"]
        if name == "data":
            for path in (project.outputs / "data").glob("digits*"):
                path.unlink()
        before = hashes(project, "train", "evaluate")
        known = {run.info.run_id: run.data for run in runs_of(project)}
        small_disk.leave(int(draw.choice(ROOMS) * draw.random()))
        done = attempt(project, command)
        if done.returncode:
            refused += 1
            told = assert_one_clear_message(done)
            if name != "sweep":  # which says in a line each which settings failed
                assert "No space left" in told or "disk is full" in told
                assert "free space, then run the same command again to resume" in told
            assert hashes(project, "train", "evaluate") == before
        assert_whole(project)
        small_disk.leave(65_536)
        project.run(*command)
        found = {run.info.run_id: run for run in runs_of(project)}
        assert {run.info.status for run in found.values()} == {"FINISHED"}
        for run_id, data in known.items():
            assert data.params == found[run_id].data.params
    assert refused or FULL < 3
    with open(os.environ.get("FIGURES", os.devnull), "a") as figures:
        print(f"disk full {FULL} times, refused {refused}", file=figures)


def test_a_limit_on_the_size_of_files_is_said_in_a_line(digits):
    before = hashes(digits, "train")
    for kib in (4, 100, 400):
        done = attempt(digits, [*TRAIN, "hidden=21"], limit=kib)
        assert done.returncode == 1
        assert_one_clear_message(done)
        assert hashes(digits, "train") == before
    digits.run(*TRAIN, "hidden=21")
    assert {run.info.status for run in runs_of(digits)} == {"FINISHED"}


# --- Many at once -------------------------------------------------------------------


def test_8_trainings_on_a_new_machine_then_8_beside_others(empty_project, new_server):
    project = empty_project("many", store=False)
    page = None
    for round_ in (1, 2):
        seeds = range(8 * round_, 8 * round_ + 8)
        processes = [project.start(*TRAIN, f"seed={seed}") for seed in seeds]
        if page:
            processes += [project.start("evaluate") for _ in range(2)]
        while any(process.poll() is None for process in processes):
            if page:
                assert page.answers("/") == 200
            time.sleep(0.5)
        for process in processes:
            stdout, stderr = process.communicate()
            assert process.returncode == 0, stdout + stderr
        uri = sqlite_uri(project.outputs / "mlflow.db")
        page = page or new_server("page", command="ui", store=uri)
    runs = runs_of(project)
    assert len(runs) == 16 and {run.info.status for run in runs} == {"FINISHED"}
    assert all(len(losses(project, run)) == 3 for run in runs)
    # The files of one run stand together: the last to finish wins.
    shown = json.loads(project.trained("run.json").read_text())["run_id"]
    (last,) = [run for run in runs if run.info.run_id == shown]
    model = file_sha256(project.trained("model.safetensors"))
    assert last.data.tags["weights.sha256"] == model
    assert_whole(project)


# --- Numbers that go bad ------------------------------------------------------------


def test_numbers_that_go_bad_fail_the_run_and_the_last_good_epoch_is_kept(digits):
    loop = digits.root / "pipeline" / "loop.py"
    spoiled = """        if number == 2 and __import__("os").environ.get("SPOIL"):
            adam.parameters[5] = math.nan
        seen = labels[order]"""
    loop.write_text(loop.read_text().replace("        seen = labels[order]", spoiled))
    command = [*TRAIN, "lr=0.01"]
    before = hashes(digits, "train")
    failed = digits.run(*command, status=1, SPOIL="yes")
    (error,) = failed.stderr.splitlines()
    assert "in epoch 2 from step 47 of 47 on: lr must be smaller than 0.01" in error
    assert error.endswith("the last good epoch is 1")
    (run,) = [run for run in runs_of(digits) if run.info.status == "FAILED"]
    assert run.data.tags["error"] == f"FloatingPointError: {error[7:]}"
    assert hashes(digits, "train") == before
    again = digits.run(*command)
    assert "after epoch 1 of 3" in again.stdout
    assert {run.info.status for run in runs_of(digits)} == {"FINISHED"}


# --- Odd places ---------------------------------------------------------------------


@contextmanager
def read_only(folder):
    """Let nobody write below a folder, not even the system's administrator."""
    if os.getuid() == 0:
        place = str(folder)
        if subprocess.run(["mount", "--bind", place, place]).returncode:
            pytest.skip("no folder can be mounted here")
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
    else:
        folder.chmod(0o555)
    try:
        yield
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", "--lazy", place], check=True)
        folder.chmod(0o755)


def test_outputs_that_are_read_only_are_said_in_a_line(digits):
    with read_only(digits.outputs):
        for command in (TRAIN, ["evaluate"], ["inspect"], ["predict"]):
            done = digits.run(*command, status=1)
            assert re.search("Read-only|Permission", assert_one_clear_message(done))
    digits.run("evaluate")


def test_without_home_and_from_another_folder_it_works(empty_project, tmp_path):
    project = empty_project("homeless", store=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # Not even the system's administrator can make a home there.
    nobody = {"HOME": "/dev/null/home", "USER": "", "LOGNAME": ""}
    project.run(*TRAIN, cwd=elsewhere, **nobody)
    project.run("evaluate", cwd=elsewhere, **nobody)
    assert not list(elsewhere.iterdir())


LONG = "Übung mit # Größe? & 100% " + "x" * 170


def test_a_path_with_spaces_umlauts_signs_and_200_characters_works(
    empty_project, tmp_path
):
    project = empty_project("plain", store=False)
    project = replace(project, root=project.root.rename(tmp_path / LONG))
    for command in (TRAIN, ["evaluate"], ["inspect"], ["predict"]):
        project.run(*command)
    project.run("train", "-m", "seed=1,2", "dataset=digits", "epochs=1")
    run_id = json.loads(project.trained("run.json").read_text())["run_id"]
    again = project.run("train", f"reproduce={run_id}")
    assert "reproduced byte for byte" in again.stdout
    assert len(runs_of(project)) == 5
    # Nothing was written under a part of the name.
    assert [*tmp_path.iterdir()] == [project.root]
    assert (project.outputs / "mlflow.db").stat().st_size > 100_000


def git(project, *command):
    named = ["-c", "user.name=A Student", "-c", "user.email=student@example.org"]
    subprocess.run(["git", *named, *command], cwd=project.root, check=True)


def test_no_git_a_detached_head_and_a_shallow_clone_work(empty_project, tmp_path):
    project = empty_project("commits")
    project.run(*TRAIN, PATH="/nowhere")  # no git at all
    for message in ("one", "two"):
        (project.root / "note").write_text(message)
        git(project, "init", "--quiet")
        git(project, "add", "note", "pipeline", "conf", "dvc.yaml")
        git(project, "commit", "--quiet", "--message", message)
    git(project, "checkout", "--quiet", "--detach")
    project.run(*TRAIN, "seed=2")
    clone = tmp_path / "clone"
    git(project, "clone", "--quiet", "--depth=1", f"file://{project.root}", str(clone))
    shallow = replace(project, root=clone)
    shallow.run(*TRAIN)
    commits = [run.data.tags["git.commit"] for run in runs_of(project)]
    assert commits[1] == "none" and re.fullmatch("[0-9a-f]{40}", commits[0])
    assert runs_of(shallow)[0].data.tags["git.commit"] == commits[0]


def test_a_clock_that_was_set_back_loses_nothing(digits):
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    if not os.path.exists(library):
        pytest.skip("needs Debian's package faketime")
    past = {"LD_PRELOAD": library, "FAKETIME": "-400d"}
    command = ["train", "dataset=digits", "epochs=120"]  # seconds, for the kill
    process = digits.start(*command, PYTHONUNBUFFERED="1")
    for line in process.stdout:
        if line.startswith("    5 "):
            break
    process.kill()
    process.communicate()
    again = digits.run(*command, **past)
    assert re.search("resuming .* after epoch", again.stdout)
    digits.run("evaluate", **past)
    (run,) = [run for run in runs_of(digits) if "epochs=120" in run.info.run_name]
    assert run.info.status == "FINISHED" and len(losses(digits, run)) == 120
    assert_whole(digits)


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_project_that_was_moved_or_copied_finds_its_runs(digits, tmp_path, how):
    run_id = json.loads(digits.trained("run.json").read_text())["run_id"]
    place = tmp_path / "another place"
    if how == "moved":
        shutil.move(digits.root, place)
    else:
        shutil.copytree(digits.root, place)
    project = replace(digits, root=place)
    done = project.run("inspect", f"run={run_id}")
    assert "was moved or copied" in done.stdout
    again = project.run("train", f"reproduce={run_id}")
    assert (
        "reproduced byte for byte" in again.stdout and "was moved" not in again.stdout
    )
    if how == "copied":
        digits.run("inspect", f"run={run_id}")  # the first knows its own
