"""Servers with all kinds of faults, and how long a command waits for them."""

import errno
import io
import itertools
import json
import os
import signal
import socket
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import redirect_stderr, suppress
from socketserver import ThreadingTCPServer

import psutil
import pytest
from filelock import FileLock

from pipeline import UserError
from pipeline.base.helper_process import Channel, HelperKilled
from pipeline.sync import sync
from pipeline.tracking import Tracker, copying_process, new_tracker, tagged_runs
from pipeline.tracking import sync as sync_module
from pipeline.tracking.copies.copier import copy_run, copy_with_children

UNREADABLE = (
    "{url} rejected the copy: ParseError: Failed to parse experiments field: "
    "repeated field experiments must be in [] which is 3 at Response."
)
OTHER_PROGRAM = (
    "{url} rejected the copy: it sent a web page with status 501, not a "
    "response of MLflow"
)


def broken_server(fault):
    """Return the URL of a server with a fault, such as a slow or missing response."""

    def answer(connection, *_):
        body = json.dumps({"error_code": "X", "message": "\x1b[2J\a"}).encode()
        head = f"HTTP/1.1 400 Oh\r\nContent-Length: {len(body)}\r\n"
        if fault == "answers a number":
            body = json.dumps({"experiment": 3, "experiments": 3}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
        if fault == "answers as another program":
            body = b"<!DOCTYPE html>\n<html><h1>Error response</h1></html>"
            head = f"HTTP/1.1 501 Oh\r\nContent-Length: {len(body)}\r\n"
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
    server = ThreadingTCPServer(("127.0.0.1", 0), answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def kill_copying_process():
    (process,) = (
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE
        and child.nice() == os.nice(0) + copying_process.NICENESS
    )
    process.kill()


@pytest.mark.parametrize(
    ("fault", "timeout", "reason"),
    [
        ("answers 400", 600, "{url} rejected the copy: X: \ufffd[2J\ufffd"),
        ("answers a number", 600, UNREADABLE),
        ("answers as another program", 600, OTHER_PROGRAM),
        ("hangs", 2, "{url} took more than 2 s"),
        ("drips", 2, "{url} took more than 2 s"),
        ("drips", 600, "interrupted"),
        ("drips", 600, "the copying process was killed"),
    ],
)
def test_a_copy_that_fails_takes_no_longer_than_the_timeout_and_names_the_remedy(
    recorded, fault, timeout, reason, capfd, monkeypatch, request
):
    if fault.startswith("answers"):  # the others end the copying process
        request.getfixturevalue("same_helper")
    monkeypatch.setattr(copying_process, "FINISH_SECONDS", timeout)
    (sweep,) = tagged_runs(recorded, "kind", ["sweep"])
    url, start = broken_server(fault), time.monotonic()
    if reason == "interrupted":  # Ctrl-C interrupts it
        ctrl_c = threading.main_thread().ident, signal.SIGINT
        threading.Timer(1, signal.pthread_kill, ctrl_c).start()
    if "killed" in reason:
        monkeypatch.setattr(copying_process, "NICENESS", 9)  # no other process has 9
        threading.Timer(1, kill_copying_process).start()
    Tracker(recorded, server=url, experiment="digits").copy(sweep.run_id)
    assert timeout == 600 or time.monotonic() - start < timeout + 5
    stdout, stderr = capfd.readouterr()
    *message, remedy = stderr.splitlines()
    assert all(line.isprintable() and len(line) <= 80 for line in message)
    text = f"is incomplete: {reason.format(url=url)}. To copy the rest, run:"
    start = f"warning: the copy of run {sweep.run_id}"
    assert " ".join(" ".join(message).split()) == f"{start} {text}"
    assert remedy == f"  python -m pipeline.sync server={url} run={sweep.run_id}"
    assert not stdout


def test_any_error_of_a_copy_is_a_warning_because_the_run_is_complete(
    recorded, tmp_path, monkeypatch, capfd
):
    (sweep,) = tagged_runs(recorded, "kind", ["sweep"])
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "deleted"))
        url = broken_server("refuses")
        tracker = Tracker(recorded, server=url, experiment="digits")
        assert not tracker.copy(sweep.run_id)
    text = " ".join(capfd.readouterr().err.split())
    assert f"the copy of run {sweep.run_id} is incomplete: FileNotFoundError: " in text
    assert text.endswith(f"run={sweep.run_id}")


def test_a_timeout_of_a_disk_is_not_blamed_on_the_server(
    recorded, same_helper, lasting_helper, monkeypatch, capfd
):
    submit, url = Channel.submit, broken_server("refuses")

    def on_slow_disk(channel, function, *arguments, **options):
        if function not in (copy_run, copy_with_children):
            return submit(channel, function, *arguments, **options)
        call = Future()
        call.set_exception(TimeoutError(errno.ETIMEDOUT, "timed out", "a file"))
        return call

    monkeypatch.setattr(Channel, "submit", on_slow_disk)
    slow = lasting_helper.channels[0].submit
    monkeypatch.setattr(lasting_helper, "submit", slow)
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(recorded))
    (sweep,) = tagged_runs(recorded, "kind", ["sweep"])
    assert not Tracker(recorded, server=url, experiment="digits").copy(sweep.run_id)
    message = " ".join(capfd.readouterr().err.split())
    assert "incomplete: TimeoutError: " in message and "took more" not in message
    with pytest.raises(OSError, match="timed out: 'a file'"):
        sync_module.sync(url, run=None)


