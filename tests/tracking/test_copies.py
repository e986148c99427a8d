"""Copies on a real MLflow server are equal to their originals in every respect."""

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import time
from contextlib import closing, suppress
from operator import attrgetter
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline import PartlyFailed, UserError
from pipeline.base import locking
from pipeline.model import load_trained_network, select_network
from pipeline.sweeps.networks import read_networks
from pipeline.sweeps.recorded import RecordedSweep
from pipeline.sync import sync
from pipeline.tracking import (
    RunStart,
    Tracker,
    copying_process,
    find_run,
    find_training_run,
    tagged_runs,
)
from pipeline.tracking.copies.copier import describe_failed, runs_in_order
from pipeline.tracking.copies.copies import Copies
from pipeline.tracking.copying_process import CopyingProcess
from pipeline.tracking.store.client import open_store
from pipeline.tracking.store.mlflow_internals import VIEW_TAG
from pipeline.tracking.store.pages import VIEW

pytestmark = pytest.mark.usefixtures("same_helper")
INFO = attrgetter("status", "start_time", "end_time", "run_name", "user_id")
# The number of servers and clients that are killed.
COPY_KILLS = int(os.environ.get("COPY_KILLS", "1"))


def hide_copies(server):
    """Rename the experiment, so that everything has to be copied again."""
    client = MlflowClient(server.url)
    if experiment := client.get_experiment_by_name("digits"):
        name = f"hidden {experiment.experiment_id}"
        client.rename_experiment(experiment.experiment_id, name)


@pytest.fixture
def server(server):
    hide_copies(server)
    return server


@pytest.fixture
def copy(server):
    """Return a function that copies runs in this process; it returns their URLs."""

    def copy(folder, run_id=None):
        copies = Copies(open_store(folder), server.url)
        runs = runs_in_order(folder, run_id)
        done = {run.run_id: s for run in runs if (s := copies.copy(run))}
        if failed := describe_failed(done, server.url):
            raise UserError(failed)
        return {run_id: copied.url for run_id, copied in done.items() if copied.url}

    return copy


def runs_in(client):
    experiment = client.get_experiment_by_name("digits")
    return client.search_runs([experiment.experiment_id]) if experiment else []


def copies_on(server):
    """Return the copies on a server by the ID of their original: one each."""
    runs = runs_in(MlflowClient(server.url))
    copies = {run.data.tags["copy.of"]: run for run in runs}
    assert len(copies) == len(runs), "a run has two copies"
    return copies


def content(client, run, folder):
    """Return everything in a run except its tags; its files are put into a folder."""
    run_id = run.info.run_id
    steps = {output.model_id: output.step for output in run.outputs.model_outputs}
    condition = f"source_run_id = '{run_id}'"
    models = client.search_logged_models([run.info.experiment_id], condition)
    assert set(steps) == {model.model_id for model in models}
    paths = client.list_logged_model_artifacts
    (folder / run_id).mkdir(parents=True)
    client.download_artifacts(run_id, "", str(folder / run_id))
    files = [path for path in (folder / run_id).rglob("*") if path.is_file()]
    return {
        "info": INFO(run.info),
        "params": run.data.params,
        "metrics": {
            name: [
                (repr(point.value), point.timestamp, point.step)  # NaN != NaN
                for point in client.get_metric_history(run_id, name)
            ]
            for name in run.data.metrics
        },
        "inputs": sorted(run.inputs.to_dictionary()["dataset_inputs"], key=str),
        "models": [
            (
                *(model.name, model.status, model.params, steps[model.model_id]),
                {k: v for k, v in model.tags.items() if k != "copy.of"},
                sorted(file.path for file in paths(model.model_id)),
                [(m.key, m.value, m.dataset_name) for m in model.metrics],
            )
            for model in models
        ],
        "files": {str(p.relative_to(folder / run_id)): p.read_bytes() for p in files},
    }


