"""The first command of the README on the real MNIST, and what a run records."""

import json
import logging
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import yaml
from mlflow.exceptions import MlflowException
from safetensors.numpy import load_file

from pipeline import UserError, cli
from pipeline.base import paths
from pipeline.model import load_trained_network, save_network
from pipeline.records.fingerprint import fingerprint
from pipeline.records.params import TRAINING_KEYS
from pipeline.records.software import CORE
from pipeline.tracking import find_training_run
from pipeline.train import train
from pipeline.training.training_files import read_training_run

ROOT = Path(__file__).resolve().parents[2]
FILES = {"model.safetensors", "history.safetensors"}
FILES |= {"metrics.json", "history.csv", "run.json"}
DIGITS = {"dataset": "digits", "epochs": 1, "tracking": "none"}


@pytest.fixture(scope="module")
def metrics(finished):
    return finished.read("train/metrics.json")


def test_the_default_training_run_has_the_results_of_the_exercise(
    trained, metrics, mnist
):
    final = metrics["with_final_weights/train_accuracy"]
    assert final >= 0.97
    assert 0.95 <= metrics["val/accuracy"] < final
    # This is a mean over the epoch, during which the network improved.
    assert metrics["train/accuracy"] < final
    predicted = trained.network.predict(mnist.train.images).argmax(axis=1)
    accuracy = np.mean(predicted == mnist.train.labels)
    assert final == pytest.approx(accuracy)
    probabilities = trained.network.predict(mnist.test.images[:1])[0]
    assert probabilities.argmax() == mnist.test.labels[0] == 7
    assert probabilities[7] >= 0.99


def test_the_history_is_that_of_a_training_run_of_one_epoch_with_two_threads(
    finished, project
):
    history = load_file(finished.trained("history.safetensors"))
    libraries = ("OMP", "MKL", "OPENBLAS")
    threads = {f"{library}_NUM_THREADS": "2" for library in libraries}
    project.run("train", "epochs=1", "tracking=none", **threads)
    for name, values in load_file(project.trained("history.safetensors")).items():
        np.testing.assert_array_equal(values, history[name][:2])
    for name, tensor in load_file(finished.trained("model.safetensors")).items():
        np.testing.assert_array_equal(tensor, history[name][-1])
    assert history["layer_1.weight"].shape == (21, 20, 784)
    assert not history["layer_1.bias"][0].any()  # the initial biases


def test_the_run_has_the_files_settings_and_provenance_of_the_training_run(
    finished, recorded, trained, mnist
):
    assert {path.name for path in finished.trained("").iterdir()} == FILES
    assert finished.artifacts(recorded, "train") == {f"train/{name}" for name in FILES}
    data = {"data/mnist.json", "data/mnist-means.png", "data/mnist-samples.png"}
    assert finished.artifacts(recorded, "data") == data
    assert {"code.json", "packages.txt"} <= finished.artifacts(recorded)
    defaults, tags = cli.defaults(), recorded.data.tags
    assert recorded.data.params == {k: str(defaults[k]) for k in TRAINING_KEYS}
    text = mlflow.artifacts.load_text(f"{recorded.info.artifact_uri}/config.yaml")
    keys = cli.TrainConfig.model_fields
    assert yaml.safe_load(text) == {key: defaults[key] for key in keys}
    assert recorded.info.status == "FINISHED"
    assert recorded.info.run_name == "hidden=20 seed=1"
    description = tags["mlflow.note.content"]
    assert "784 → 20 → 10" in description and "15,910 parameters" in description
    assert f"/{recorded.info.run_id}/artifacts/train/history.csv?" in description
    assert {"git.commit", "version.python", "version.torch", "processor"} <= set(tags)
    assert tags["command"] == "python -m pipeline.train hidden=20 epochs=20"
    assert tags["data.sha256"] == mnist.file.sha256
    assert tags["weights.sha256"] == trained.weights_sha256
    inputs = recorded.inputs.dataset_inputs
    (data,) = [i.dataset for i in inputs if i.tags[0].value == "training"]
    assert data.name == "mnist" and mnist.file.sha256.startswith(data.digest)
    assert json.loads(data.profile) == {"train": 60_000, "test": 10_000}