def test_a_clock_that_is_set_back_delays_no_copy(recorded, lasting_helper, monkeypatch):
    copies = []

    def submit(channel, function, *arguments, **options):
        copies.append(function)
        call = Future()
        call.set_result("")
        return call

    monkeypatch.setattr(Channel, "submit", submit)
    monkeypatch.setattr(copying_process, "FIRST_SECONDS", 0)
    monkeypatch.setattr(copying_process, "COPY_SECONDS", 0.1)
    hours = itertools.count(400_000, -1)
    monkeypatch.setattr(time, "time", lambda: 3600.0 * next(hours))
    url, channel = broken_server("refuses"), lasting_helper.channels[0]
    copy = copying_process.CopyingProcess(recorded, url, channel)
    copy.follow(lambda: "0" * 32)
    end = time.monotonic() + 10
    while len(copies) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    copy.close()
    assert copies[:2] == [copy_with_children] * 2


def test_no_process_is_started_for_a_closed_copy(recorded):
    copy = copying_process.CopyingProcess(recorded, broken_server("refuses"))
    copy.follow(lambda: "0" * 32)  # its thread may notice the end late
    copy.close()
    with pytest.raises(HelperKilled, match="has ended"):
        copy.warm_up()


def test_sync_stops_if_nothing_is_recorded_or_a_server_refuses(
    empty_project, recorded, same_helper
):
    project, url = empty_project("refused", store=False), broken_server("refuses")
    with pytest.raises(UserError, match="no run has been recorded yet"):
        project.call("sync", server=url)
    project = type(project)(recorded)
    with pytest.raises(UserError, match=f"^{url} cannot be reached: Connection ref"):
        project.call("sync", server=url)


def test_a_call_of_sync_that_fails_in_a_thread_leaves_the_process_as_it_was(
    recorded, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(recorded))
    monkeypatch.setattr(sync_module, "RUN_SECONDS", 1)
    before = dict(os.environ), signal.getsignal(signal.SIGALRM)
    with ThreadPoolExecutor() as threads:
        call = threads.submit(sync, server=broken_server("drips"), quiet=True)
        with pytest.raises(UserError, match="did not respond within 1 s"):
            call.result()
    assert (dict(os.environ), signal.getsignal(signal.SIGALRM)) == before


def test_results_before_an_error_are_copied(recorded, same_helper, capsys):
    url = broken_server("refuses")
    tracker = new_tracker(recorded, server=url, experiment="digits")
    (sweep,) = tagged_runs(recorded, "kind", ["sweep"])
    reopened = tracker.reopen_run(run_id=sweep.run_id, weights_sha256=None)
    with suppress(OSError), reopened as run:
        raise OSError("no image")
    assert run.copied is False
    assert f"the copy of run {sweep.run_id}" in capsys.readouterr().err


def test_sync_says_that_it_waits_for_another_process_that_copies(
    recorded, same_helper, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(recorded))
    printed = io.StringIO()  # `capfd` can lose text that is written while it reads
    with ThreadPoolExecutor() as threads, redirect_stderr(printed):
        with FileLock(recorded / ".server.lock"):  # as a copying process
            call = threads.submit(sync_module.sync, broken_server("refuses"), run=None)
            while "waiting for another process that co" not in printed.getvalue():
                assert not call.done()
                time.sleep(0.1)
        with pytest.raises(UserError, match="cannot be reached"):
            call.result()


def test_the_copying_process_holds_the_lock_because_it_can_outlive_sync(
    recorded, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(recorded))
    lock, this = str(recorded / ".server.lock"), psutil.Process()

    def holds_lock(process):
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return not is_zombie and lock in [file.path for file in process.open_files()]

    with ThreadPoolExecutor() as threads:
        call = threads.submit(sync, server=broken_server("drips"), quiet=True)
        while not (holders := [*filter(holds_lock, this.children())]):
            assert not call.done()
            time.sleep(0.1)
        assert not holds_lock(this)
        holders[0].kill()
        with pytest.raises(HelperKilled):
            call.result()


def test_a_copy_that_waits_for_another_process_does_not_blame_the_server(
    recorded, same_helper, capfd, monkeypatch
):
    monkeypatch.setattr(copying_process, "FINISH_SECONDS", 60)
    monkeypatch.setattr(copying_process, "ANSWER_SECONDS", 57)
    (sweep,) = tagged_runs(recorded, "kind", ["sweep"])
    with FileLock(recorded / ".server.lock"):  # as a copying process
        url = "http://127.0.0.1:1"
        tracker = Tracker(recorded, server=url, experiment="digits")
        assert not tracker.copy(sweep.run_id)
    message = " ".join(capfd.readouterr().err.split())
    assert f"another process holds {recorded / '.server.lock'}: wait" in message
    assert "127.0.0.1:1 took" not in message and "python -m pipeline.sync" in message
