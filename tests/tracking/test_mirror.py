"""Copies on a real MLflow server, and servers that break in every way."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import tracking
from pipeline.cli import schema
from pipeline.cli.config import ConfigError, defaults, validate
from pipeline.cli.schema import TrainConfig
from pipeline.tracking import mirror

pytestmark = pytest.mark.fault  # real servers, started and ended: two minutes

DIGITS = ["dataset=digits", "epochs=2"]
POINTS = int(os.environ.get("POINTS", "2"))  # of servers, and of clients, that die


def runs_in(client):
    known = client.get_experiment_by_name("digits")
    return client.search_runs([known.experiment_id], max_results=1000) if known else []


def patient(project):
    """Let a project wait long for a server, where not its patience is what counts."""
    module = project.root / "pipeline" / "copies.py"
    text = module.read_text()
    for quick, slow in (("PATIENCE = 15 ", "PATIENCE = 600 "), ('"5" if', '"60" if')):
        assert text.count(quick) == 1
        text = text.replace(quick, slow)
    module.write_text(text)
    return project


def copies_on(server):
    """The copies on a server, by the id of their original: one each."""
    found = [run for run in runs_in(MlflowClient(server.url))]
    by_original = {run.data.tags["copy.of"]: run for run in found}
    assert len(by_original) == len(found), "a run has two copies"
    return by_original


def set_aside(server):
    """Let what stands on a server be nobody's copy, so that all is copied anew."""
    client = MlflowClient(server.url)
    known = client.get_experiment_by_name("digits")
    if known:
        aside = f"aside {known.experiment_id}"
        client.rename_experiment(known.experiment_id, aside)


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def points(client, run):
    return {
        name: [
            (m.value, m.timestamp, m.step)
            for m in client.get_metric_history(run.info.run_id, name)
        ]
        for name in run.data.metrics
    }


def models(client, run):
    its_own = f"source_run_id = '{run.info.run_id}'"
    found = client.search_logged_models([run.info.experiment_id], its_own)
    steps = {o.model_id: o.step for o in run.outputs.model_outputs}
    assert set(steps) == {model.model_id for model in found}
    for model in found:
        tags = {k: v for k, v in model.tags.items() if k != "copy.of"}
        metrics = sorted((m.key, m.value, m.step) for m in model.metrics or ())
        files = sorted(
            f.path for f in client.list_logged_model_artifacts(model.model_id)
        )
        step = steps[model.model_id]
        yield model.name, model.status, model.params, tags, metrics, files, step


def assert_equal(project, server, tmp_path, *, count):
    """Every closed run of a project has one copy, which is equal in everything."""
    ours = MlflowClient(f"sqlite:///{project.outputs / 'mlflow.db'}")
    theirs = MlflowClient(server.url)
    copied = copies_on(server)
    originals = runs_in(ours)
    assert {run.info.run_id for run in originals} == set(copied)
    assert len(originals) == count
    for run in originals:
        copy = copied[run.info.run_id]
        for quality in ("status", "start_time", "end_time", "run_name", "user_id"):
            assert getattr(copy.info, quality) == getattr(run.info, quality)
        assert points(theirs, copy) == points(ours, run)
        assert copy.data.params == run.data.params
        tags = dict(copy.data.tags)
        assert tags.pop("copy.of") == run.info.run_id and tags.pop("copy.state")
        assert json.loads(tags.pop("copy.tags")) == sorted(run.data.tags)
        expected = dict(run.data.tags)
        parent = expected.get("mlflow.parentRunId")
        if parent:
            expected["mlflow.parentRunId"] = copied[parent].info.run_id
        told = expected.get("mlflow.note.content", "")
        if "compare-runs" in told:  # a sweep's: the link leads to the copies
            for own, other in copied.items():
                told = told.replace(own, other.info.run_id)
            there = f"experiments=%5B%22{copy.info.experiment_id}%22%5D"
            expected["mlflow.note.content"] = re.sub(
                "experiments=%5B%22.*?%22%5D", there, told
            )
        assert tags == expected
        assert copy.inputs.to_dictionary() == run.inputs.to_dictionary()
        assert [*models(theirs, copy)] == [*models(ours, run)]
        at = tmp_path / copy.info.run_id
        at.mkdir()
        fetched = theirs.download_artifacts(copy.info.run_id, "", str(at))
        assert tree(fetched) == tree(tracking._files_of(run))


@pytest.fixture(scope="module")
def trained(empty_project):
    """A project with a training and a sweep of two, one of which failed."""
    made = empty_project("trained")
    made.run("train", *DIGITS)
    made.run("train", "-m", "hidden=5,-1", *DIGITS, status=1)
    return made