def expected_tags(run, copies):
    """Return the tags of the original, with references to copies."""
    text = json.dumps(run.data.tags)
    for original, copy in copies.items():
        text = text.replace(original, copy.info.run_id)
    number = rf"\g<1>{copies[run.info.run_id].info.experiment_id}"
    return json.loads(re.sub(r"(experiments(?:/|=%5B%22))[0-9]+", number, text))


def assert_equal(folder, server, tmp_path, *, count):
    """Check that each run of a store has one copy that is equal in every respect."""
    source, target = open_store(folder), MlflowClient(server.url)
    copies, originals = copies_on(server), runs_in(source)
    assert {run.info.run_id for run in originals} == set(copies)
    assert len(originals) == count
    for run in originals:
        copy = copies[run.info.run_id]
        tags = dict(copy.data.tags)
        assert tags.pop("copy.of") == run.info.run_id and tags.pop("copy.sha256")
        assert tags == expected_tags(run, copies)
        expected = content(source, run, tmp_path)
        assert content(target, copy, tmp_path) == expected


def test_all_runs_are_copied_once_and_the_copied_model_predicts(
    recorded, server, copy, tmp_path
):
    def modified():
        paths = (server.folder / "artifacts").rglob("*")
        return {path: path.stat().st_mtime_ns for path in paths}

    addresses = copy(recorded)
    assert_equal(recorded, server, tmp_path, count=4)
    before = modified()
    shutil.copytree(recorded, tmp_path / "moved")
    assert copy(recorded) == copy(tmp_path / "moved") == addresses
    assert modified() == before and len(copies_on(server)) == 4
    (run,) = (run for run in copies_on(server).values() if run.outputs.model_outputs)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.url)
    try:
        model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    finally:
        mlflow.set_tracking_uri(before)
    pixels = np.zeros((3, 28, 28), np.float32)
    assert model.predict(pixels).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_copy_is_in_an_experiment_with_the_same_name(store, start_run, server, copy):
    with start_run(store, experiment="a team") as run:
        pass
    client = MlflowClient(server.url)
    client.create_experiment("a team", tags={"mlflow.note.content": "Ours."})
    address = copy(store)[run.run_id]
    experiment = client.get_experiment_by_name("a team")
    assert experiment.tags["mlflow.note.content"] == "Ours."
    assert VIEW_TAG + VIEW in experiment.tags
    assert f"#/experiments/{experiment.experiment_id}/runs/" in address
    assert copy(store) == copy(store, run.run_id) == {run.run_id: address}


@pytest.fixture
def no_timeout(monkeypatch):
    """Disable the timeout, for slow machines; test_copying_process tests it."""
    monkeypatch.setattr(copying_process, "FINISH_SECONDS", 600)


def test_a_training_run_and_its_evaluation_are_copied(
    empty_project, server, tmp_path, no_timeout, run_command, monkeypatch
):
    project = empty_project("mirrored")
    text = project.call("train", dataset="digits", epochs=1, server=server.url)
    (address,) = re.findall(r"^copy   (\S+)$", text, re.MULTILINE)
    (copy,) = copies_on(server).values()
    assert address.startswith(server.url)
    assert address.endswith(f"/{copy.info.run_id}?workflowType=machine_learning")
    assert_equal(project.outputs, server, tmp_path / "trained", count=1)
    project.call("evaluate")
    project.call("evaluate", server=server.url)  # replaces what the first recorded
    (again,) = copies_on(server).values()
    assert again.info.run_id == copy.info.run_id
    assert "with_test_set/digits/accuracy" in again.data.metrics
    assert_equal(project.outputs, server, tmp_path / "evaluated", count=1)

    # Somebody else gets the network with the command in the message.
    elsewhere = empty_project("elsewhere", store=False)
    with pytest.raises(UserError) as error:
        elsewhere.call("evaluate", run=copy.info.run_id, server=server.url)
    _, command = str(error.value).splitlines()
    monkeypatch.chdir(tmp_path)
    run_command(command)
    network = load_trained_network(tmp_path / "model.safetensors")
    assert network.weights_sha256 == copy.data.tags["weights.sha256"]


