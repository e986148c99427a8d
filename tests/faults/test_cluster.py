"""Sweeps on a real Ray cluster, whose workers, nodes and main process are killed.

The cluster is started with the commands of the README. Its head and its node each
have a network interface or, where this is not allowed, a port of the same interface.
"""

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import psutil
import pytest
import yaml

import pipeline.execution
from pipeline.base.tensors import tensors_sha256
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.core.network import snapshot
from pipeline.model import load_network
from pipeline.records.file_names import MODEL_FILE

pytest.importorskip("ray", reason="Ray is missing: pip install -e '.[ray]'")
pytestmark = pytest.mark.fault

README = Path(pipeline.execution.__file__).with_name("README.md")
ROOT = Path(__file__).resolve().parents[2]
HEAD, NODE = "10.0.0.1", "10.0.0.2"  # as in the README
# The settings of both sweeps whose processes are killed. They have more training runs
# than a node finishes before the failure is noticed.
SETTINGS = "hidden=2,3 seed=1,2,3,4,5 epochs=1"
# A process that reads the files of the workers takes more than a second to start.
WITHOUT_LOGS = "--include-log-monitor=false"


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Cluster:
    """A head and a second node with one CPU each, as in the README."""

    def __init__(self, folder):
        text = README.read_text()
        blocks = re.findall("^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        self.token, self.settings, start, self.sweep, *_ = blocks
        self.start_commands = dict(zip((HEAD, NODE), start.splitlines(), strict=True))
        self.folder = folder
        self.nodes = {}
        self.namespaces = {
            address: f"digits{os.getpid()}-{index}"
            for index, address in enumerate(self.start_commands)
        }
        try:
            self._connect_namespaces()
        except (OSError, subprocess.CalledProcessError):  # the user is not root
            self.namespaces = {}
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("RAY_")},
            "HOME": str(folder),
            "RAY_TMPDIR": str(folder),
            "RAY_OVERRIDE_RESOURCES": '{"CPU": 1}',
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }
        self.popen(HEAD, self.token).communicate()

    def _connect_namespaces(self):
        for namespace in self.namespaces.values():
            run("ip", "netns", "add", namespace)
        first, second = self.namespaces.values()
        pair = ["eth0", "netns", first, "type", "veth"]
        run("ip", "link", "add", *pair, "peer", "eth0", "netns", second)
        for address, namespace in self.namespaces.items():
            run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                run("ip", "-n", namespace, "link", "set", device, "up")

    def popen(self, address, script, **options):
        """Run a script of the shell on a machine of the cluster."""
        command = ["bash", "-c", f"{self.settings}\n{script}"]
        if self.namespaces:
            command = ["ip", "netns", "exec", self.namespaces[address], *command]
        else:
            command[-1] = re.sub(f"{HEAD}|{NODE}", "127.0.0.1", command[-1])
        options = {"env": self.environment, "cwd": self.folder, **options}
        return subprocess.Popen(command, **options)

    def start(self, *addresses, **environment):
        """Start nodes one after another: a node may give up without its head.

        Ray refuses to start while a process of the killed head is still ending.
        """
        for address in addresses:
            log = self.folder / f"{address}.log"
            end = time.monotonic() + 180
            self._start(address, log, environment)
            while "Ray runtime started" not in log.read_text():
                assert time.monotonic() < end, log.read_text()
                if self.nodes[address].poll() is not None:
                    time.sleep(1)
                    self._start(address, log, environment)
                time.sleep(0.05)

    def _start(self, address, log, environment):
        with log.open("w") as stream:
            self.nodes[address] = self.popen(
                address,
                f"{self.start_commands[address]} {WITHOUT_LOGS}",
                env=self.environment | environment,
                stdout=stream,
                stderr=stream,
            )

    def restart(self, **environment):
        """Start the node again, with its connection, and the head if it was killed."""
        if NODE in self.nodes:
            self.kill(NODE)
        if self.namespaces:
            self.cut(NODE, state="up")
        self.start(*sorted({HEAD, NODE} - self.nodes.keys()), **environment)

    def kill(self, *addresses):
        """Kill all processes of nodes at once."""
        processes = [process for each in addresses for process in self.processes(each)]
        for end in (psutil.Process.suspend, psutil.Process.kill):
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    end(process)
        for address in addresses:
            self.nodes.pop(address).wait()

    def processes(self, address):
        process = psutil.Process(self.nodes[address].pid)
        return [process, *process.children(recursive=True)]

    def workers(self, *addresses):
        """Return the processes that compute tasks."""
        found = []
        for process in itertools.chain(*map(self.processes, addresses)):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.cmdline()[:1] == ["ray::_run_on_node"]:
                    found.append(process)
        return found

    def suspend(self, address):
        """Suspend the worker of a node while it computes; return it."""
        (worker,) = wait_until(lambda: self.workers(address), 180)
        worker.suspend()
        time.sleep(1)  # an idle worker gets the next task
        return worker

    def cut(self, address, state="down"):
        """Cut the connection of a node, or restore it."""
        run("ip", "-n", self.namespaces[address], "link", "set", "eth0", state)

    def end(self):
        self.kill(*self.nodes)
        for namespace in self.namespaces.values():
            command = ["ip", "netns", "pids", namespace]
            for pid in subprocess.check_output(command, text=True).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "delete", namespace)