def test_the_run_and_history_csv_have_the_metrics_of_every_epoch(finished, recorded):
    rows, values = (
        finished.read("train/history.csv"),
        partial(finished.values, recorded),
    )
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, 21)]
    names = rows[0].keys() - {"epoch"}
    metrics = finished.read("train/metrics.json")
    assert {"train/loss", "train/accuracy", "val/loss", "val/accuracy"} <= names
    assert {name: float(rows[-1][name]) for name in names}.items() <= metrics.items()
    for name in names:
        assert values(name) == [float(row[name]) for row in rows]
    assert len(values("with_final_weights/train_accuracy")) == 1
    norms = values("weights/layer_1.weight/norm")
    assert len(norms) == 11 and norms == sorted(norms)
    assert values("weights/layer_1.bias/zeros")[0] == 1
    images = finished.artifacts(recorded, "images")
    assert len([image for image in images if image.endswith(".png")]) == 11


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
    assert model.metadata.metadata["input"].endswith("preprocessed as in mnist")
    assert model.predict(pixels[:0]).shape == (0, 10)
    holed = np.where(pixels == 0, np.float32("nan"), pixels)
    for wrong, got in (
        (pixels * 255, "0 to 255"),
        (pixels - 1, "-1 to 0"),
        (holed, "nan to nan"),
    ):
        with pytest.raises(MlflowException, match=rf"in \[0, 1\], .* got {got}: divi"):
            model.predict(wrong)
    program = mlflow.pytorch.load_model(f"runs:/{recorded.info.run_id}/model")
    predicted = program(torch.from_numpy(pixels))
    torch.testing.assert_close(predicted, torch.from_numpy(expected))


def test_the_summary_names_the_results_and_where_they_are(
    finished, trained, metrics, recorded
):
    printed = (finished.outputs.parent / "printed.txt").read_text()
    for text in (
        "test image 0 is classified as 7 with a probability of 99.",
        f"{metrics['with_final_weights/train_accuracy']:.2%}",
        f"{metrics['val/accuracy']:.2%}",
        recorded.info.run_id,
        trained.weights_sha256,
        str(finished.outputs / "train"),
    ):
        assert text in printed
    after = printed.split(" 20   ")[-1].splitlines()[1:]
    assert len(after) <= 12 and "python -m pipeline.ui" in "".join(after)
    assert all(len(x) <= 80 for x in after if not x.startswith("files  "))


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


def test_without_tracking_a_damaged_store_is_not_used(new_project):
    (new_project.outputs / "mlflow.db").write_bytes(b"not a database" * 1000)
    new_project.call("train", hidden=2, **DIGITS)
    assert new_project.trained("model.safetensors").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 3}, "`images` is a setting of predict, not of train"),
        ({"tracking": "none", "server": "http://h"}, "server has no effect with track"),
        ({"split": "holdout", "batch_size": 55001}, "must be at most 55000, .*of "),
    ],
)
def test_a_call_from_python_rejects_settings_before_a_run_exists(
    new_project, settings, message
):
    with pytest.raises(UserError, match=message):
        new_project.call("train", **settings)
    assert {path.name for path in new_project.outputs.iterdir()} == {"data"}


def test_calls_from_python_in_threads_leave_mlflow_and_the_run_of_the_user_alone(
    project, empty_store, tmp_path, monkeypatch
):
    def state():
        variables = {k: v for k, v in os.environ.items() if k.startswith("MLFLOW_")}
        levels = [logging.getLogger(name).level for name in ("mlflow", "alembic")]
        uri = mlflow.get_tracking_uri(), mlflow.is_tracking_uri_set()
        return variables, levels, uri

    (tmp_path / "notebook").mkdir()
    empty_store(tmp_path / "notebook")  # there, mlflow.db is MLflow's default store
    monkeypatch.chdir(tmp_path / "notebook")
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(project.outputs))
    numbers = {"epochs": np.int64(1), "lr": np.float32(0.002)}
    for address in (None, "sqlite:///mlflow.db"):
        mlflow.set_tracking_uri(address)
        before = state()
        with mlflow.start_run() as mine, ThreadPoolExecutor() as threads:
            calls = [
                threads.submit(train, dataset="digits", seed=seed, **numbers)
                for seed in (1, 2)
            ]
        for call in calls:
            call.result()
        assert state() == before
        (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
        assert run.info.run_id == mine.info.run_id and not run.data.params
        mlflow.delete_run(mine.info.run_id)
    runs = project.runs()
    assert sorted(run.data.params["seed"] for run in runs) == ["1", "1", "2", "2"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.params["lr"] for run in runs} == {"0.002"}
    mlflow.set_tracking_uri(None)


def test_each_of_parallel_calls_returns_the_folder_of_its_own_network(
    project, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(project.outputs))
    options = {"dataset": "digits", "epochs": 1}
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(train, seed=s, **options) for s in (1, 2, 3)]
    for call in calls:
        training = call.result()
        stored = load_trained_network(training.folder / "model.safetensors")
        assert stored.weights_sha256 == training.trained.weights_sha256
        assert stored.metadata.hyperparameters == training.hyperparameters
    assert len({call.result().folder for call in calls}) == 3