def send(project, server, run_id=None):
    place = project.outputs
    url = getattr(server, "url", server)
    return mirror.mirror_runs(place, url, experiment="digits", run_id=run_id)


# --- Equal -------------------------------------------------------------------------


def test_a_training_and_what_evaluate_adds_arrive_as_they_are(
    empty_project, server, tmp_path
):
    set_aside(server)
    made = patient(empty_project("sent"))
    done = made.run("train", *DIGITS, f"server={server.url}")
    (address,) = re.findall(r"^copy   (\S+)$", done.stdout, re.MULTILINE)
    (copy,) = copies_on(server).values()
    assert address.startswith(server.url) and address.endswith(copy.info.run_id)
    (tmp_path / "first").mkdir()
    assert_equal(made, server, tmp_path / "first", count=1)
    for _ in range(2):  # and what is recorded again takes the place of the first
        made.run("evaluate", MLFLOW_TRACKING_URI=server.url)  # named in another way
    (again,) = copies_on(server).values()
    assert again.info.run_id == copy.info.run_id
    assert "evaluate/digits/accuracy" in again.data.metrics
    assert_equal(made, server, tmp_path, count=1)


def test_a_sweep_arrives_with_its_children_and_the_one_that_failed(
    empty_project, server, tmp_path
):
    set_aside(server)
    made = patient(empty_project("swept_and_sent"))
    command = ["train", "-m", "hidden=5,-1", *DIGITS, f"server={server.url}"]
    done = made.run(*command, status=1)
    assert done.stdout.count("copy   ") == 1
    assert_equal(made, server, tmp_path, count=3)


def test_sync_sends_what_has_not_arrived_and_a_second_sync_nothing(
    trained, server, tmp_path
):
    set_aside(server)
    assert not (trained.outputs / ".server.lock").exists()
    done = trained.run("sync", f"server={server.url}")
    assert done.stdout == f"4 runs are on {server.url}, as they are here\n"
    assert_equal(trained, server, tmp_path, count=4)
    log = server.folder / "artifacts"
    before = {path: path.stat().st_mtime_ns for path in log.rglob("*")}
    again = trained.run("sync", f"server={server.url}")
    assert again.stdout == done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in log.rglob("*")}


def test_two_at_once_make_one_copy_of_each_run(trained, server, tmp_path):
    set_aside(server)
    both = [trained.start("sync", f"server={server.url}") for _ in range(2)]
    for process in both:
        stdout, stderr = process.communicate(timeout=900)
        assert process.returncode == 0, stdout + stderr
    assert_equal(trained, server, tmp_path, count=4)


def test_the_copied_model_answers(trained, server, mnist):
    import mlflow

    set_aside(server)
    send(trained, server)
    run_id = json.loads(trained.trained("run.json").read_text())["run_id"]
    copied = copies_on(server)[run_id].info.run_id
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.url)
    try:
        model = mlflow.pyfunc.load_model(f"runs:/{copied}/model")
    finally:
        mlflow.set_tracking_uri(before)
    pixels = (mnist.test.images[:3] / 255).astype("float32")
    assert model.predict(pixels).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_run_that_goes_on_is_left_for_later_and_one_deleted_there_stays_deleted(
    trained, server
):
    set_aside(server)
    client = MlflowClient(f"sqlite:///{trained.outputs / 'mlflow.db'}")
    running = client.create_run("1")
    sent = send(trained, server)
    assert len(sent) == 4 and running.info.run_id not in copies_on(server)
    client.delete_run(running.info.run_id)
    theirs = MlflowClient(server.url)
    unwanted = next(iter(copies_on(server).values())).info.run_id
    theirs.delete_run(unwanted)
    assert len(send(trained, server)) == 3
    assert theirs.get_run(unwanted).info.lifecycle_stage == "deleted"


def test_what_the_original_has_no_more_goes_and_what_others_added_stays(
    trained, server, monkeypatch
):
    monkeypatch.setattr(mirror, "TIMEOUT", 600)
    set_aside(server)
    ours = MlflowClient(f"sqlite:///{trained.outputs / 'mlflow.db'}")
    theirs = MlflowClient(server.url)
    run_id = ours.create_run("1", tags={"error": "OSError: full"}).info.run_id
    ours.set_terminated(run_id, "FAILED")
    send(trained, server, run_id)
    copy = copies_on(server)[run_id].info.run_id
    assert theirs.get_run(copy).data.tags["error"] == "OSError: full"
    theirs.set_tag(copy, "reviewed", "yes")
    ours.delete_tag(run_id, "error")
    ours.set_terminated(run_id, "FINISHED")
    send(trained, server, run_id)
    kept = theirs.get_run(copy)
    assert kept.info.status == "FINISHED" and kept.data.tags["reviewed"] == "yes"
    assert "error" not in kept.data.tags
    ours.delete_run(run_id)


