from inspect import isfunction

from pipeline import tracking
from pipeline.tracking.interface import Run, Tracker
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.mlflow_tracker import MlflowTracker


def test_the_implementation_for_mlflow_overrides_all_methods():
    for interface, mlflow in ((Run, MlflowRun), (Tracker, MlflowTracker)):
        methods = {name for name, each in vars(interface).items() if isfunction(each)}
        assert methods and methods <= vars(mlflow).keys()


def test_without_mlflow_nothing_is_recorded_and_the_hint_says_so(tmp_path):
    tracker = tracking.open_tracker("none", tmp_path, server="http://127.0.0.1:9")
    lease = "digest/one"
    with tracker.start_run(name="a", params={}, tags={}, lease=lease) as run:
        run.log_text("config.yaml", "hidden: 20")
        with run.child(name="b", params={}, tags={}, start=0, end=1) as child:
            child.log_history([(1, 0, {"val/loss": 0.5})])
        assert (run.id, run.children(), child.folder) == (None, [], None)
    assert run.viewing_hint() == "run    not recorded (tracking=none)\n"
    with tracker.reopen_run(run_id="0" * 32, weights_sha256="f00d") as reopened:
        reopened.set_tags({"a": "b"})
    assert tracker.finished_run(lease=lease) is None and tracker.leases("") == []
    assert tracker.finished_trainings("") == {}
    assert not [*tmp_path.iterdir()]
