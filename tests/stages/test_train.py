"""The first command of the README on the real MNIST, and stopped training runs."""

import csv
import json
import logging
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from pipeline import ConfigError, cli, training
from pipeline.files import file_sha256
from pipeline.model import load_trained_model, save_detector, save_model
from pipeline.train import train

FILES = {"model.safetensors", "history.safetensors", "familiar.safetensors"}
FILES |= {"metrics.json", "history.csv", "learning_curves.png", "run.json"}
DIGITS = {"dataset": "digits", "epochs": 1, "tracking": "none"}


def series(client, run, metric):
    return [m.value for m in client.get_metric_history(run.info.run_id, metric)]


def artifacts(client, run, folder=None):
    return {file.path for file in client.list_artifacts(run.info.run_id, folder)}


def image_steps(client, run):
    """The epochs after which the run has an image of the weights."""
    names = artifacts(client, run, "images")
    return sorted({int(re.search(r"step\W(\d+)\W", name)[1]) for name in names})


def hashes(project):
    """The files of the last training run, except run.json, which is never the same."""
    return {name: file_sha256(project.trained(name)) for name in FILES - {"run.json"}}


@pytest.fixture(scope="module")
def metrics(finished):
    return json.loads(finished.trained("metrics.json").read_text())


def test_the_default_training_has_the_results_of_the_exercise(trained, metrics, mnist):
    assert metrics["train/final_accuracy"] >= 0.97
    assert 0.95 <= metrics["val/accuracy"] < metrics["train/final_accuracy"]
    # A mean over the epoch, during which the network improved.
    assert metrics["train/accuracy"] < metrics["train/final_accuracy"]
    probabilities = trained.network.predict(mnist.test.images[:1])[0]
    assert probabilities.argmax() == mnist.test.labels[0] == 7
    assert probabilities[7] >= 0.99


@pytest.mark.fault
def test_another_seed_reaches_the_accuracy_of_the_exercise(mnist):
    split = mnist.split("exercise")
    network, epochs = training.train(
        split, hidden=20, epochs=20, batch_size=32, lr=0.001, seed=2
    )
    accuracy = training.score(network, split.train)["accuracy"]
    assert accuracy >= 0.97
    assert 0.95 <= epochs[-1].metrics["val/accuracy"] < accuracy
    assert network.predict(mnist.test.images[:1])[0, 7] >= 0.97


def test_the_same_seed_gives_the_same_bytes_with_1_and_2_threads(project):
    project.call("train", epochs=1, tracking="none")  # this process has one thread
    expected = hashes(project)
    libraries = ("OMP", "MKL", "OPENBLAS")
    threads = {f"{library}_NUM_THREADS": "2" for library in libraries}
    project.run("train", "epochs=1", "tracking=none", **threads)
    assert hashes(project) == expected


def test_the_history_contains_the_tensors_from_the_initial_to_the_final_ones(finished):
    history = load_file(finished.trained("history.safetensors"))
    model = load_file(finished.trained("model.safetensors"))
    assert history["layer_1.weight"].shape == (21, 20, 784)
    assert set(history) == set(model)
    for name, tensor in model.items():
        np.testing.assert_array_equal(history[name][-1], tensor)
    assert not history["layer_1.bias"][0].any()
    # 21 x 15,910 float32 and a header.
    assert finished.trained("history.safetensors").stat().st_size < 1_400_000


def test_the_run_records_the_training_and_its_provenance(recorded, mnist):
    assert recorded.info.status == "FINISHED"
    assert recorded.info.run_name == "hidden=20 seed=1"
    tags = recorded.data.tags
    description = tags["mlflow.note.content"]
    assert "784 → 20 → 10" in description and "15,910 parameters" in description
    assert tags["data.sha256"] == mnist.sha256
    assert {"git.commit", "version.python", "version.torch", "processor"} <= set(tags)
    assert tags["command"] == "python -m pipeline.train hidden=20 epochs=20"
    assert tags["mlflow.source.name"] == "python -m pipeline.train"
    inputs = recorded.inputs.dataset_inputs
    (data,) = [i.dataset for i in inputs if i.tags[0].value == "training"]
    assert data.name == "mnist" and mnist.sha256.startswith(data.digest)
    assert json.loads(data.profile) == {"train": 60_000, "test": 10_000}