def test_a_child_without_its_parent_keeps_no_other_from_the_server(trained, server):
    set_aside(server)
    ours = MlflowClient(f"sqlite:///{trained.outputs / 'mlflow.db'}")
    parent = ours.create_run("1").info.run_id
    ours.set_terminated(parent)
    orphans = []
    for other in (parent, "0" * 32):  # deleted, and removed altogether
        made = ours.create_run("1", tags={"mlflow.parentRunId": other})
        ours.set_terminated(made.info.run_id)
        orphans.append(made.info.run_id)
    ours.delete_run(parent)
    assert len(send(trained, server)) == 6
    assert {*orphans} < {*copies_on(server)} and parent not in copies_on(server)
    for orphan in orphans:
        ours.delete_run(orphan)


def test_a_moved_project_sends_nothing_again(trained, server, tmp_path):
    set_aside(server)
    send(trained, server)
    log = server.folder / "artifacts"
    before = {path: path.stat().st_mtime_ns for path in log.rglob("*")}
    shutil.copytree(trained.root, tmp_path / "copied")
    copied = replace(trained, root=tmp_path / "copied")
    done = copied.run("sync", f"server={server.url}")
    assert "was moved or copied" in done.stdout and "4 runs are on" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in log.rglob("*")}


# --- Servers that break --------------------------------------------------------------


