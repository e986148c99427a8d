import json
import math
import shutil
import sqlite3
import sys
import threading
import time
from contextlib import closing
from datetime import datetime
from functools import partial

import pytest
from mlflow.exceptions import MlflowException

from pipeline import UserError, tracking
from pipeline.base import locking
from pipeline.base.locking import Level
from pipeline.records.metric_names import REQUIRED
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.store.client import open_store
from pipeline.tracking.store.database import metric_points, open_runs, runs_to_copy
from pipeline.tracking.store.location import path_from_uri
from pipeline.tracking.store.mlflow_calls import using_mlflow
from pipeline.tracking.store.sqlite import relocated, require_store
from pipeline.tracking.ui import newest_list, serve_ui


def test_a_store_that_cannot_be_used_is_rejected_with_the_remedy(store, tmp_path):
    open_store(store).find_or_create_experiment("digits")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(store / "mlflow.db", other)
    with pytest.raises(UserError, match="move mlflow-artifacts to the same folder"):
        open_store(other)
    (other / "mlflow.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(UserError, match=r"mlflow\.db cannot be read: .*not a database"):
        open_store(other)


@pytest.mark.parametrize("records", ["this process", "another process"])
def test_a_deleted_experiment_gets_no_runs_but_those_of_others_can_be_read(
    store, client, start_run, run_command, monkeypatch, records
):
    tags = {"weights.sha256": "f00d"}
    with start_run(store, tags=tags, experiment="another") as run:
        run.log_text("train/model.safetensors", "")
    client.delete_experiment("1")
    found = tracking.find_training_run(run.run_id, store=store)
    assert (found.run_id, found.experiment) == (run.run_id, "another")
    tracker = tracking.new_tracker(store, server=None, experiment="digits")
    with tracker.reopen_run(run_id=None, weights_sha256="f00d") as reopened:
        assert reopened.run_id == run.run_id
    assert newest_list(client).startswith("#/experiments/2/")
    if records == "another process":
        monkeypatch.delitem(sys.modules, "mlflow")
    with (
        pytest.raises(UserError, match=r"'digits' .* was deleted: rest") as rejected,
        tracking.start_tracker(store, server=None, experiment="digits") as tracker,
        tracker.start_run(name="a name", params={}, tags={}, time=1000) as run,
    ):
        run.wait()
    run_command(str(rejected.value).partition("(")[2].partition(")")[0])
    with start_run(store):
        pass


def test_a_store_that_was_moved_finds_its_artifacts_again(recorded, tmp_path, capsys):
    folder = tmp_path / ("mit Leerzeichen, ü, # und ? " + "x" * 170)
    shutil.copytree(recorded, folder)
    (run,) = tracking.tagged_runs(folder, "tag7", ["7"])
    artifacts = folder / "mlflow-artifacts" / "digits" / run.run_id / "artifacts"
    assert run.artifacts == artifacts
    assert (artifacts / "config.yaml").read_text() == "hidden: 20\n"
    client = open_store(folder)
    (model,) = client.search_logged_models(["1"])
    model_folder = path_from_uri(model.artifact_location)
    assert folder in model_folder.parents and (model_folder / "MLmodel").exists()
    assert capsys.readouterr().err.count("was moved or copied") == 1


def test_a_store_that_was_moved_and_cannot_be_written_is_reported(recorded, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(recorded, folder)
    trigger = "CREATE TRIGGER full BEFORE UPDATE ON experiments"
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        database.execute(f"{trigger} BEGIN SELECT RAISE(ABORT, 'no space'); END")
    with pytest.raises(UserError, match=r"mlflow\.db cannot be written: no space$"):
        require_store(folder)


def test_only_the_artifacts_of_the_store_itself_move_with_it(recorded, tmp_path):
    theirs = "file:///elsewhere/mlflow-artifacts/theirs"
    folder = tmp_path / "store"
    shutil.copytree(recorded, folder)
    open_store(folder).create_experiment("theirs", theirs)
    moved = folder.rename(tmp_path / "moved")
    client = open_store(moved)
    assert client.get_experiment_by_name("theirs").artifact_location == theirs
    (run,) = tracking.tagged_runs(moved, "tag7", ["7"])
    assert run.artifacts.is_relative_to(moved)


def test_points_that_are_read_again_are_equal_even_if_a_value_is_nan(recorded):
    runs = runs_to_copy(recorded, None)
    first, second = (
        {point for run in runs for point in metric_points(recorded, run.run_id)}
        for _ in range(2)
    )
    assert first == second and any(math.isnan(point.value) for point in first)


def test_an_error_of_the_database_is_reported_in_one_line_with_its_name(
    store, start_run, capsys
):
    with (
        pytest.raises(UserError, match=r"mlflow\.db cannot be written: ") as error,
        start_run(store) as run,
    ):
        (store / "mlflow.db").write_bytes(b"not a database any more" * 1000)
        run.opened.record(MlflowRun.log_metrics, {"val/loss": 1.0}, step=1, time=1000)
    assert "\n" not in str(error.value)
    assert f"run {run.run_id} could not be marked FAILED" in capsys.readouterr().err


def test_an_error_of_mlflow_without_a_text_is_reported_with_its_type(store):
    message = r"mlflow\.db cannot be written: MlflowException$"
    with pytest.raises(UserError, match=message), using_mlflow(store):
        raise MlflowException("")


def test_a_store_that_cannot_be_used_is_rejected_before_the_work(store, monkeypatch):
    (store / "mlflow.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(UserError, match=r"mlflow\.db cannot be read"):
        tracking.new_tracker(store, server=None, experiment="digits")
    monkeypatch.delitem(sys.modules, "mlflow")  # another process would record the run
    prepared = tracking.start_tracker(store, server=None, experiment="digits")
    with pytest.raises(UserError, match=r"mlflow\.db cannot be read"), prepared:
        pass


def test_a_database_that_cannot_be_read_is_not_a_run_that_is_missing(store):
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        database.execute("DROP TABLE runs")
    for read in (
        partial(tracking.find_training_run, "0" * 32, store=store),
        partial(tracking.tagged_runs, store, "kind", ["sweep"]),
        serve_ui(store, run=None).__enter__,
    ):
        with pytest.raises(
            UserError, match=r"^\S+\.db cannot be read: .*no such (table|column)"
        ):
            read()


def test_a_read_waits_for_another_program_that_writes(store):
    with closing(
        sqlite3.connect(store / "mlflow.db", check_same_thread=False)
    ) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        end = threading.Timer(6, writer.rollback)  # Python itself waits for 5 s
        end.start()
        assert tracking.tagged_runs(store, "kind", ["sweep"]) == []
        assert time.monotonic() - start > 5
        end.join()


def test_reading_a_store_that_was_moved_needs_no_lock_and_changes_nothing(
    recorded, tmp_path
):
    folder = tmp_path / "store"
    shutil.copytree(recorded, folder)
    content = (folder / "mlflow.db").read_bytes()
    with locking.lock(tmp_path / "lock", Level.DATASET, waiting=""):
        (run,) = tracking.tagged_runs(folder, "tag7", ["7"])
    assert (run.artifacts / "config.yaml").is_relative_to(folder)
    assert (run.artifacts / "config.yaml").exists()
    assert (folder / "mlflow.db").read_bytes() == content


def test_a_tracking_uri_of_another_store_is_reported_as_not_used(
    store, monkeypatch, capsys
):
    own = f"{store}/mlflow.db"
    for address in ("", "http://127.0.0.1:9", own, f"sqlite:///{own}"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        tracking.new_tracker(store, server=None, experiment="digits")
    assert not capsys.readouterr().out
    for address in ("sqlite:///other.db", "postgresql://me:secret@host/x"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        tracking.new_tracker(store, server=None, experiment="digits")
        printed = " ".join(capsys.readouterr().out.split())
        assert printed.startswith(f"runs are recorded in {own}, not in")
        assert "secret" not in printed


def test_only_the_artifacts_below_the_root_move_with_a_store():
    root, other = "file:///a/mlflow-artifacts", "file:///b/mlflow-artifacts"
    for below in ("", "/1", "/mlflow-artifacts/1"):
        assert relocated(root + below, root, other) == other + below
    for uri in (f"{root}-2/1", f"s3://bucket/{root}/1"):
        assert relocated(uri, root, other) == uri


def test_the_experiment_can_be_named_and_moves_with_its_store(
    store, tmp_path, start_run, monkeypatch
):
    with start_run(store) as default:
        default.log_text("a.txt", "")
    with start_run(store, experiment="../a team's digits"):
        pass
    shutil.copytree(store, tmp_path / "moved")
    for name in ("", "digits"):
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
        moved = open_store(tmp_path / "moved")
        page = newest_list(moved)
        expected = moved.get_experiment_by_name(name or "../a team's digits")
        assert page.startswith(f"#/experiments/{expected.experiment_id}/")
        folders = [run.artifacts for run in runs_to_copy(moved.store, None)]
        artifacts = tmp_path / "moved" / "mlflow-artifacts"
        assert [folder.parents[2] for folder in folders] == [artifacts] * 2
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "a third")
        with pytest.raises(UserError, match=r"got 'a third': choose from .*digits"):
            newest_list(moved)
        # The name of another experiment changes no run that is resumed.
        other = {"resume": default.run_id, "experiment": "a third"}
        with start_run(tmp_path / "moved", **other) as resumed:
            assert resumed.run_id == default.run_id


def test_a_run_is_found_by_a_prefix_of_its_id_or_by_its_name(store, start_run):
    runs = []
    for name in ("hidden=5 'a'", "'6\"%", "twice", "twice"):
        with start_run(store, name=name) as run:
            run.log_text("train/model.safetensors", "")
        runs.append(run)
    scores = json.dumps(dict.fromkeys(REQUIRED, 0.925))
    run.log_text("train/metrics.json", scores)
    for run, name in zip(runs, ("hidden=5 'a'", "'6\"%"), strict=False):
        for text in (run.run_id, run.run_id[:12], name):
            recorded = tracking.find_training_run(text, store=store)
            assert recorded.run_id == run.run_id
            assert recorded.network_path.exists()
    assert tracking.find_run("twice #2", store=store).run_id == runs[3].run_id
    open_store(store).update_run(runs[3].run_id, name="twice")  # as in MLflow's UI
    with pytest.raises(UserError, match="'twice' matches several runs: ent") as error:
        tracking.find_training_run("twice", store=store)
    _, *lines = str(error.value).splitlines()
    today = datetime.now().strftime("%Y-%m-%d")
    assert {line.split()[0] for line in lines} == {run.run_id for run in runs[2:]}
    assert all(line.split()[1] == today for line in lines)
    results = ("92.50%  twice", "FINISHED  twice")
    assert all(text in line for text, line in zip(results, lines, strict=True))
    open_store(store).delete_run(runs[2].run_id)
    assert tracking.find_training_run("twice", store=store).run_id == runs[3].run_id
    for text in ("0" * 32, "%", "_" * 32, "\"'", "\\", "", "x\x1b", "f" * 33):
        with pytest.raises(UserError, match=r"has no run .*: enter the ID"):
            tracking.find_training_run(text, store=store)


def test_a_name_is_preferred_to_the_prefix_of_an_id(store, start_run):
    with start_run(store) as other:
        pass
    with start_run(store, name=other.run_id[:3]) as named:
        pass
    assert tracking.find_run(other.run_id[:3], store=store).run_id == named.run_id


def test_a_store_without_an_experiment_has_no_runs(store):
    with sqlite3.connect(store / "mlflow.db") as connection:
        connection.execute("DELETE FROM experiments")
    with pytest.raises(UserError, match="has no run 'a'"):
        tracking.find_run("a", store=store)


def test_a_run_of_a_deleted_experiment_has_its_own_message(store, start_run):
    with start_run(store, experiment="a team") as run:
        pass
    client = open_store(store)
    client.delete_experiment(client.get_experiment_by_name("a team").experiment_id)
    with pytest.raises(UserError, match="belongs to the experiment 'a team', which wa"):
        tracking.find_run(run.run_id, store=store)


def test_a_deleted_run_is_rejected_with_the_command_that_restores_it(
    store, start_run, run_command
):
    with start_run(store, name="a name") as run:
        run.log_text("train/model.safetensors", "")
    open_store(store).delete_run(run.run_id)
    for text in (run.run_id, run.run_id[:12], "a name"):
        with pytest.raises(
            UserError, match=f"run {run.run_id} was deleted: "
        ) as rejected:
            tracking.find_training_run(text, store=store)
    with pytest.raises(UserError, match="has no run ''"):
        tracking.find_training_run("", store=store)
    run_command(str(rejected.value).partition("(")[2].removesuffix(")"))
    assert tracking.find_training_run("a name", store=store).run_id == run.run_id


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("training", r"is FINISHED and has no network$"),
        ("sweep", r"is a sweep: enter the ID or the name of one of its child runs, "),
    ],
)
def test_a_run_without_a_network_is_rejected_with_the_reason(
    store, start_run, kind, message
):
    with start_run(store, tags={"kind": kind}) as run:
        pass
    with pytest.raises(UserError, match=message):
        tracking.find_training_run(run.run_id, store=store)


def test_a_network_of_a_failed_run_is_found_with_the_reason_of_the_failure(
    store, start_run, capsys
):
    with start_run(store) as run:
        run.log_text("train/model.safetensors", "")
    tracking.find_training_run(run.run_id, store=store)
    assert "FAILED" not in capsys.readouterr().out
    run.client.set_tag(run.run_id, "error", "its history is damaged")
    run.client.set_terminated(run.run_id, "FAILED")
    found = tracking.find_training_run(run.run_id, store=store)
    assert found.run_id == run.run_id
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.endswith(f"({run.run_id}) is FAILED: its history is damaged")


def test_a_run_without_tags_is_read_with_none(store, client):
    run = client.create_run("1")
    for key in client.get_run(run.info.run_id).data.tags:
        client.delete_tag(run.info.run_id, key)
    (recorded,) = open_runs(store)
    assert recorded.run_id == run.info.run_id and recorded.tags == {}
