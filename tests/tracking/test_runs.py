import platform
import shutil
from contextlib import suppress

import pytest
import torch
from PIL import Image

from pipeline import files, tracking
from pipeline.model.network import Network
from pipeline.tracking import mirror

PARAMS = {"hidden": 20}


@pytest.fixture
def store(empty_store, tmp_path):
    empty_store(tmp_path)
    return tmp_path


def opened(store, *, claim="digest/one", tags=None):
    return tracking.start_run(
        store=store,
        name="a name",
        params=PARAMS,
        tags=tags or {},
        claim=claim,
        server=None,
    )


def found(store):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    return client, client.search_runs(["1"])


def test_a_run_that_ends_is_finished_with_name_params_metrics_and_tags(store):
    with opened(store) as run:
        run.log_metrics({"val/loss": 0.25, "val/accuracy": 0.5}, step=3, time=1000)
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


def test_a_run_is_carried_on_by_the_claim_that_opened_it(store):
    points = []
    for number in (1, 2):
        try:
            with opened(store) as run:
                run.log_metrics({"val/loss": 0.5}, step=1, time=1000)
                run.log_image("weights/templates", Image.new("RGB", (9, 9)), step=1)
                points.append(run.id)
                if number == 1:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
    client, (kept,) = found(store)
    assert points == [kept.info.run_id] * 2
    assert kept.info.status == "FINISHED"
    # What was recorded before and again stands once.
    assert len(client.get_metric_history(kept.info.run_id, "val/loss")) == 1
    pictures = client.list_artifacts(kept.info.run_id, "images")
    assert len([file for file in pictures if file.path.endswith(".png")]) == 1


def test_a_model_half_recorded_is_recorded_again_and_a_whole_one_is_not(store):
    import mlflow
    from mlflow.entities import LoggedModelOutput

    client, _ = found(store)
    network = Network(hidden=3, generator=torch.Generator().manual_seed(1))
    models = []
    for _ in range(3):  # killed in the middle, killed after it, carried to the end
        with suppress(KeyboardInterrupt), opened(store) as run:
            if not models:
                begun = mlflow.initialize_logged_model("model", source_run_id=run.id)
                client.log_outputs(run.id, [LoggedModelOutput(begun.model_id, 0)])
            else:
                run.log_model(network, torch.zeros(2, 28, 28))
            models.append(client.search_logged_models(["1"]))
            if len(models) < 3:
                raise KeyboardInterrupt
    assert [model.status for (model,) in models] == ["PENDING", "READY", "READY"]
    assert models[0][0].model_id != models[1][0].model_id == models[2][0].model_id


def test_a_run_that_was_finished_before_its_checkpoint_went_is_not_doubled(store):
    for _ in range(2):
        with opened(store):
            pass
    _, (run,) = found(store)
    assert run.info.status == "FINISHED"


def test_a_running_run_without_a_held_lock_is_dead_and_marked_killed(store):
    client, _ = found(store)
    runs = {}
    for claim in ("digest/dead", "digest/alive", "digest/elsewhere"):
        host = "another" if claim == "digest/elsewhere" else platform.node()
        tags = {"claim": claim, "host": host}
        runs[claim] = client.create_run("1", tags=tags).info.run_id
    held = files.hold(store / "digest" / "alive" / "lock")
    with opened(store):
        pass
    held.release()
    status = {name: client.get_run(run).info.status for name, run in runs.items()}
    assert status == {
        "digest/dead": "KILLED",
        "digest/alive": "RUNNING",
        "digest/elsewhere": "RUNNING",
    }


def test_looking_at_a_network_marks_the_dead_too(store):
    client, _ = found(store)
    tags = {"claim": "digest/dead", "host": platform.node()}
    dead = client.create_run("1", tags=tags).info.run_id
    with tracking.reopen_run(
        store=store, run_id=None, weights_sha256="f00d", server=None
    ):
        pass
    assert client.get_run(dead).info.status == "KILLED"


def test_what_looks_at_a_network_writes_into_its_run_and_leaves_it_closed(store):
    with opened(store, tags={"weights.sha256": "f00d"}) as run:
        pass
    _, (before,) = found(store)
    with tracking.reopen_run(
        store=store, run_id=run.id, weights_sha256="f00d", server=None
    ) as same:
        same.log_metrics({"evaluate/mnist/accuracy": 0.9}, step=20, time=1000)
    _, (after,) = found(store)
    assert after.data.metrics == {"evaluate/mnist/accuracy": 0.9}
    assert after.info.status == before.info.status == "FINISHED"
    assert after.info.end_time == before.info.end_time


