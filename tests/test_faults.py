"""Whatever breaks, nothing is lost: real processes, disks, folders and clocks.

KILLS and FULL in the environment raise the number of points of a long run.
"""

import csv
import json
import os
import random
import re
import shutil
import subprocess

import pytest
from mlflow import MlflowClient
from PIL import Image
from safetensors.numpy import load_file

from pipeline import copies
from pipeline.sources import sha256

pytestmark = pytest.mark.fault

KILLS = int(os.environ.get("KILLS", "8"))
FULL = int(os.environ.get("FULL", "6"))
ROOMS = [8, 60, 200, 500, 1000, 2500]  # KiB that are left at most
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
    return MlflowClient(copies.address(project.outputs / "mlflow.db"))


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
        path: sha256(path)
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


# --- kill -9 -------------------------------------------------------------------------


def test_kill_9_of_any_stage_at_any_point_loses_nothing(digits):
    draw = random.Random(int(os.environ.get("SEED", "1")))
    killed = dict.fromkeys(STAGES, 0)
    for point in range(KILLS):
        name = [*STAGES][point % len(STAGES)]
        command, seconds = STAGES[name]
        if name in ("train", "sweep"):
            command = [*command, f"lr={0.002 + point / 1e6:.6g}"]
        if name == "data":
            for path in (digits.outputs / "data").glob("digits*"):
                path.unlink()
        if name == "train" and draw.random() < 0.7:  # the store is made, too
            (digits.outputs / "mlflow.db").unlink()
            shutil.rmtree(digits.outputs / "mlflow-artifacts")
        before = hashes(digits, "train") if name != "train" else {}
        process = digits.start(*command, PYTHONUNBUFFERED="1")
        try:
            stdout, _ = process.communicate(timeout=draw.uniform(0.3, 1.6 * seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, _ = process.communicate()
            killed[name] += 1
        assert_whole(digits)
        again = digits.run(*command)
        assert_whole(digits)
        assert hashes(digits, "train").items() >= before.items()
        assert {run.info.status for run in runs_of(digits)} == {"FINISHED"}, name
        checkpoints = digits.outputs / "checkpoints"
        assert not [path for path in checkpoints.glob("*") if path.is_dir()]
        if name == "train":
            carried = re.search(r"carrying on .* after epoch (\d)", again.stdout)
            if 0 < reached(stdout) < 3:
                assert carried and int(carried[1]) >= reached(stdout)
            same = [run for run in runs_of(digits) if command[-1] in run.info.run_name]
            assert [len(losses(digits, run)) for run in same] in ([3], [3, 3])
    with open(os.environ.get("FIGURES", os.devnull), "a") as figures:
        print(f"killed {sum(killed.values())} of {KILLS}: {killed}", file=figures)
