import re
import resource
from contextlib import suppress
from importlib.metadata import version

import mlflow
import numpy as np
import pytest
import torch
from mlflow.entities import ViewType

from pipeline.base.paths import ROOT
from pipeline.records.tags import PROJECT_TAG
from pipeline.tracking import ModelData, RunStart, StepMetrics, children_of
from pipeline.tracking.store.location import path_from_uri


def test_a_model_that_was_incomplete_is_completed_and_has_both_flavors(
    store, client, start_run, network_files
):
    models, run_id = [], None
    for _ in range(3):  # killed while recording, killed afterward, finished
        with suppress(KeyboardInterrupt), start_run(store, resume=run_id) as run:
            run_id = run.run_id
            if models:
                points = [StepMetrics(2, 1000, {"val/loss": 0.5})]
                run.log_model(ModelData(*network_files, points, "d", "a"))
            else:
                client.create_logged_model("1", "of a user", run.run_id)
                client.create_logged_model("1", "model", run.run_id)
            models += client.search_logged_models(["1"], "name = 'model'")
            if len(models) < 3:
                raise KeyboardInterrupt
    assert [model.status for model in models] == ["PENDING", "READY", "READY"]
    assert len({model.model_id for model in models}) == 1
    (output,) = client.get_run(run.run_id).outputs.model_outputs
    assert output.model_id == models[0].model_id
    folder, pixels = path_from_uri(models[0].artifact_location), np.zeros((3, 28, 28))
    program = mlflow.pytorch.load_model(folder)
    pixels = pixels.astype(np.float32)
    expected = program(torch.from_numpy(pixels))
    predicted = mlflow.pyfunc.load_model(folder).predict(pixels)
    assert predicted.shape == (3, 10)
    torch.testing.assert_close(expected, torch.from_numpy(predicted))


def test_an_artifact_that_cannot_be_written_completely_is_absent(
    store, start_run, tmp_path
):
    path, (_, most) = tmp_path / "large", resource.getrlimit(resource.RLIMIT_FSIZE)
    path.write_bytes(bytes(100_000))
    with start_run(store) as run:
        before = {*run.artifacts.rglob("*")}
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, most))  # as on a full disk
        try:
            with pytest.raises(OSError, match="File too large"):
                run.log_files("evaluate", [path])
            with pytest.raises(OSError, match="File too large"):
                run.log_text("large.txt", "a" * 100_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        after = {*run.artifacts.rglob("*")}
        assert not [path for path in after - before if path.is_file()]
        run.log_files("evaluate", [path])
        assert (run.artifacts / "evaluate" / "large").stat().st_size == 100_000


def test_a_child_is_complete_or_removed_when_its_sweep_is_resumed(
    store, client, start_run
):
    setting = {"params": {"hidden": 5}, "time": 1000}
    tags = {"sweep": "the sweep's ID", "fingerprint": "5", "host": "a worker"}
    points = [
        StepMetrics(e, 1000 + e, {"val/loss": 1 / e, "val/accuracy": 0.5})
        for e in (1, 2)
    ]
    with suppress(KeyboardInterrupt), start_run(store) as sweep:
        start = RunStart("hidden=5", tags=tags, **setting)
        with sweep.child(start, end=3000) as child:
            assert client.get_run(child.run_id).info.status == "RUNNING"
            child.log_points(points * 300)  # more than MLflow accepts at once
        with sweep.child(RunStart("hidden=6", {}, tags, 1000)) as failed:
            failed.fail("no memory")
            failed.log_text("error.txt", "line 1")
        of_a_user = client.create_run("1", tags={"mlflow.parentRunId": sweep.run_id})
        start = RunStart("hidden=7", tags=tags, **setting)
        with sweep.child(start, end=3000) as incomplete:
            raise KeyboardInterrupt
    assert client.get_run(incomplete.run_id).info.status == "KILLED"
    with start_run(store, resume=sweep.run_id) as resumed:
        assert resumed.run_id == sweep.run_id
    assert client.get_run(incomplete.run_id).info.lifecycle_stage == "deleted"
    assert client.get_run(of_a_user.info.run_id).info.status == "RUNNING"
    recorded = {run.status: run for run in children_of(store, sweep.run_id)}
    failed, finished = recorded["FAILED"], recorded["FINISHED"]
    assert failed.tags["error"] == "no memory"
    assert (failed.artifacts / "error.txt").read_text() == "line 1"
    sweep.reopen_child(child.run_id).set_tags({"best": "yes"})
    assert client.get_run(child.run_id).data.tags["best"] == "yes"
    assert (finished.run_id, finished.tags["host"]) == (child.run_id, "a worker")
    assert finished.tags[PROJECT_TAG] == version("digit-pipeline")
    assert finished.artifacts == child.artifacts
    info, data = client.get_run(child.run_id).info, client.get_run(child.run_id).data
    assert (info.run_name, info.status) == ("hidden=5", "FINISHED")
    assert (info.start_time, info.end_time) == (1000, 3000)
    assert data.params == {"hidden": "5"}
    assert data.metrics == {"val/loss": 0.5, "val/accuracy": 0.5}
    assert len(client.get_metric_history(child.run_id, "val/loss")) == 2
    assert len(client.search_runs(["1"], run_view_type=ViewType.ACTIVE_ONLY)) == 4


def test_the_description_of_a_new_child_has_all_that_was_added(
    store, client, start_run
):
    new = RunStart("a", {}, {}, 1000)
    with start_run(store) as sweep, sweep.child(new) as child:
        child.describe("text", {"a": "A"})
        child.add_links({"b": "B"})
        child.add_results({"c": "C"})
    note = client.get_run(child.run_id).data.tags["mlflow.note.content"]
    assert note == "A · B\n\ntext\n\n- **c**: C"


def test_equal_names_of_runs_get_numbers(store, client, start_run):
    for _ in range(2):
        with start_run(store, name="lr=1%") as run:
            with run.child(RunStart("lr=1%", {}, {}, 1000)):
                pass
            with run.child(RunStart("lr=1", {}, {}, 1000)):
                pass
    runs = client.search_runs(["1"], order_by=["start_time"])
    names = {run.info.run_name for run in runs}
    assert names == {"lr=1%", "lr=1% #2", "lr=1", "lr=1% #3", "lr=1% #4", "lr=1 #2"}
    client.delete_run(run.run_id)
    with start_run(store, name="lr=1%") as run:
        assert run.label == f"lr=1% #3 ({run.run_id})"


def test_models_are_ranked_with_the_lines_of_the_documents(
    store, client, start_run, network_files
):
    accuracies = {}
    for accuracy in (0.5, 0.9, 0.7):
        with start_run(store) as run:
            history = [StepMetrics(0, 1000, {"val/accuracy": accuracy})]
            run.log_model(ModelData(*network_files, history, "d", "a"))
            accuracies[run.run_id] = accuracy
    text = (ROOT / "pipeline" / "tracking" / "README.md").read_text()
    (line,) = re.findall(r"^best_first = .*$", text, re.MULTILINE)
    names = {}
    exec(line, names)
    models = client.search_logged_models(["1"], order_by=names["best_first"])
    assert [accuracies[m.source_run_id] for m in models] == [0.9, 0.7, 0.5]