def test_a_sweep_is_copied_once_with_all_its_children(
    store, record_sweep, server, tmp_path, capfd, no_timeout
):
    record_sweep(store, server=server.url)
    assert capfd.readouterr().out.count("copy   ") == 1
    assert_equal(store, server, tmp_path, count=3)
    (sweep,) = (
        run
        for run in copies_on(server).values()
        if run.data.tags.get("kind") == "sweep"
    )
    views = MlflowClient(server.url).get_experiment(sweep.info.experiment_id).tags
    assert sweep.info.run_id in views[VIEW_TAG + sweep.info.run_id]


def test_a_run_is_copied_before_the_child_that_reuses_it(empty_project, server, worker):
    project = empty_project("reused")
    settings = {"dataset": "digits", "hidden": 5, "epochs": 1}
    project.call("train", seed=1, **settings)
    single = project.run_id()
    overrides = [f"{key}={value}" for key, value in settings.items()]
    project.sweep("train", "seed=1,2", *overrides)
    project.call("sync", server=server.url)
    copies = copies_on(server)
    (child,) = (run for run in copies.values() if "reused_from" in run.data.tags)
    assert child.data.tags["reused_from"] == copies[single].info.run_id
    text = project.call("sync", server=server.url)
    assert text.splitlines()[1] == "digits: 4 already complete"


def test_an_open_run_and_its_closed_children_are_on_the_server(
    store, start_run, server, tmp_path, monkeypatch, no_timeout
):
    monkeypatch.setattr(copying_process, "COPY_SECONDS", 0.1)
    with start_run(store, tags={"kind": "sweep"}, server=server.url) as sweep:
        with sweep.child(RunStart("a", {"hidden": 5}, {}, 1000)) as child:
            child.log_metrics({"val/accuracy": 0.5}, step=1, time=1000)
        sweep.log_metrics({"sweep/best": 0.5}, step=0, time=1000)
        sweep.log_text("a.txt", "a")
        while True:
            copies = copies_on(server)
            if {child.run_id, sweep.run_id} <= copies.keys():
                closed, copied = copies[child.run_id], copies[sweep.run_id]
                files = MlflowClient(server.url).list_artifacts(copied.info.run_id)
                names = [file.path for file in files]
                is_closed = closed.info.status == "FINISHED"
                if is_closed and copied.data.metrics and "a.txt" in names:
                    break
            time.sleep(0.1)
        assert copied.data.metrics == {"sweep/best": 0.5}
        assert closed.data.metrics == {"val/accuracy": 0.5}
        assert copied.info.status == "RUNNING" and "copy.sha256" not in copied.data.tags
    assert_equal(store, server, tmp_path, count=2)


def test_the_first_copy_is_made_earlier_than_the_others(
    store, start_run, server, lasting_helper, monkeypatch
):
    monkeypatch.setattr(copying_process, "COPY_SECONDS", 1000)
    with start_run(store) as run:
        run.log_metrics({"val/accuracy": 0.5}, step=1, time=1000)
        with closing(
            CopyingProcess(store, server.url, lasting_helper.channels[1])
        ) as copying:
            copying.follow(lambda: run.run_id)
            while not any(copy.data.metrics for copy in copies_on(server).values()):
                time.sleep(0.1)


def test_an_interrupted_run_is_marked_killed_on_the_server_too(
    store, start_run, server, monkeypatch, no_timeout, capfd
):
    monkeypatch.setattr(copying_process, "COPY_SECONDS", 0.1)
    with suppress(KeyboardInterrupt), start_run(store, server=server.url) as run:
        while run.run_id not in copies_on(server):
            time.sleep(0.1)
        assert copies_on(server)[run.run_id].info.status == "RUNNING"
        raise KeyboardInterrupt
    assert run.copied and "copy   " in capfd.readouterr().out
    copied = copies_on(server)[run.run_id]
    assert copied.info.status == "KILLED" and copied.info.end_time
    monkeypatch.setattr(copying_process, "FIRST_SECONDS", 60)
    with suppress(KeyboardInterrupt), start_run(store, server=server.url) as run:
        raise KeyboardInterrupt  # before the copying process is started
    assert run.copied is False and run.run_id not in copies_on(server)


