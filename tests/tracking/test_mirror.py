"""Servers that break in every way, and how long a stage waits for them."""

import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

import pytest
from mlflow import MlflowClient

from pipeline.tracking import mirror
from pipeline.tracking.store import open_store

DIGITS = ["dataset=digits", "epochs=2"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, empty_store, start_run):
    """A store with a sweep of two trainings."""
    folder = tmp_path_factory.mktemp("recorded")
    empty_store(folder)
    with start_run(folder, lease="sweeps/1") as sweep:
        for number in (1, 2):
            lease = f"digest/{number}"
            with start_run(folder, lease=lease, tags=sweep.child_tags()) as child:
                child.log_text("config.yaml", "hidden: 20")
    return folder


@pytest.fixture(scope="module")
def sweep(recorded):
    """The id of the sweep's run."""
    runs = open_store(recorded).search("")
    (run,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    return run.info.run_id


def broken_server(fault):
    """Return the address of a server that refuses, hangs, drips or answers an error."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if fault == "refuses":
        listener.close()
        return url

    def answer(connection):
        body = json.dumps({"error_code": "X", "message": "\x1b[2J\a"}).encode()
        status = fault.removeprefix("answers ") if "answers" in fault else "500"
        head = f"HTTP/1.1 {status} Oh\r\nContent-Length: {len(body)}\r\n"
        response = head.encode() + b"Connection: close\r\n\r\n" + body
        if fault == "hangs":
            time.sleep(60)
        connection.recv(65536)
        step = 1 if fault == "drips" else len(response)
        with suppress(OSError), connection:  # the client is killed meanwhile
            for start in range(0, len(response), step):
                connection.sendall(response[start : start + step])
                time.sleep(1 if fault == "drips" else 0)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return url


def slow_proxy(server, seconds):
    """Return an address of the server at which each answer takes longer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def forward(source, target, delay):
        with suppress(OSError), target:
            while data := source.recv(65536):
                time.sleep(delay)
                target.sendall(data)

    def accept():
        while True:
            with suppress(OSError):
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", server.port))
                for args in ((near, far, 0), (far, near, seconds)):
                    threading.Thread(target=forward, args=args, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("refuses", "Connection refused"),
        ("hangs", "Read timed out"),
        ("answers 500", "500 error"),
        ("answers 400", "\ufffd[2J\ufffd"),
        pytest.param("drips", "not done after 15 s", marks=pytest.mark.fault),
    ],
)
def test_a_broken_server_costs_at_most_15_seconds_and_one_line(
    recorded, sweep, fault, reason, capfd, monkeypatch
):
    if fault == "hangs":  # MLflow's timeout is shorter, for a quick test
        monkeypatch.setattr(mirror, "REQUEST_TIMEOUT", 1)
    url, start = broken_server(fault), time.monotonic()
    mirror.mirror_run(recorded, url, sweep)
    assert time.monotonic() - start < 15 + 5  # if the machine is busy
    stdout, stderr = capfd.readouterr()
    (line,) = stderr.splitlines()
    assert line.isprintable()  # whatever the server answered
    assert line.startswith(f"run {sweep} was not copied ({url} did not accept it: ")
    assert reason in line or "not done after 15 s" in line
    assert line.endswith(f"to copy it later: python -m pipeline.sync server={url}")
    assert not stdout


@pytest.mark.fault
def test_a_slow_server_costs_no_more_than_the_timeouts_of_the_copied_runs(
    recorded, sweep, new_server
):
    server = new_server("slow")
    url, start = slow_proxy(server, 0.6), time.monotonic()
    with pytest.raises(OSError, match=r"did not accept it: "):
        mirror.mirror_runs(recorded, url, run_id=sweep)
    seconds = time.monotonic() - start
    client = MlflowClient(server.url)
    experiment = client.get_experiment_by_name("digits")
    copies = client.search_runs([experiment.experiment_id]) if experiment else []
    assert seconds < mirror.TIMEOUT + mirror.TIMEOUT_PER_RUN * len(copies) + 5


def test_sync_fails_with_the_reason_if_a_server_refuses(empty_project, recorded):
    project = empty_project("refused", store=False)
    shutil.copytree(recorded, project.outputs, dirs_exist_ok=True)
    url = broken_server("refuses")
    with pytest.raises(OSError, match=f"^{url} did not accept it: Connection refused"):
        project.call("sync", server=url)


def test_sync_needs_a_server_and_recorded_runs(empty_project):
    project = empty_project("nothing", store=False)
    with pytest.raises(ValueError, match="server is missing: set server=http"):
        project.call("sync")
    with pytest.raises(ValueError, match="nothing was recorded yet"):
        project.call("sync", server="http://127.0.0.1:9")


@pytest.mark.fault
def test_a_server_that_stores_artifacts_in_a_folder_gets_none(
    recorded, new_server, tmp_path
):
    command = f"{sys.executable} -m mlflow server --workers 1 --host 127.0.0.1 "
    command += f"--backend-store-uri sqlite:///{tmp_path / 'x.db'} "
    command += f"--no-serve-artifacts --default-artifact-root {tmp_path / 'stored'}"
    server = new_server("foreign", typed=command)
    with pytest.raises(OSError, match="start it with --artifacts-destination"):
        mirror.mirror_runs(recorded, server.url)
    assert not (tmp_path / "stored").exists()


@pytest.mark.fault
def test_a_training_with_a_server_that_drips_succeeds_and_is_copied_later(
    empty_project, server
):
    project = empty_project("dripped")
    url = broken_server("drips")
    process = project.run("train", *DIGITS, f"server={url}")
    (line,) = process.stderr.splitlines()
    assert "was not copied (" in line and "files  " in process.stdout
    checkpoints = (project.outputs / "checkpoints").glob("*/")
    assert not [path for path in checkpoints if path.is_dir()]
    process = project.run("sync", f"server={server.url}")
    assert process.stdout == f"1 runs are on {server.url}, equal to those here\n"


@pytest.mark.fault
def test_ctrl_c_ends_the_waiting_for_a_server_and_nothing_else(empty_project):
    project = empty_project("interrupted")
    keys = [*DIGITS, f"server={broken_server('drips')}"]
    process = project.start("train", *keys, PYTHONUNBUFFERED="1")
    for line in process.stdout:
        if line.startswith("    2 "):
            break
    while {run.info.status for run in project.runs()} != {"FINISHED"}:
        time.sleep(0.1)
    time.sleep(3)
    os.kill(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=900)
    assert process.returncode == 0
    assert "was not copied (stopped)" in stderr and "files  " in stdout
