"""What the tests share: the real MNIST, copies of the project, a trained network."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import checkpoint, datasets

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Project:
    """A copy of the project with its own outputs/, and a person's commands in it."""

    root: Path

    @property
    def outputs(self):
        return self.root / "outputs"

    def start(self, stage, *arguments, cwd=None, **environment):
        # The copy must win over the installed project, whatever the working directory.
        found = {**os.environ, "PYTHONPATH": str(self.root), **environment}
        return subprocess.Popen(
            [sys.executable, "-m", f"pipeline.{stage}", *arguments],
            cwd=cwd or self.root,
            env=found,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, stage, *arguments, status=0, **more):
        process = self.start(stage, *arguments, **more)
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == status, stdout + stderr
        return subprocess.CompletedProcess(arguments, status, stdout, stderr)

    def trained(self, name):
        return self.outputs / "train" / name

    def files(self):
        return sorted(p for p in self.outputs.rglob("*") if p.is_file())


def copy_project(folder, *, data=True):
    for part in ("pipeline", "conf"):
        shutil.copytree(
            ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "outputs" / "data").mkdir(parents=True)
    if data:
        for path in (ROOT / "outputs" / "data").glob("mnist*"):
            shutil.copy(path, folder / "outputs" / "data")
    return Project(folder)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist():
    """The real MNIST, fetched by the project itself where it is not there yet."""
    return datasets.load("mnist", folder=ROOT / "outputs" / "data")


@pytest.fixture(scope="session")
def few(mnist):
    """The first 600 training and 300 test pictures, as a split."""
    return datasets.Split(
        mnist.train.pick(np.arange(600)), mnist.test.pick(np.arange(300))
    )


@pytest.fixture
def project(tmp_path, mnist):
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory):
    """What makes a copy of the project without data, which module fixtures share."""
    return lambda name: copy_project(tmp_path_factory.mktemp(name) / "p", data=False)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, mnist):
    """A project in which the README's first command has run."""
    made = copy_project(tmp_path_factory.mktemp("finished") / "project")
    done = made.run("train", "hidden=20", "epochs=20")
    (made.root / "printed.txt").write_text(done.stdout)
    return made


@pytest.fixture(scope="session")
def looked_at(finished):
    """That project, after evaluate and inspect."""
    finished.run("evaluate")
    finished.run("inspect")
    return finished


@pytest.fixture(scope="session")
def client(finished):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{finished.outputs / 'mlflow.db'}")


@pytest.fixture(scope="session")
def recorded(finished, client):
    """The MLflow run of the finished training."""
    run_id = json.loads(finished.trained("run.json").read_text())["run_id"]
    return client.get_run(run_id)


@pytest.fixture(scope="session")
def trained(finished):
    """Its network."""
    return checkpoint.load_last(finished.outputs / "train")