def test_the_run_and_history_csv_have_the_metrics_of_every_epoch(
    finished, client, recorded
):
    with finished.trained("history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, 21)]
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
        assert series(client, recorded, name) == [float(row[name]) for row in rows]
    assert len(series(client, recorded, "train/final_accuracy")) == 1
    norms = series(client, recorded, "weights/layer_1.weight/norm")
    assert len(norms) == 21 and norms == sorted(norms)
    assert series(client, recorded, "weights/layer_1.bias/zeros")[0] == 1
    assert image_steps(client, recorded) == list(range(21))


def test_the_folder_and_the_run_have_the_files_and_settings_of_the_training(
    finished, client, recorded, tmp_path
):
    assert {path.name for path in finished.trained("").iterdir()} == FILES
    train = {f"train/{name}" for name in FILES}
    assert artifacts(client, recorded, "train") == train
    data = {"data/mnist.json", "data/mnist-means.png", "data/mnist-samples.png"}
    assert artifacts(client, recorded, "data") == data
    assert {"code.json", "packages.txt"} <= artifacts(client, recorded)
    defaults, names = cli.defaults(), cli.HYPERPARAMETERS
    assert recorded.data.params == {name: str(defaults[name]) for name in names}
    path = client.download_artifacts(recorded.info.run_id, "config.yaml", str(tmp_path))
    configuration = yaml.safe_load(Path(path).read_text())
    assert configuration == {key: defaults[key] for key in cli.TrainConfig.model_fields}


def test_the_logged_model_predicts_like_the_network_without_pickle(
    finished, trained, recorded, mnist, monkeypatch
):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    mlflow.set_tracking_uri(f"sqlite:///{finished.outputs / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model(f"runs:/{recorded.info.run_id}/model")
    images = mnist.test.images[:5]
    expected, pixels = trained.network.predict(images), images.astype(np.float32) / 255
    for n in (1, 5):
        np.testing.assert_allclose(model.predict(pixels[:n]), expected[:n], atol=1e-6)


def test_the_summary_names_the_results_and_where_they_are(
    finished, trained, metrics, printed, recorded
):
    assert "test image 0 is classified as 7 with a probability of 99." in printed
    assert recorded.info.run_id in printed and "hidden=20 seed=1" in printed
    assert trained.sha256 in printed
    assert recorded.data.tags["weights.sha256"] == trained.sha256
    assert str(finished.outputs / "train") in printed
    after = printed.split(" 20   ")[-1].splitlines()[1:]
    assert len(after) <= 12 and "python -m pipeline.ui" in "".join(after)
    assert all(len(x) <= 80 for x in after if not x.startswith("files  "))
    assert f"{metrics['train/final_accuracy']:.2%}" in printed
    assert f"{metrics['val/accuracy']:.2%}" in printed


@pytest.mark.parametrize(
    ("unbuffered", "command"),
    [
        ("", ["train", "--cfg", "job"]),
        ("1", ["train", *(f"{key}={value}" for key, value in DIGITS.items())]),
    ],
)
def test_a_command_finishes_in_any_folder_even_if_its_output_is_closed(
    empty_project, tmp_path, command, unbuffered
):
    project = empty_project("closed", store=False)
    process = project.start(*command, cwd=tmp_path, PYTHONUNBUFFERED=unbuffered)
    process.stdout.close()  # as `head` does after some lines
    assert process.wait(timeout=900) == 0
    assert process.stderr.read() == ""
    assert project.trained("model.safetensors").exists() == ("epochs=1" in command)
    assert not list(tmp_path.iterdir())


def test_invalid_arguments_end_with_status_2_and_change_nothing(project):
    before = project.files()
    done = project.run("train", "hidden=0", "hiden=20", status=2)
    first, *problems = done.stderr.splitlines()
    assert first == "error: invalid arguments; nothing was run"
    assert len(problems) == 3 and not done.stdout  # two, and where the help is
    assert project.files() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 3}, "`images` is not an option of this stage"),
        ({"hiden": 3}, "`hiden` is not an option; did you mean hidden"),
        ({"tracking": "none", "server": "http://h"}, "server has no effect with track"),
        ({"reproduce": "a", "hidden": 40}, "hidden cannot be combined with reproduce"),
    ],
)
def test_a_call_from_python_refuses_settings_without_effect(
    new_project, settings, message
):
    with pytest.raises(ConfigError, match=message):
        new_project.call("train", **settings)
    assert not (new_project.outputs / "train").exists()


