from contextlib import suppress

import mlflow
import numpy as np
import torch
from mlflow.entities import ViewType

from pipeline.tracking.store import path_from_uri


def test_a_model_that_was_incomplete_is_completed_and_gets_a_second_flavor(
    store, client, start_run, network_file, tmp_path
):
    models = []
    for _ in range(3):  # killed while recording, killed afterwards, finished
        with suppress(KeyboardInterrupt), start_run(store) as run:
            if models:
                run.log_model(network_file)
            else:
                client.create_logged_model("1", "model", run.id)
            models += client.search_logged_models(["1"])
            if len(models) < 3:
                raise KeyboardInterrupt
    assert [model.status for model in models] == ["PENDING", "READY", "READY"]
    assert len({model.model_id for model in models}) == 1
    (output,) = client.get_run(run.id).outputs.model_outputs
    assert output.model_id == models[0].model_id
    program = torch.export.export(torch.nn.Linear(3, 2), (torch.zeros(2, 3),))
    torch.export.save(program, tmp_path / "exported.pt2")
    run.log_model(network_file, tmp_path / "exported.pt2")
    folder = path_from_uri(models[0].artifact_location)
    layer = mlflow.pytorch.load_model(folder)
    assert layer(torch.zeros(2, 3)).shape == (2, 2)
    pixels = np.zeros((3, 28, 28), np.float32)
    assert mlflow.pyfunc.load_model(folder).predict(pixels).shape == (3, 10)


def test_a_child_is_complete_or_removed_when_its_sweep_is_resumed(
    store, client, tracker, start_run
):
    setting = {"params": {"hidden": 5}, "start": 1000, "end": 3000}
    tags = {"identity": "d1-5", "host": "a worker"}
    history = [(e, 1000 + e, {"val/loss": 1 / e, "val/accuracy": 0.5}) for e in (1, 2)]
    with suppress(KeyboardInterrupt), start_run(store, lease="sweeps/1") as sweep:
        with sweep.child(name="hidden=5", tags=tags, **setting) as child:
            assert client.get_run(child.id).info.status == "RUNNING"
            child.log_history(history * 300)  # more than MLflow accepts at once
        failed = {"name": "hidden=6", "params": {}, "error": "no memory"}
        with sweep.child(tags=tags, **failed) as incomplete:
            incomplete.log_text("error.txt", "line 1")
        with sweep.child(name="hidden=7", tags=tags, **setting) as incomplete:
            raise KeyboardInterrupt
    assert client.get_run(incomplete.id).info.status == "KILLED"
    with start_run(store, lease="sweeps/1") as resumed:
        assert resumed.id == sweep.id
        resumed.delete_unfinished_children({"host": "of a user"})
        assert client.get_run(incomplete.id).info.lifecycle_stage == "active"
        resumed.delete_unfinished_children(tags)
    (failed,) = (run for run in sweep.children() if run.status == "FAILED")
    assert (failed.status, failed.tags["error"]) == ("FAILED", "no memory")
    assert (failed.folder / "error.txt").read_text() == "line 1"
    sweep.reopen_child(child.id).set_tags({"best": "yes"})
    (finished,) = (run for run in sweep.children() if run.status == "FINISHED")
    assert finished.tags["best"] == "yes"
    assert (finished.run_id, finished.tags["host"]) == (child.id, "a worker")
    assert finished.folder == child.folder
    info, data = client.get_run(child.id).info, client.get_run(child.id).data
    assert (info.run_name, info.status) == ("hidden=5", "FINISHED")
    assert (info.start_time, info.end_time) == (1000, 3000)
    assert data.params == {"hidden": "5"}
    assert data.metrics == {"val/loss": 0.5, "val/accuracy": 0.5}
    assert len(client.get_metric_history(child.id, "val/loss")) == 2
    assert tracker.finished_trainings("d1-") == {"d1-5": finished}
    assert tracker.finished_trainings("d2-") == {}
    assert len(client.search_runs(["1"], run_view_type=ViewType.ACTIVE_ONLY)) == 3