def test_a_callback_that_changes_the_working_directory_does_not_change_the_folders(
    project, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(project.outputs.parent)
    monkeypatch.setenv("PIPELINE_OUTPUTS", project.outputs.name)  # a relative path
    training = train(
        dataset="digits", epochs=1, on_epoch=lambda epoch: os.chdir(elsewhere)
    )
    assert not [*elsewhere.iterdir()]
    assert project.run_id() == training.run_id
    assert {path.name for path in project.trained("").iterdir()} == FILES


def test_an_interrupted_run_is_resumed_only_with_its_own_experiment_and_options(
    project, tmp_path, monkeypatch
):
    conf = tmp_path / "conf"
    shutil.copytree(paths.conf_dir(), conf)
    text = (conf / "hydra.yaml").read_text()
    text = text.replace("- experiment:", "- team: null\n  - experiment:")
    (conf / "hydra.yaml").write_text(text)
    (conf / "team").mkdir()
    (conf / "team" / "same.yaml").write_text("# @package _global_\n")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)

    class Stop(BaseException):
        """Ends a training run after its first epoch."""

    def stop(epoch):
        raise Stop

    options = {"dataset": "digits", "epochs": 2}
    with pytest.raises(Stop):
        project.call("train", on_epoch=stop, **options)
    (killed,) = project.runs()
    assert "resuming" not in project.call("train", experiment_name="B", **options)
    (other,) = project.runs(experiments=["2"])
    assert other.info.status == "FINISHED"
    assert "resuming" not in project.call("train", team="same", **options)
    assert project.runs()[0].data.tags["team"] == "same"
    assert project.runs()[1].info.status == "KILLED"
    printed = " ".join(project.call("train", run_name="mine", **options).split())
    assert f"({killed.info.run_id}) after epoch 1 of 2 in experiment digits" in printed
    assert "run_name has no effect: this run was started with a diff" in printed
    finished = project.runs()[1]
    assert "team" not in finished.data.tags
    assert finished.info.run_name == killed.info.run_name
    assert (finished.info.run_id, finished.info.status) == (
        *(killed.info.run_id, "FINISHED"),
    )
    weights = {run.data.tags["weights.sha256"] for run in (finished, other)}
    assert len(weights) == 1


# Imports the modules of the command and edits one of them, before the recording process
# is started.
EDIT_A_MODULE = """
import runpy
from pathlib import Path
import pipeline.training.train
from pipeline.core import loop
from pipeline.tracking.provenance import code_state
code_state()  # as an earlier command of this process did
with Path(loop.__file__).open("a") as module:
    module.write("EDITED = 1\\n")
runpy.run_module("pipeline.train", run_name="__main__")
"""


@pytest.fixture(scope="module")
def edited(clone_project, prepared_digits, tmp_path_factory):
    """A clone in which a module was edited after a training run had started.

    Returns the workspace, and what the terminal displayed.
    """
    root = tmp_path_factory.mktemp("edited") / "clone"
    clone, core = clone_project(root), root / "pipeline" / "core"
    shutil.copytree(prepared_digits, clone.outputs / "data", dirs_exist_ok=True)
    terminal, end = os.openpty()
    places = {"PIPELINE_OUTPUTS": str(clone.outputs), "PYTHONPATH": str(root)}
    settings = ["dataset=digits", "epochs=1", "hidden=2"]
    process = subprocess.Popen(
        [sys.executable, "-c", EDIT_A_MODULE, *settings],
        cwd=root,
        env=os.environ | places | {"TERM": "xterm"},
        stdout=end,
        stderr=end,
    )
    os.close(end)
    shown = b""
    with suppress(OSError):  # when the process has ended
        while part := os.read(terminal, 10_000):
            shown += part
    os.close(terminal)
    assert process.wait() == 0, shown
    assert (core / "loop.py").read_text().endswith("EDITED = 1\n")
    return clone, shown