def broken(how):
    """A server that hangs, drips or answers 500, or refuses: its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    if how == "refuses":
        listening.close()
        return url

    def answer(connection):
        told = json.dumps({"error_code": "X", "message": "\x1b[2J\a"}).encode()
        head = b"HTTP/1.1 500 Oh\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        head = head % len(told) + told
        if how == "hangs":
            time.sleep(60)
        connection.recv(65536)
        step = 1 if how == "drips" else len(head)
        with suppress(OSError), connection:  # the other end is killed meanwhile
            for at in range(0, len(head), step):
                connection.sendall(head[at : at + step])
                time.sleep(1 if how == "drips" else 0)

    def accept():
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=answer, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return url


@pytest.mark.parametrize("how", ["refuses", "hangs", "drips", "answers 500"])
def test_a_broken_server_costs_a_training_15_seconds_and_one_line(trained, how, capfd):
    run_id = json.loads(trained.trained("run.json").read_text())["run_id"]
    url = broken(how)
    start = time.monotonic()
    tracking._copy(trained.outputs, url, run_id)
    assert time.monotonic() - start < mirror.TIMEOUT + 5  # where others are busy
    stdout, stderr = capfd.readouterr()
    (line,) = stderr.splitlines()
    assert line.isprintable()  # whatever the server said
    assert not stdout and f"run {run_id} was not copied ({url} didn't take it" in line
    assert line.endswith(f"python -m pipeline.sync server={url} sends it later")


@contextmanager
def slow(server, seconds):
    """A way to a server on which each answer takes so many seconds longer."""
    listening = socket.create_server(("127.0.0.1", 0))

    def forward(source, target, wait):
        with suppress(OSError), target:
            while some := source.recv(65536):
                time.sleep(wait)
                target.sendall(some)

    def accept():
        while True:
            with suppress(OSError):
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", server.port))
                for way in ((near, far, 0), (far, near, seconds)):
                    threading.Thread(target=forward, args=way, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_slow_server_costs_a_sweep_no_more_than_its_runs_and_15_seconds(
    trained, server
):
    set_aside(server)
    client = MlflowClient(f"sqlite:///{trained.outputs / 'mlflow.db'}")
    (parent,) = {run.data.tags.get("mlflow.parentRunId") for run in runs_in(client)} - {
        None
    }
    start = time.monotonic()
    with (
        slow(server, 0.4) as url,
        pytest.raises(OSError, match="didn't take it: "),
    ):
        send(trained, url, parent)
    arrived = len(copies_on(server))
    most = mirror.TIMEOUT + mirror.TIMEOUT_PER_RUN * arrived
    assert time.monotonic() - start < most + 5


def test_a_server_that_keeps_files_in_a_folder_gets_none(trained, new_server, tmp_path):
    typed = f"{sys.executable} -m mlflow server --workers 1 --host 127.0.0.1 "
    typed += f"--backend-store-uri sqlite:///{tmp_path / 'x.db'} --no-serve-artifacts "
    typed += f"--default-artifact-root {tmp_path / 'kept'}"
    foreign = new_server("foreign", typed=typed)
    with pytest.raises(OSError, match="start it with --artifacts-destination"):
        send(trained, foreign)
    assert not (tmp_path / "kept").exists()


def test_a_training_with_a_server_that_drips_ends_well(empty_project, server, tmp_path):
    set_aside(server)
    made = empty_project("dripped")
    done = made.run("train", *DIGITS, f"server={broken('drips')}")
    (line,) = done.stderr.splitlines()
    assert "was not copied (" in line and "files  " in done.stdout
    assert not (made.outputs / "checkpoints").exists() or not [
        path for path in (made.outputs / "checkpoints").iterdir() if path.is_dir()
    ]
    made.run("sync", f"server={server.url}")
    assert_equal(made, server, tmp_path, count=1)


def test_sync_says_in_a_line_that_a_server_refuses(trained):
    url = broken("refuses")
    done = trained.run("sync", f"server={url}", status=1)
    assert done.stderr.startswith(f"error: {url} didn't take it: ")
    assert "Connection refused" in done.stderr and done.stderr.count("\n") == 1


def test_ctrl_c_ends_the_waiting_and_nothing_else(empty_project):
    made = empty_project("impatient")
    url = broken("drips")
    process = made.start("train", *DIGITS, f"server={url}", PYTHONUNBUFFERED="1")
    for line in process.stdout:
        if line.startswith("    2 "):
            break
    client = MlflowClient(f"sqlite:///{made.outputs / 'mlflow.db'}")
    while {run.info.status for run in client.search_runs(["1"])} != {"FINISHED"}:
        time.sleep(0.1)
    time.sleep(3)
    os.kill(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=900)
    assert process.returncode == 0
    assert "was not copied (stopped)" in stderr and "files  " in stdout


def test_the_address_of_the_environment_does_not_derail_the_store(empty_project):
    made = empty_project("derailed")
    made.run("train", *DIGITS, MLFLOW_TRACKING_URI="sqlite:///nowhere.db")
    client = MlflowClient(f"sqlite:///{made.outputs / 'mlflow.db'}")
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FINISHED" and len(run.outputs.model_outputs) == 1
    assert not list(made.root.rglob("nowhere.db"))


# --- The key -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "rule"),
    [
        ("127.0.0.1:5000", "must be an address such as http://127.0.0.1:5000"),
        ("file:///etc", "must be an address such as http://127.0.0.1:5000"),
        ("http://", "must be an address such as http://127.0.0.1:5000"),
        ("http://[::1", "must be an address such as http://127.0.0.1:5000"),
        ("http://me:secret@host", "must hold no password, for runs record it"),
    ],
)
def test_what_is_no_address_or_holds_a_password_is_refused(server, rule):
    with pytest.raises(ConfigError, match=rule):
        validate(TrainConfig, defaults() | {"server": server})


def test_without_the_key_the_environment_names_the_server(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://example.org")
    assert validate(TrainConfig, defaults()).server == "https://example.org"
    typed = validate(TrainConfig, defaults() | {"server": "http://127.0.0.1:5000"})
    assert typed.server == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host")
    with pytest.raises(ConfigError, match=r"\(here MLFLOW_TRACKING_URI\) must hold no"):
        validate(TrainConfig, defaults())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///outputs/mlflow.db")
    assert validate(schema.SyncConfig, defaults()).server is None


# --- Killed -------------------------------------------------------------------------


@pytest.mark.fault
def test_clients_killed_at_any_point_lose_and_double_nothing(trained, server, tmp_path):
    draw = random.Random(7)
    for point in range(POINTS):
        set_aside(server)
        process = trained.start("sync", f"server={server.url}")
        try:
            process.wait(timeout=draw.uniform(2, 9))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        trained.run("sync", f"server={server.url}")
        (tmp_path / str(point)).mkdir()
        assert_equal(trained, server, tmp_path / str(point), count=4)


@pytest.mark.fault
def test_servers_killed_at_any_point_lose_and_double_nothing(
    trained, new_server, tmp_path
):
    draw = random.Random(8)
    mortal = new_server("mortal")
    for point in range(POINTS):
        set_aside(mortal)
        process = trained.start("sync", f"server={mortal.url}")
        time.sleep(draw.uniform(2, 9))
        mortal.kill()
        process.communicate(timeout=900)
        assert process.returncode in (0, 1)
        mortal.start()
        trained.run("sync", f"server={mortal.url}")
        (tmp_path / str(point)).mkdir()
        assert_equal(trained, mortal, tmp_path / str(point), count=4)