def test_only_new_and_complete_data_is_sent(store, start_run, server):
    copies, stored = Copies(open_store(store), server.url), {}

    def files():
        copies.update(find_run(run.run_id, store=store), is_open=True)
        copied = copies_on(server)[run.run_id].info.run_id
        paths = (server.folder / "artifacts").glob(f"*/{copied}/**/?.txt")
        return {path.name: path.stat().st_mtime_ns for path in paths}

    with start_run(store) as run:
        for name in "ab":
            run.log_text(f"{name}.txt", name)
        os.utime(run.artifacts / "a.txt", (1, 1))
        later = time.time() + 1000  # b.txt may be incomplete, however slow this test is
        os.utime(run.artifacts / "b.txt", (later, later))
        (run.artifacts / ".c.txt").write_text("under another name until it is complete")
        stored = files()
        assert stored.keys() == {"a.txt"} and files() == stored
        os.utime(run.artifacts / "b.txt", (1, 1))
        again = files()
        assert again.keys() == {"a.txt", "b.txt"} and again["a.txt"] == stored["a.txt"]
        run.log_text("a.txt", "changed")
        os.utime(run.artifacts / "a.txt", (2, 2))
        assert files()["a.txt"] > stored["a.txt"]


DATASET = {"sha256": "a" * 64, "source": "s", "counts": {"test": 5}}


def test_a_run_without_params_is_copied_with_its_data_sets(
    store, tracker, server, copy, tmp_path
):
    with tracker.reopen_run(run_id=None, weights_sha256="f00d") as run:
        run.log_dataset("d", **DATASET, use="evaluation")
    copy(store)
    (dataset,) = copies_on(server)[run.run_id].inputs.dataset_inputs
    assert dataset.dataset.name == "d"
    assert_equal(store, server, tmp_path, count=1)


def test_data_that_is_added_to_an_open_run_later_is_copied(
    store, start_run, server, tmp_path
):
    copies = Copies(open_store(store), server.url)

    def update(**options):
        copies.update(find_run(run.run_id, store=store), **options)
        inputs = copies_on(server)[run.run_id].inputs.dataset_inputs
        return [each.dataset.name for each in inputs]

    with start_run(store) as run:
        assert update(is_open=True) == []
        run.log_dataset("first", **DATASET, use="training")
        assert update(is_open=True) == ["first"]
        run.log_dataset("second", **DATASET, use="evaluation")
        open_store(store).log_param(run.run_id, "seed", 1)
    assert sorted(update()) == ["first", "second"]
    assert_equal(store, server, tmp_path, count=1)


def test_data_that_is_added_to_a_closed_run_later_is_copied(
    store, start_run, server, tmp_path
):
    copies = Copies(open_store(store), server.url)

    def update():
        return copies.update(find_run(run.run_id, store=store)).state

    with start_run(store) as run:
        pass
    assert (update(), update()) == ("copied", "complete")
    run.log_metrics({"with_test_set/digits/accuracy": 0.9}, step=0)
    assert (update(), update()) == ("copied", "complete")
    run.log_dataset("digits", **DATASET, use="evaluation")
    assert (update(), update()) == ("copied", "complete")
    assert_equal(store, server, tmp_path, count=1)


