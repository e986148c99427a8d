import json
from contextlib import suppress

import pytest
from mlflow.entities import LoggedModelOutput, ViewType

from pipeline.tracking import ChildResult
from pipeline.tracking.store import recorded_run


def test_a_table_that_is_recorded_again_replaces_the_first(store, client, start_run):
    with start_run(store) as run:
        for label in (7, 9):
            run.log_table("table.json", [{"label": label, "answer": 1}])
    folder = recorded_run(client.get_run(run.id)).folder
    table = json.loads((folder / "table.json").read_text())
    assert table == {"columns": ["label", "answer"], "data": [[9, 1]]}


def test_an_incomplete_model_is_recorded_again_and_a_complete_one_is_not(
    store, client, start_run, network_file
):
    models = []
    for _ in range(3):  # killed while recording, killed afterwards, finished
        with suppress(KeyboardInterrupt), start_run(store) as run:
            if not models:
                begun = client.create_logged_model("1", "model", run.id)
                client.log_outputs(run.id, [LoggedModelOutput(begun.model_id, 0)])
            else:
                run.log_model(network_file)
            models.append(client.search_logged_models(["1"]))
            if len(models) < 3:
                raise KeyboardInterrupt
    assert [model.status for (model,) in models] == ["PENDING", "READY", "READY"]
    assert models[0][0].model_id != models[1][0].model_id == models[2][0].model_id


@pytest.mark.parametrize(
    ("statuses", "error", "remaining"),
    [
        (["FAILED", "KILLED", "FINISHED"], "", "FINISHED"),
        (["FAILED", "KILLED"], "out of memory", "FAILED"),
        ([], "hidden < 1", "FAILED"),
    ],
)
def test_reconciling_leaves_one_child_for_a_setting_in_the_comparison(
    store, client, start_run, statuses, error, remaining
):
    with start_run(store, lease="sweeps/1") as sweep:
        for status in statuses:
            tags = {**sweep.child_tags(), "setting": "hidden=5"}
            run_id = client.create_run("1", tags=tags).info.run_id
            client.set_terminated(run_id, status)
        sweep.reconcile([ChildResult("hidden=5", {"hidden": "5"}, {}, error)])
        (child,) = sweep.children()
        link = f"#/compare-runs?runs=%5B%22{child.run_id}%22%5D&experiments=%5B%221%22"
        assert sweep.comparison_link().startswith(link)
    assert (child.status, child.tags["setting"]) == (remaining, "hidden=5")
    assert child.tags.get("error", "") == error
    assert client.get_run(child.run_id).data.params == (
        {"hidden": "5"} if error else {}
    )


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
        sweep.fail_child(name="hidden=6", params={}, tags=tags, error="no memory")
        with sweep.child(name="hidden=7", tags=tags, **setting) as incomplete:
            raise KeyboardInterrupt
    assert client.get_run(incomplete.id).info.status == "KILLED"
    with start_run(store, lease="sweeps/1") as resumed:
        assert resumed.id == sweep.id
        resumed.delete_unfinished_children()
    finished, failed = sorted(sweep.children(), key=lambda run: run.status)[::-1]
    assert (failed.status, failed.tags["error"]) == ("FAILED", "no memory")
    assert (finished.run_id, finished.tags["host"]) == (child.id, "a worker")
    assert finished.folder == child.folder
    info, data = client.get_run(child.id).info, client.get_run(child.id).data
    assert (info.run_name, info.status) == ("hidden=5", "FINISHED")
    assert (info.start_time, info.end_time) == (1000, 3000)
    assert (data.params, data.metrics) == ({"hidden": "5"}, finished.metrics)
    assert len(client.get_metric_history(child.id, "val/loss")) == 2
    assert tracker.finished_trainings("d1-") == {"d1-5": finished}
    assert tracker.finished_trainings("d2-") == {}
    assert len(client.search_runs(["1"], run_view_type=ViewType.ACTIVE_ONLY)) == 3