def test_a_module_that_is_edited_after_its_import_does_not_change_the_fingerprint(
    edited,
):
    clone, _ = edited
    (run,) = clone.runs()
    recorded = json.loads(clone.artifact(run, "code.json").read_text())
    assert recorded == CORE.hashes  # the hashes of the code before the edit
    recorded = find_training_run(run.info.run_id, store=clone.outputs)
    training = read_training_run(recorded)
    expected = fingerprint(training.hyperparameters, training.metadata.data_sha256)
    assert recorded.tags["fingerprint"] == expected


def test_a_terminal_shows_no_status_of_the_recording_process_over_the_progress(edited):
    _, shown = edited
    assert b"loading PyTorch" in shown and b"epochs" in shown
    assert b"opening the store" not in shown


# Edits a module after the modules were hashed, but before a call imports PyTorch and
# the module itself, as a user may do in a notebook.
EDIT_BEFORE_A_CALL = """
import sys
from pathlib import Path
from pipeline import UserError
from pipeline.records import fingerprint
from pipeline.train import train
module = Path("pipeline/core/optimizer.py")
module.write_text(module.read_text() + "EDITED = 1\\n")
for _ in range(2):
    try:
        train(dataset="digits", epochs=1, hidden=2)
    except UserError as error:
        print(error)
"""


def test_a_module_that_is_edited_before_its_import_is_never_recorded_as_the_old_one(
    clone_project, tmp_path
):
    clone = clone_project(root := tmp_path / "clone")
    printed = subprocess.check_output(
        [sys.executable, "-c", EDIT_BEFORE_A_CALL],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "PIPELINE_OUTPUTS": ""},
        text=True,
    )
    folder = root / "pipeline" / "core"
    changed = f"the code in {folder} changed while this program was running"
    line = f"{changed}: start it again\n"
    assert printed == line * 2
    assert not (clone.outputs / "mlflow.db").exists()


def test_help_shows_the_keys_and_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipeline.train", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hidden=20" in done.stdout and "neurons in layer 1" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    heavy = {"torch", "mlflow", "hydra", "numpy", "matplotlib", "rich", "PIL"}
    assert not imported & heavy


def test_evaluate_measures_the_same_as_the_training_run(finished, metrics):
    (scores,) = finished.read("evaluate/metrics.json").values()
    assert scores["n"] == 10_000 and scores["unsure"] <= 0.10
    assert scores["accuracy"] == metrics["val/accuracy"]
    assert scores["loss"] == metrics["val/loss"]


@pytest.fixture(scope="module")
def two_networks(empty_project):
    """A workspace with a network of 3 and, trained later, one of 4 neurons."""
    project = empty_project("two")
    for hidden, name in ((3, None), (4, "the newer one")):
        options = DIGITS | {"hidden": hidden, "tracking": "mlflow", "run_name": name}
        printed = project.call("train", **options, split="holdout")
        assert "\nvalidation image 0 is classified as " in printed
        assert "\ntest image" not in printed
    return project


def test_an_older_network_is_selected_by_its_run(two_networks):
    _, older = two_networks.runs()
    printed = two_networks.call("inspect", run=older.info.run_id, arrays=True)
    assert "layer_1 weights (784, 3)\n[[" in printed and printed.count("layer_") == 4
    printed = two_networks.call("inspect", arrays=True)
    assert "layer_1 weights (784, 4)" in printed
    last = printed.splitlines()[-1].removeprefix("all values").strip()
    assert Path(last) == two_networks.trained("model.safetensors")
    printed = two_networks.call("inspect", run="the newer one", arrays=True)
    assert "layer_1 weights (784, 4)" in printed


def test_a_network_is_used_with_the_data_it_was_trained_with(two_networks, tmp_path):
    shutil.copytree(two_networks.trained(""), tmp_path / "train")
    project = type(two_networks)(tmp_path)
    path = project.trained("model.safetensors")
    trained = load_trained_network(path)
    assert (trained.split, trained.network.hidden) == ("holdout", 4)
    metadata = trained.metadata.model_copy(update={"data_sha256": "0" * 64})
    save_network(path, trained.network, metadata)
    rule = "training data, with the SHA-256 hash 0000"
    for stage in ("evaluate", "predict", "inspect"):
        with pytest.raises(UserError, match=rule):
            project.call(stage)
