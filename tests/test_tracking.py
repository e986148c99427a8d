import shutil

import pytest

from pipeline import tracking

PARAMS = {"hidden": 20}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An initialised store; making one takes seconds, copying it none."""
    store = tmp_path_factory.mktemp("store")
    tracking._open(store)
    return store


@pytest.fixture
def store(empty_store, tmp_path):
    shutil.copy(empty_store / "mlflow.db", tmp_path)
    return tmp_path


def opened(store, **more):
    return tracking.run(store=store, name="a name", params=PARAMS, tags={}, **more)


def found(store):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    return client, client.search_runs(["1"])


def test_a_run_that_ends_is_finished_with_name_params_metrics_and_tags(store):
    with opened(store) as run:
        run.log_metrics({"val/loss": 0.25, "val/accuracy": 0.5}, step=3)
        run.describe("in words")
    client, (kept,) = found(store)
    assert kept.info.run_id == run.id
    assert (kept.info.status, kept.info.run_name) == ("FINISHED", "a name")
    assert kept.data.params == {"hidden": "20"}
    assert kept.data.metrics == {"val/loss": 0.25, "val/accuracy": 0.5}
    assert kept.data.tags["mlflow.note.content"] == "in words"
    assert client.get_metric_history(run.id, "val/loss")[0].step == 3


def test_a_run_that_fails_is_failed_and_says_why(store):
    with pytest.raises(FloatingPointError), opened(store):
        raise FloatingPointError("the loss is no number")
    _, (kept,) = found(store)
    assert kept.info.status == "FAILED"
    assert kept.data.tags["error"] == "FloatingPointError: the loss is no number"


def test_a_run_that_is_interrupted_is_killed(store):
    with pytest.raises(KeyboardInterrupt), opened(store):
        raise KeyboardInterrupt
    _, (kept,) = found(store)
    assert kept.info.status == "KILLED"


def test_settings_meant_for_other_programs_lead_no_run_astray(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with opened(store) as run:
        run.log_metrics({"val/loss": 1.0}, step=1)
    _, (kept,) = found(store)
    assert (kept.info.run_id, kept.info.experiment_id) == (run.id, "1")


def test_a_deleted_experiment_says_how_to_restore_it(store):
    client, _ = found(store)
    client.delete_experiment("1")
    with pytest.raises(ValueError, match="mlflow experiments restore"), opened(store):
        pass


def test_a_store_that_is_no_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    with (
        pytest.raises(ValueError, match=r"mlflow\.db can't be opened"),
        opened(tmp_path),
    ):
        pass


def test_an_untracked_run_takes_all_that_a_run_takes():
    with opened(None) as run:
        for name in vars(tracking.Run):
            if name.startswith("log_") or name in ("set_tags", "describe"):
                getattr(run, name)("anything", step=1)
    assert run.id is None
    assert "not recorded" in run.epilogue()


def test_provenance_names_commit_versions_and_processor():
    known = tracking.provenance()
    assert len(known["git.commit"]) == 40 or known["git.commit"] == "none"
    assert known["version.python"].startswith("3.")
    assert known["version.torch"] and known["processor"]
    assert "+" not in known["version.torch"]


def test_packages_are_listed_with_their_versions():
    assert "\nmlflow==3." in tracking.packages()