def test_a_call_from_python_leaves_mlflow_as_it_was(
    project, empty_store, tmp_path, monkeypatch
):
    def state():
        variables = {k: v for k, v in os.environ.items() if k.startswith("MLFLOW_")}
        levels = [logging.getLogger(name).level for name in ("mlflow", "alembic")]
        return (
            mlflow.get_tracking_uri(),
            mlflow.is_tracking_uri_set(),
            variables,
            levels,
        )

    (tmp_path / "notebook").mkdir()
    empty_store(tmp_path / "notebook")  # there, mlflow.db is MLflow's default store
    monkeypatch.chdir(tmp_path / "notebook")
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(project.outputs))
    for address in (None, "sqlite:///mlflow.db"):
        mlflow.set_tracking_uri(address)
        before = state()
        numbers = {"epochs": np.int64(1), "lr": np.float32(0.002)}
        train(dataset=Path("digits"), **numbers, resume=False)
        assert state() == before
        assert mlflow.search_runs(search_all_experiments=True).empty
    assert [run.info.status for run in project.runs()] == ["FINISHED"] * 2
    assert {run.data.params["lr"] for run in project.runs()} == {"0.002"}
    mlflow.set_tracking_uri(None)


def test_a_batch_larger_than_the_data_set_is_refused_before_a_run_exists(new_project):
    with pytest.raises(
        ValueError, match=r"batch_size must be <= 55000, .*images of mni"
    ):
        new_project.call("train", split="holdout", batch_size=55001)
    assert not (new_project.outputs / "mlflow.db").exists()


def test_help_shows_the_keys_and_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipeline.train", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hidden=20" in done.stdout and "neurons in layer_1" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "mlflow", "hydra", "numpy", "matplotlib"}


def test_evaluate_measures_the_same_as_the_training(finished, metrics):
    path = finished.outputs / "evaluate" / "metrics.json"
    (scores,) = json.loads(path.read_text()).values()
    assert scores["n"] == 10_000
    assert scores["accuracy"] == pytest.approx(metrics["val/accuracy"])
    assert scores["loss"] == pytest.approx(metrics["val/loss"], rel=1e-6)


def test_split_holdout_shows_a_validation_image_and_no_test_image(new_project):
    printed = new_project.call("train", **DIGITS, split="holdout")
    assert "\nvalidation image 0 is classified as " in printed
    assert "\ntest image" not in printed


@pytest.fixture(scope="module")
def two_networks(empty_project):
    """A workspace with a network of 3 and, trained later, one of 4 neurons."""
    project = empty_project("two")
    for hidden, name in ((3, None), (4, "the newer one")):
        options = DIGITS | {"hidden": hidden, "tracking": "mlflow", "run_name": name}
        project.call("train", **options, split="holdout")
    return project


