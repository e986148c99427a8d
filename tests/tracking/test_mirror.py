"""Servers with all kinds of faults, and how long a stage waits for them."""

import json
import os
import shutil
import signal
import socket
import threading
import time
from contextlib import suppress
from socketserver import ThreadingTCPServer

import pytest
from mlflow import MlflowClient

from pipeline.tracking import mirror
from pipeline.tracking.store import open_store


@pytest.fixture(scope="module")
def sweep(recorded):
    """The id of a sweep's run."""
    (run,) = open_store(recorded).search("tags.claim = 'sweeps/1'")
    return run.info.run_id


def listen(handle):
    """Return the address of a server that handles each connection in a thread."""
    server = ThreadingTCPServer(("127.0.0.1", 0), lambda request, *_: handle(request))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def broken_server(fault):
    """Return the address of a server with a fault, such as a slow or no response."""

    def answer(connection):
        body = json.dumps({"error_code": "X", "message": "\x1b[2J\a"}).encode()
        status = fault.removeprefix("answers ") if "answers" in fault else "500"
        head = f"HTTP/1.1 {status} Oh\r\nContent-Length: {len(body)}\r\n"
        response = head.encode() + b"Connection: close\r\n\r\n" + body
        if fault == "hangs":
            time.sleep(60)
        step = 1 if fault == "drips" else len(response)
        with suppress(OSError), connection:  # the client is killed meanwhile
            connection.recv(65536)
            for start in range(0, len(response), step):
                connection.sendall(response[start : start + step])
                time.sleep(1 if fault == "drips" else 0)

    if fault == "refuses":
        with socket.create_server(("127.0.0.1", 0)) as closed:
            return f"http://127.0.0.1:{closed.getsockname()[1]}"
    return listen(answer)


def slow_proxy(server, seconds):
    """Return the address of a proxy that delays each response of a server."""

    def forward(source, target, delay):
        with suppress(OSError), target:
            while data := source.recv(65536):
                time.sleep(delay)
                target.sendall(data)

    def connect(near):
        far = socket.create_connection(("127.0.0.1", server.port))
        threading.Thread(target=forward, args=[near, far, 0], daemon=True).start()
        forward(far, near, seconds)

    return listen(connect)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("refuses", "Connection refused"),
        ("hangs", "no answer within 1 s"),
        ("answers 500", "500 error"),
        ("answers 400", "\ufffd[2J\ufffd"),
        pytest.param("drips", "not done after 15 s", marks=pytest.mark.fault),
    ],
)
def test_a_broken_server_delays_a_stage_by_at_most_15_seconds(
    recorded, sweep, fault, reason, capfd, monkeypatch
):
    if fault == "hangs":  # MLflow's timeout is shorter, for a quick test
        monkeypatch.setattr(mirror, "REQUEST_TIMEOUT", 1)
    url, start = broken_server(fault), time.monotonic()
    mirror.mirror_run(recorded, url, sweep)
    assert time.monotonic() - start < 15 + 5  # if the machine is busy
    stdout, stderr = capfd.readouterr()
    lines = stderr.splitlines()
    assert all(line.isprintable() and len(line) <= 80 for line in lines)
    text = " ".join(stderr.split())
    assert text.startswith(f"run {sweep} was not copied ({url} did not accept it: ")
    assert reason in text or "not done after 15 s" in text
    assert lines[-1] == f"  python -m pipeline.sync server={url}"
    assert not stdout


def test_a_copying_process_that_cannot_start_says_why_and_blames_no_server(
    recorded, sweep, tmp_path, capfd, monkeypatch
):
    (tmp_path / "mlflow.py").write_text("raise ImportError('no MLflow here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    mirror.mirror_run(recorded, "http://127.0.0.1:9", sweep)
    reason = "(the copying process failed: ImportError: no MLflow here)"
    text = " ".join(capfd.readouterr().err.split())
    assert f"run {sweep} was not copied {reason}; to copy" in text


@pytest.mark.fault
def test_a_slow_server_delays_a_stage_no_longer_than_the_timeouts(
    recorded, sweep, server
):
    url, start = slow_proxy(server, 0.6), time.monotonic()
    with pytest.raises(OSError, match=r"did not accept it: "):
        mirror.mirror_runs(recorded, url, run_id=sweep)
    seconds = time.monotonic() - start
    originals = {run.info.run_id for run in open_store(recorded).search("")}
    client = MlflowClient(server.url)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    copies = originals & {r.data.tags.get("copy.of") for r in client.search_runs(ids)}
    assert seconds < mirror.TIMEOUT + mirror.TIMEOUT_PER_RUN * len(copies) + 5


def test_sync_needs_recorded_runs_and_a_server_that_answers(empty_project, recorded):
    project, url = empty_project("refused", store=False), broken_server("refuses")
    with pytest.raises(ValueError, match="server is missing: set server=http"):
        project.call("sync")
    with pytest.raises(ValueError, match="no run is recorded yet"):
        project.call("sync", server=url)
    shutil.copytree(recorded, project.outputs, dirs_exist_ok=True)
    with pytest.raises(OSError, match=f"^{url} did not accept it: Connection refused"):
        project.call("sync", server=url)


@pytest.mark.fault
def test_ctrl_c_stops_waiting_for_a_server_and_sync_copies_the_run(
    empty_project, server
):
    project = empty_project("interrupted")
    keys = ["dataset=digits", "epochs=2", f"server={broken_server('drips')}"]
    process = project.start("train", *keys, PYTHONUNBUFFERED="1")
    for line in process.stdout:
        if line.startswith("    2 "):
            break
    while {run.info.status for run in project.runs()} != {"FINISHED"}:
        time.sleep(0.1)
    time.sleep(3)
    os.kill(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=900)
    assert process.returncode == 0 and "files  " in stdout
    assert "was not copied (stopped)" in " ".join(stderr.split())
    checkpoints = (project.outputs / "checkpoints").glob("*/")
    assert not [path for path in checkpoints if path.is_dir()]
    process = project.run("sync", f"server={server.url}")
    assert process.stdout == f"runs on {server.url}, identical to the local ones: 1\n"