class Sweep:
    """A sweep that writes to a workspace, as a process on the head."""

    def __init__(self, cluster, project, settings, name="sweep"):
        self.cluster, self.project, self.settings = cluster, project, settings
        self.log = cluster.folder / f"{name}.log"

    def start(self, port=6379, **environment):
        script = self.cluster.sweep.replace("hidden=10,20,40,80 seed=1,2,3", "{}")
        script = script.format(self.settings).replace("python", "exec python", 1)
        script = script.replace(":6379", f":{port}")
        outputs = {"PIPELINE_OUTPUTS": str(self.project.outputs)}
        with self.log.open("w") as stream:
            self.process = self.cluster.popen(
                HEAD,
                script,
                env=self.cluster.environment | outputs | environment,
                cwd=ROOT,
                stdout=stream,
                stderr=stream,
            )

    def wait_for(self, text, *, count=1):
        """Wait until the sweep has printed a text this many times."""
        wait_until(lambda: self.log.read_text().count(text) >= count, 300, self.log)

    def finish(self, trained_alone):
        """Wait for the end, and compare the networks with networks trained alone."""
        assert self.process.wait(300) == 0, self.log.read_text()
        runs = self.project.runs()
        (parent,) = [run for run in runs if run.data.tags["kind"] == "sweep"]
        assert parent.info.status == "FINISHED"
        children = [run for run in runs if run is not parent]
        finished = [run for run in children if run.info.status == "FINISHED"]
        assert len({run.data.tags["fingerprint"] for run in finished}) == 10
        assert len(finished) == 10
        for run in finished:
            params = {key: yaml.safe_load(x) for key, x in run.data.params.items()}
            alone = trained_alone(Hyperparameters(**params))
            artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
            network, _ = load_network(artifacts / "train" / MODEL_FILE)
            assert tensors_sha256(snapshot(network)) == alone
            assert {"host", "processor"} <= run.data.tags.keys()
        failed = [run for run in children if run not in finished]
        assert {run.info.status for run in failed} <= {"FAILED"}
        return [run.data.tags["error"] for run in reversed(failed)]


def wait_until(condition, seconds, log=None):
    """Return the value of a condition as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, log and log.read_text()
        time.sleep(0.2)  # looking at all processes takes 0.02 s
    return value


@pytest.fixture(scope="module")
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # paths of sockets must be short
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def trained_alone(mnist):
    """Return a function that trains in this process and returns the weights' hash."""

    @lru_cache  # two sweeps train the same networks
    def train(hyperparameters):
        *_, last = train_network(mnist, hyperparameters)
        return tensors_sha256(last.tensors)

    return train


def test_a_sweep_survives_a_killed_worker_and_a_cut_connection(
    cluster, project, trained_alone
):
    cluster.restart()
    sweep = Sweep(cluster, project, SETTINGS)
    sweep.start()
    sweep.wait_for("val/accuracy", count=2)
    cluster.suspend(HEAD).kill()
    reasons = ["its worker was killed"]
    sweep.wait_for(f"{reasons[0]}; trying again")
    cluster.suspend(NODE)  # Ray gives up a suspended worker after 10 s
    (cluster.cut if cluster.namespaces else cluster.kill)(NODE)
    reasons.append("its node was lost")
    sweep.wait_for(f"{reasons[1]}; trying again")
    assert sweep.finish(trained_alone) == reasons
    for line in sweep.log.read_text().splitlines():
        assert "raylet" not in line


def test_a_sweep_continues_after_its_process_or_the_head_was_killed(
    cluster, project, trained_alone
):
    cluster.restart()
    sweep = Sweep(cluster, project, SETTINGS)
    sweep.start()
    sweep.wait_for("val/accuracy", count=2)
    cluster.suspend(NODE)
    cluster.kill(NODE)
    sweep.wait_for("its node was lost; trying again")
    sweep.process.kill()
    wait_until(lambda: not cluster.workers(HEAD), 60)

    sweep.start(RAY_gcs_rpc_server_reconnect_timeout_s="3")
    cluster.suspend(HEAD)
    cluster.kill(HEAD)
    assert sweep.process.wait(120) == 1
    cluster.restart()
    sweep.start()
    failed = sweep.finish(trained_alone)
    # Before Ray ended the sweep, it may have noticed that the head was lost.
    assert failed[:1] == ["its node was lost"] and len(failed) <= 2
    assert "(10 of 10)" in sweep.log.read_text()


def test_another_pytorch_or_token_or_program_is_rejected_in_one_line(cluster, project):
    metadata = cluster.folder / "other" / "torch-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    cluster.restart(PYTHONPATH=str(metadata.parents[1]))
    address = HEAD if cluster.namespaces else "127.0.0.1"
    web = cluster.popen(
        HEAD,
        f"exec python -m http.server 7001 --bind {address}",
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    options = {
        "has PyTorch 1.0, but this program uses": {},
        "its token is missing here or differs": {"RAY_AUTH_TOKEN": "0" * 64},
        "the head of the cluster does not respond": {"port": 7001},
    }
    sweeps = {
        reason: Sweep(cluster, project, f"seed={index},7", f"sweep{index}")
        for index, reason in enumerate(options)
    }
    for reason, sweep in sweeps.items():
        sweep.start(**options[reason])
    for reason, sweep in sweeps.items():
        assert sweep.process.wait(300) == 1
        lines = sweep.log.read_text().splitlines()
        # All three prepare the same data.
        lines = [line for line in lines if not line.startswith("waiting for another ")]
        assert len(lines) == 2, lines
        error = lines[1]
        assert error.startswith("error: ") and reason in error
    web.kill()
    assert not project.runs()
