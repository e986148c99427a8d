"""What the tests share: the real MNIST, copies of the project, a trained network."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import checkpoint, datasets, tracking

ROOT = Path(__file__).resolve().parent.parent
os.environ.pop("MLFLOW_TRACKING_URI", None)  # no test sends its runs to a real server
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
for asks_for_colours in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(asks_for_colours, None)  # bars are for terminals


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
        stdout, stderr = process.communicate(timeout=900)
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


class Server:
    """A real MLflow server on the loopback, as a process that can be killed."""

    def __init__(self, folder, command="server", store=None, typed="", **environment):
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = [sys.executable, "-m", "mlflow", command, "--workers", "1"]
        self.command += ["--host", "127.0.0.1", "--port", str(self.port)]
        store = store or f"sqlite:///{folder / 'server.db'}"
        self.command += ["--backend-store-uri", store]
        self.command += ["--artifacts-destination", str(folder / "artifacts")]
        if typed:  # as a person does, but for the port
            self.command = ["sh", "-c", f"{typed} --port {self.port}"]
        calm = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": programs, **calm, **environment}
        self.folder = folder
        self.start()

    def start(self):
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(1200):
            assert self.process.poll() is None, "the server ended"
            if self.answers("/health") == 200:
                return
            time.sleep(0.1)
        raise AssertionError("the server never answered")

    def answers(self, path, **headers):
        """The status of an answer; None if there was none."""
        asked = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def kill(self):
        """End the server and its worker, which are a group of their own, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.kill()


@pytest.fixture(scope="session")
def new_server(tmp_path_factory):
    """What starts another MLflow server, which is ended with the tests."""
    started = []

    def start(name, **options):
        started.append(Server(tmp_path_factory.mktemp(name), **options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.kill()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Let processes that tests start hear Ctrl-C, also where the tests don't."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """What copies a store without runs into a folder; making one takes seconds."""
    made = tmp_path_factory.mktemp("store")
    tracking._open(made)

    def put(folder):
        shutil.copy(made / "mlflow.db", folder)
        with sqlite3.connect(folder / "mlflow.db") as database:
            place = tracking._artifacts(folder)
            database.execute("UPDATE experiments SET artifact_location = ?", [place])

    return put


@pytest.fixture
def new_project(tmp_path, mnist):
    return copy_project(tmp_path / "project")


@pytest.fixture
def project(new_project, empty_store):
    empty_store(new_project.outputs)
    return new_project


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory, empty_store):
    """What makes a copy of the project without data, which module fixtures share."""

    def make(name, *, store=True):
        made = copy_project(tmp_path_factory.mktemp(name) / "p", data=False)
        if store:
            empty_store(made.outputs)
        return made

    return make


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
    return checkpoint.load_trained(finished.trained("model.safetensors"))