def test_an_older_network_is_selected_by_its_run(two_networks):
    _, older = two_networks.runs()
    printed = two_networks.call("inspect", run=older.info.run_id, arrays=True)
    assert "layer_1 kernel (784, 3)\n[[" in printed and printed.count("layer_") == 4
    printed = two_networks.call("inspect", arrays=True)
    assert "layer_1 kernel (784, 4)" in printed
    last = printed.splitlines()[-1].removeprefix("all values").strip()
    assert Path(last) == two_networks.trained("model.safetensors")
    printed = two_networks.call("inspect", run="the newer one", arrays=True)
    assert "layer_1 kernel (784, 4)" in printed


def test_a_network_is_used_with_the_data_it_was_trained_with(two_networks, tmp_path):
    shutil.copytree(two_networks.trained(""), tmp_path / "train")
    project = type(two_networks)(tmp_path)
    path = project.trained("model.safetensors")
    trained = load_trained_model(path)
    assert (trained.split, trained.metadata["hidden"]) == ("holdout", 4)
    detector, metadata = trained.detector, trained.metadata | {"data_sha256": "0" * 64}
    sha256 = save_model(path, trained.network, metadata)
    save_detector(trained.detector_path, detector, network=sha256)
    for stage in ("evaluate", "predict", "inspect"):
        with pytest.raises(ValueError, match="the network was trained with"):
            project.call(stage)


def check_complete(project, *, epochs):
    """Check that one finished run has every epoch and one model; return the run."""
    client, (run,) = project.client, project.runs()
    assert run.info.status == "FINISHED"
    assert len(project.losses(run)) == epochs
    assert len(series(client, run, "weights/layer_1.bias/norm")) == epochs + 1
    assert image_steps(client, run) == list(range(epochs + 1))
    (model,) = client.search_logged_models(["1"])
    assert (model.source_run_id, model.status) == (run.info.run_id, "READY")
    assert not [p for p in (project.outputs / "checkpoints").iterdir() if p.is_dir()]
    return run


@pytest.mark.fault
def test_ctrl_c_stops_after_the_epoch_and_the_same_command_resumes(project):
    process = project.start("train", "epochs=12", PYTHONUNBUFFERED="1")
    assert any(line.split()[:1] == ["2"] for line in process.stdout)  # after epoch 2
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 130
    first, last = stderr.splitlines()
    assert first.startswith("stopping at the end of this epoch")
    stopped = re.fullmatch(r"stopped after epoch (\d); run the same .* to resume", last)
    assert stopped and int(stopped[1]) < 12, stderr
    (killed,) = project.runs()
    assert killed.info.status == "KILLED"

    printed = project.call("train", epochs=12)
    name = f"hidden=20 seed=1 epochs=12 ({killed.info.run_id})"
    resuming = f"resuming {name} after epoch {stopped[1]} of 12"
    assert resuming in " ".join(printed.split())
    assert check_complete(project, epochs=12).info.run_id == killed.info.run_id


def is_complete(project):
    """Whether the training is recorded as finished and has no checkpoint any more."""
    unfinished = project.outputs.glob("checkpoints/[!.]*/*/")
    store = project.outputs / "mlflow.db"
    if any(path.is_dir() for path in unfinished) or not store.exists():
        return False
    # Without MLflow, which keeps files open, also of a store that was removed.
    with closing(sqlite3.connect(store)) as database:
        return database.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)]


@pytest.mark.fault
def test_a_training_run_killed_repeatedly_ends_with_the_same_bytes(project):
    project.run("train", "epochs=10", "tracking=none")
    expected = hashes(project)
    draw = random.Random(5)
    killed = 0
    while killed < 4:
        process = project.start("train", "epochs=10")
        try:
            _, stderr = process.communicate(timeout=draw.uniform(1, 6.5))
            assert process.returncode == 0, stderr
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
        if is_complete(project):  # once more, in a new store
            (project.outputs / "mlflow.db").unlink()
    project.run("train", "epochs=10")
    assert hashes(project) == expected
    check_complete(project, epochs=10)  # the same run survived