def test_a_resumed_run_is_open_on_the_server_again(
    store, start_run, server, copy, tmp_path, monkeypatch
):
    monkeypatch.setenv("DVC_EXP_NAME", "first")
    with suppress(ValueError), start_run(store) as run:
        run.log_diff("a patch")  # the code that resumes the run has no such changes
        raise ValueError("disk is full")
    copy(store)
    monkeypatch.delenv("DVC_EXP_NAME")
    first = copies_on(server)[run.run_id].data.tags
    with start_run(store, resume=run.run_id):
        copies = Copies(open_store(store), server.url)
        copies.update(find_run(run.run_id, store=store), is_open=True)
        (copied,) = copies_on(server).values()
        assert copied.info.status == "RUNNING"
        ended = {"error", "copy.sha256", "dvc.experiment"}
        assert first.keys() - copied.data.tags.keys() == ended
    copy(store)
    copied = copies_on(server)[run.run_id]
    assert copied.info.status == "FINISHED"
    assert copied.data.tags["copy.sha256"] != first["copy.sha256"]
    client = MlflowClient(server.url)
    path = client.download_artifacts(copied.info.run_id, "code.diff", str(tmp_path))
    assert Path(path).read_text() == (run.artifacts / "code.diff").read_text()
    assert Path(path).read_text() != "a patch"


def test_a_store_that_cannot_be_read_is_not_an_error_of_the_server(
    store, start_run, server
):
    with start_run(store) as run:
        pass
    recorded = find_run(run.run_id, store=store)
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        database.execute("DROP TABLE latest_metrics")
    copied = Copies(open_store(store), server.url).copy(recorded)
    assert copied.state == "failed"
    assert f"{store}/mlflow.db cannot be read: (sqlite3.Op" in copied.reason


def test_a_copy_without_its_final_status_is_completed(store, start_run, server, copy):
    with start_run(store) as run:
        run.log_metrics({"val/accuracy": 0.5}, step=1, time=1000)
    copy(store)
    (copied,) = copies_on(server).values()
    client = MlflowClient(server.url)
    client.update_run(copied.info.run_id, "RUNNING")  # as if killed before the status
    copy(store)
    (copied,) = copies_on(server).values()
    assert copied.info.status == "FINISHED"


def test_deletions_and_additions_on_one_side_are_kept(store, server, copy):
    source, target = open_store(store), MlflowClient(server.url)

    def closed_run(**tags):
        run_id = source.create_run("1", tags=tags).info.run_id
        source.set_terminated(run_id, "FAILED")
        return run_id

    source.create_run("1")  # an open run is not copied
    failed, unwanted, parent = closed_run(error="full"), closed_run(), closed_run()
    child = closed_run(**{"mlflow.parentRunId": parent})
    lost = closed_run(**{"mlflow.parentRunId": "0" * 32})  # without its parent
    source.delete_run(parent)
    assert set(copy(store)) == set(copies_on(server)) == {failed, unwanted, child, lost}
    copies = copies_on(server)
    assert copies[failed].data.tags["error"] == "full"
    target.delete_run(copies[unwanted].info.run_id)
    target.set_tag(copies[failed].info.run_id, "reviewed", "yes")
    source.delete_tag(failed, "error")  # as when a run is resumed
    source.set_terminated(failed, "FINISHED")
    source.delete_run(lost)
    assert set(copy(store)) == set(copies_on(server)) == {failed, child}
    updated = copies_on(server)[failed]
    assert updated.info.status == "FINISHED"
    assert updated.data.tags["reviewed"] == "yes" and "error" not in updated.data.tags


def test_a_copy_refers_to_the_copy_of_a_run_that_is_copied_later(store, server, copy):
    source = open_store(store)

    def closed_run(**tags):
        run_id = source.create_run("1", tags=tags).info.run_id
        source.set_terminated(run_id, "FINISHED")
        return run_id

    original = closed_run()
    reproduction = closed_run(reproduces=original)
    copies = Copies(source, server.url)  # in the process that sent the first copy too

    def update(run_id):
        return copies.update(find_run(run_id, store=store)).state

    assert (update(reproduction), update(reproduction)) == ("copied", "complete")
    assert copies_on(server)[reproduction].data.tags["reproduces"] == original
    assert (update(original), update(reproduction)) == ("copied", "copied")
    copied = copies_on(server)[original].info.run_id
    assert copies_on(server)[reproduction].data.tags["reproduces"] == copied
    assert update(reproduction) == "complete"

    another = closed_run()
    later = closed_run(reproduces=another)
    copy(store, later)
    assert copies_on(server)[later].data.tags["reproduces"] == another
    copy(store)
    copied = copies_on(server)[another].info.run_id
    assert copies_on(server)[later].data.tags["reproduces"] == copied