def test_where_the_run_is_unknown_one_is_made_once_and_said(store, capsys):
    for _ in range(2):
        with tracking.reopen_run(
            store=store, run_id="0" * 32, weights_sha256="f00d", server=None
        ):
            pass
    _, (made,) = found(store)
    assert made.info.status == "FINISHED"
    assert capsys.readouterr().out.count("the store has no run of this network") == 1


def test_a_run_made_for_a_network_is_closed_whatever_happens(store):
    tracking.claims("", store=store)
    client, _ = found(store)
    known = tracking._identity({"weights.sha256": "f00d"}, tracking.NO_LEASE)
    left = client.create_run("1", tags=known)  # by a process that was killed at once
    with opened(store):  # any command marks it, as nobody lives to finish it
        assert client.get_run(left.info.run_id).info.status == "KILLED"
    with (
        pytest.raises(OSError, match="full"),
        tracking.reopen_run(
            store=store, run_id=None, weights_sha256="f00d", server=None
        ) as run,
    ):
        raise OSError("full")
    assert run.id == left.info.run_id
    assert client.get_run(run.id).info.status == "FINISHED"


def test_settings_meant_for_other_programs_lead_no_run_astray(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with opened(store) as run:
        run.log_metrics({"val/loss": 1.0}, step=1, time=1000)
    _, (kept,) = found(store)
    assert (kept.info.run_id, kept.info.experiment_id) == (run.id, "1")


def test_a_deleted_experiment_says_how_to_restore_it(store):
    client, _ = found(store)
    client.delete_experiment("1")
    with pytest.raises(ValueError, match="mlflow experiments restore"), opened(store):
        pass


def test_a_store_that_mlflow_made_itself_gets_the_experiment(tmp_path):
    from mlflow import MlflowClient

    MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()
    with opened(tmp_path) as run:
        pass
    client, (kept,) = found(tmp_path)
    assert (kept.info.run_id, kept.info.status) == (run.id, "FINISHED")
    location = client.get_experiment_by_name("digits").artifact_location
    assert location == tracking._artifacts(tmp_path)


def test_a_store_that_is_no_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    with (
        pytest.raises(ValueError, match=r"mlflow\.db can't be opened"),
        opened(tmp_path),
    ):
        pass


def test_a_store_that_was_moved_without_its_files_is_refused_with_the_remedy(
    store, tmp_path
):
    with opened(store):
        pass
    (tmp_path / "moved").mkdir()
    shutil.move(store / "mlflow.db", tmp_path / "moved")
    with (
        pytest.raises(ValueError, match="bring mlflow-artifacts along"),
        opened(tmp_path / "moved"),
    ):
        pass


@pytest.mark.parametrize("name", ["moved", "mit Leerzeichen, ü, # und ?", "x" * 200])
def test_a_store_that_was_moved_finds_its_files_again(store, tmp_path, name, capsys):
    before, after = tmp_path / "before", tmp_path / name
    (before / "mlflow-artifacts" / "digits").mkdir(parents=True)
    shutil.move(store / "mlflow.db", before)
    network = Network(hidden=3, generator=torch.Generator().manual_seed(1))
    with opened(before) as run:
        run.log_text("told.txt", "kept")
        run.log_model(network, torch.zeros(2, 28, 28))
    before.rename(after)
    with opened(after, claim="digest/two"):
        pass
    from mlflow import MlflowClient

    client = MlflowClient(mirror.sqlite_uri(after / "mlflow.db"))
    kept = client.get_run(run.id)
    assert tracking._files_of(kept) == after / "mlflow-artifacts/digits" / run.id / (
        "artifacts"
    )
    assert (tracking._files_of(kept) / "told.txt").read_text() == "kept"
    (model,) = client.search_logged_models(["1"])
    assert (mirror.path_from_uri(model.artifact_location) / "MLmodel").exists()
    assert capsys.readouterr().out.count("was moved or copied") == 2  # in fixture too


def test_a_store_that_breaks_is_named_in_one_line(store, capsys):
    spoiled = b"no database any more" * 1000
    with pytest.raises(OSError, match="took no more") as broken, opened(store) as run:
        (store / "mlflow.db").write_bytes(spoiled)
        run.log_metrics({"val/loss": 1.0}, step=1, time=1000)
    assert "\n" not in str(broken.value)
    assert f"run {run.id} could not be marked FAILED" in capsys.readouterr().err


def test_an_untracked_run_takes_all_that_a_run_takes():
    with opened(None) as run:
        for name in vars(tracking.Run):
            if name.startswith("log_") or name in ("set_tags", "describe"):
                getattr(run, name)("anything", step=1)
    assert run.id is None
    assert "not recorded" in run.epilogue()
