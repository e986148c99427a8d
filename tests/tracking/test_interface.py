from inspect import isfunction

import torch
from PIL import Image

from pipeline import tracking
from pipeline.tracking.interface import Run, Tracker
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.mlflow_tracker import MlflowTracker


def test_the_implementation_for_mlflow_overrides_all_methods():
    for interface, mlflow in ((Run, MlflowRun), (Tracker, MlflowTracker)):
        methods = {name for name, each in vars(interface).items() if isfunction(each)}
        assert methods and methods <= vars(mlflow).keys()


def test_without_mlflow_a_run_accepts_everything_and_says_that_nothing_was_recorded(
    tmp_path,
):
    tracker = tracking.open_tracker("none", tmp_path, server="http://127.0.0.1:9")
    lease = "digest/one"
    with tracker.start_run(name="a", params={}, tags={}, lease=lease) as run:
        run.log_metrics({"val/loss": 1.0}, step=1, time=1000)
        run.log_image("templates", Image.new("RGB", (9, 9)), step=1)
        run.log_text("config.yaml", "hidden: 20")
        run.log_files("train", [tmp_path / "missing"])
        run.log_table("table.json", [{"label": 1}])
        run.log_model(torch.nn.Linear(784, 10), torch.zeros(2, 28, 28))
        run.log_dataset("d", sha256="0", source="s", counts={}, use="training")
        run.set_tags({"a": "b"})
        run.describe("text")
        run.reconcile("hidden=5", [], params={}, tags={}, error="failed")
        assert (run.id, run.children(), run.child_tags()) == (None, [], {})
        assert run.comparison_link() == ""
    assert run.viewing_hint() == "run    not recorded (tracking=none)\n"
    with tracker.reopen_run(run_id="0" * 32, weights_sha256="f00d") as reopened:
        reopened.set_tags({"a": "b"})
    assert tracker.finished_run(lease=lease) is None and tracker.leases("") == []
    assert not [*tmp_path.iterdir()]