def test_a_server_that_stores_artifacts_in_a_folder_receives_no_runs(
    recorded, server, copy, tmp_path
):
    MlflowClient(server.url).create_experiment("digits", str(tmp_path / "stored"))
    with pytest.raises(UserError, match="start it with --artifacts-destination"):
        copy(recorded)
    assert not copies_on(server) and not (tmp_path / "stored").exists()


@pytest.fixture
def synced(empty_project, recorded):
    """A workspace with the recorded runs."""
    project = empty_project("synced", store=False)
    shutil.copytree(recorded, project.outputs, dirs_exist_ok=True)
    return project


def test_sync_says_what_was_copied_and_what_was_skipped_and_why(synced, server):
    source = open_store(synced.outputs)
    running = source.create_run("1", run_name="still open").info.run_id
    lock = synced.outputs / ".locks" / running
    other = source.create_experiment("other")
    source.set_terminated(source.create_run(other).info.run_id)
    with locking.claim(lock, seconds=1.0):
        text = synced.call("sync", server=server.url)
        assert text.splitlines() == [
            f"copies on {server.url}",
            "digits: 4 copied, 1 skipped",
            f"  still open ({running}): it is still running",
            "other: 1 copied",
        ]
        unwanted = next(iter(copies_on(server).values()))
        MlflowClient(server.url).delete_run(unwanted.info.run_id)
        lines = synced.call("sync", server=server.url).splitlines()
        assert lines[1] == "digits: 3 already complete, 2 skipped"
        text = " ".join(" ".join(lines[2:-1]).split())
        assert "its copy was deleted on the server, where you can restore it" in text
        with pytest.raises(UserError, match="was skipped: it is still running"):
            synced.call("sync", server=server.url, run=running)
        with pytest.raises(UserError, match="was skipped: its copy was deleted"):
            synced.call("sync", server=server.url, run=unwanted.data.tags["copy.of"])


def test_a_run_that_a_server_rejects_does_not_hide_the_copies_of_others(
    synced, server, capfd
):
    runs = [*tagged_runs(synced.outputs, "kind", ["training", "sweep"])]
    rejected = next(run for run in runs if run.tags["kind"] == "training").run_id
    with sqlite3.connect(synced.outputs / "mlflow.db") as database:  # MLflow rejects it
        database.execute("INSERT INTO tags VALUES ('a*b', '1', ?)", [rejected])
    reason = f"4 runs were not copied to {server.url}; for example, run {rejected}: "
    with synced.captured() as text, pytest.raises(PartlyFailed) as failed:
        sync(server=server.url)
    assert str(failed.value).startswith(f"1 of {reason}")
    lines = text.getvalue().splitlines()
    assert lines[1] == "digits: 3 copied, 1 failed" and rejected in lines[2]
    copied = {run.run_id for run in runs} - {rejected}
    assert copied < failed.value.result.keys() and len(failed.value.result) == 3
    tracker = Tracker(synced.outputs, server=server.url, experiment="digits")
    assert not tracker.copy(rejected)
    text = " ".join(capfd.readouterr().err.split())
    assert f"the copy of run {rejected} is incomplete: 1 of 1 runs were not" in text


def test_the_copy_of_an_open_run_is_not_reported_as_deleted(synced, server, capfd):
    running = open_store(synced.outputs).create_run("1", run_name="open").info.run_id
    with locking.claim(synced.outputs / ".locks" / running):
        tracker = Tracker(synced.outputs, server=server.url, experiment="digits")
        assert not tracker.copy(running)
        with pytest.raises(UserError, match="was skipped: it is still running"):
            synced.call("sync", server=server.url, run=running)
    text = " ".join(capfd.readouterr().err.split())
    assert f"the copy of run {running} is incomplete: it is still running. To" in text
    client = MlflowClient(server.url)
    assert client.get_experiment_by_name("digits") is None  # nothing was copied


def test_a_quiet_sync_prints_nothing_and_returns_the_url_of_each_copy(
    recorded, server, capfd, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(recorded))
    (run,) = tagged_runs(recorded, "kind", ["training"])
    copies = sync(server=server.url, run=run.run_id, quiet=True)
    assert capfd.readouterr() == ("", "")
    assert [*copies] == [run.run_id]
    assert copies[run.run_id].startswith(server.url)


def test_the_id_of_a_copy_is_rejected_with_the_id_of_its_original(
    recorded, server, copy, store
):
    copy(recorded)
    original, copied = next(iter(copies_on(server).items()))
    with pytest.raises(UserError) as error:
        find_run(copied.info.run_id, store=recorded, server=server.url)
    text = f"run {copied.info.run_id} on {server.url} is the copy of run {original}"
    assert str(error.value) == f"{text}, which is in the store: enter that ID"
    with pytest.raises(UserError, match=f"only on {server.url}, not in the store:"):
        find_run(copied.info.run_id, store=store, server=server.url)


def test_a_run_that_is_only_on_a_server_has_its_own_message(store, server, monkeypatch):
    remote = MlflowClient(server.url).create_run("0").info.run_id
    with pytest.raises(UserError, match="has no run"):
        find_run(remote, store=store)
    finding = (find_run, find_training_run, RecordedSweep.find, read_networks)
    for find in finding:
        with pytest.raises(UserError, match=f"run {remote} is only on {server.url}"):
            find(remote, store=store, server=server.url)
    with pytest.raises(UserError, match=f"run {remote} is only on {server.url}"):
        select_network(run=remote, model=None, store=store, server=server.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    with pytest.raises(UserError, match=f"run {remote} is only on {server.url}"):
        find_run(remote, store=store)
    url = server.url.replace("//", "//me:secret@")  # server= does not accept this URL
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    with pytest.raises(UserError, match="has no run"):
        find_run(remote, store=store)


ALL_FOUR = r"digits: (4 copied|\d copied, \d already complete|4 already complete)"


@pytest.mark.fault
def test_two_concurrent_processes_create_one_copy_of_each_run(synced, server, tmp_path):
    processes = [synced.start("sync", f"server={server.url}") for _ in range(2)]
    for process in processes:
        stdout, stderr = process.communicate(timeout=900)
        assert process.returncode == 0, stderr
        title, counts = stdout.splitlines()
        assert title == f"copies on {server.url}" and re.fullmatch(ALL_FOUR, counts)
    assert_equal(synced.outputs, server, tmp_path, count=4)


@pytest.mark.fault
@pytest.mark.parametrize("killed", ["client", "server"])
def test_copying_that_is_killed_at_any_point_loses_and_duplicates_nothing(
    synced, server, tmp_path, killed
):
    def count():
        return sum(path.is_file() for path in (server.folder / "artifacts").rglob("*"))

    draw = random.Random(7)
    for point in range(COPY_KILLS):
        hide_copies(server)
        end = count() + draw.randrange(1, 12)  # there are more files
        process = synced.start("sync", f"server={server.url}")
        while count() < end and process.poll() is None:
            time.sleep(0.01)
        (process if killed == "client" else server).kill()
        _, stderr = process.communicate(timeout=900)
        status = -signal.SIGKILL if killed == "client" else 1
        assert process.returncode in (status, 0), stderr  # 0: the client was faster
        if killed == "server":
            server.start()
        synced.call("sync", server=server.url)
        assert_equal(synced.outputs, server, tmp_path / str(point), count=4)
