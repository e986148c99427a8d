import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline import UserError
from pipeline.cli import defaults
from pipeline.core.dataset import DataFile, Dataset
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.model import (
    load_history_files,
    load_trained_network,
    save_network,
    storage,
)
from pipeline.records.file_names import MODEL_FILE, TRAINING_FILES, TRAINING_FOLDER
from pipeline.records.tags import Status
from pipeline.sweeps.recorded import complete_runs
from pipeline.tracking import RecordedRun
from pipeline.training.training_files import read_training_run, write_training_run
from pipeline.training.training_run import TrainingRun


@pytest.fixture
def training(few, tmp_path):
    """A training run of two epochs."""
    hyperparameters = Hyperparameters(**defaults() | {"epochs": 2})
    file = DataFile(tmp_path / "mnist.safetensors", "00ff" * 16)
    dataset = Dataset(file, few.train, few.val)
    epochs = [*train_network(dataset, hyperparameters)]
    return TrainingRun.of(dataset, hyperparameters, epochs)


@pytest.fixture
def folder(training, tmp_path):
    """The folder with the files of the training run."""
    folder = tmp_path / TRAINING_FOLDER
    folder.mkdir()
    write_training_run(training, folder, run_id=None)
    return folder


@pytest.fixture
def run(training, folder):
    """The recorded run of the training run."""
    tags = {"weights.sha256": training.trained.weights_sha256}
    finished = Status.FINISHED
    return RecordedRun("1f", "short", folder.parent, "Default", finished, tags, 0)


def test_a_training_run_is_read_as_it_was_written(training, folder, run):
    assert {path.name for path in folder.iterdir()} == {*TRAINING_FILES}

    trained = load_trained_network(folder / MODEL_FILE)
    assert trained.params["epochs"] == training.last.number == 2
    histories = load_history_files(trained)
    assert histories.metrics == training.history
    assert len(histories.metrics["val/accuracy"]) == 2
    for name, tensor in training.epochs[1].tensors.items():
        np.testing.assert_array_equal(histories.weights[name][1], tensor)
    assert [each.seconds for each in complete_runs([run])] == [training.seconds]
    again = read_training_run(run)
    assert again.last.number == again.hyperparameters.epochs == 2
    assert (
        again.history == training.history
        and again.metadata == training.metadata
        and again.metrics == training.metrics
        and again.trained.weights_sha256 == training.trained.weights_sha256
    )
    assert len({training, again}) == 2  # compared by identity, so they can be in a set

    (folder / "history.safetensors").unlink()
    assert not [*complete_runs([run])]
    histories = load_history_files(trained)
    assert histories.weights is None and histories.metrics == training.history


def test_a_weight_history_with_another_number_of_epochs_is_reported(
    training, folder, run
):
    tensors = [epoch.tensors for epoch in training.epochs]
    path = folder / "history.safetensors"
    storage.save_weight_history(path, tensors[1:])
    with pytest.raises(UserError, match=r"history.safetensors does not belong"):
        read_training_run(run)


REMEDY = "restore the files.*, or train the network again"


@pytest.mark.parametrize("name", TRAINING_FILES)
def test_a_missing_file_is_reported_with_the_remedy(folder, run, name):
    (folder / name).unlink()
    rule = f"must contain all files of a training run, but {name} is missing"
    with pytest.raises(UserError, match=f"train {rule}.*: {REMEDY}"):
        read_training_run(run)


def test_the_weights_of_another_run_are_reported_with_both_hashes(training, run):
    other = replace(run, tags={"weights.sha256": "of another network"})
    hashes = f"weights.sha256 of another network, got {training.trained.weights_sha256}"
    with pytest.raises(UserError, match=f"model.safetensors must .*{hashes}: {REMEDY}"):
        read_training_run(other)


def test_a_network_that_does_not_record_its_training_run_is_reported(
    training, folder, run
):
    save_network(folder / MODEL_FILE, training.network)
    rule = "must record the data set and the hyperparameters of its training run"
    with pytest.raises(UserError, match=f"model.safetensors {rule}: {REMEDY}"):
        read_training_run(run)


@pytest.mark.parametrize(
    ("name", "old", "new", "rule"),
    [
        ("run.json", '"seconds": [', '"seconds": [0.5, ', "does not belong"),
        ("metrics.json", '"val/loss": ', '"val/loss": 1', "does not belong"),
        ("history.csv", "val/loss", "test/loss", "must have a column val/loss"),
        ("history.csv", "\n2,", "\n3,", "does not belong"),
    ],
)
def test_a_file_of_another_training_run_is_reported(folder, run, name, old, new, rule):
    path = folder / name
    text = path.read_text().replace(old, new)
    text = text.replace('"times": [', '"times": [0, ') if name == "run.json" else text
    assert text != path.read_text()
    path.write_text(text)
    if "column" in rule:  # metrics.json has the same metrics
        metrics = path.with_name("metrics.json")
        known = json.loads(metrics.read_text())
        metrics.write_text(json.dumps(known | {"test/loss": known["val/loss"]}))
    with pytest.raises(UserError, match=f"{name} {rule}.*: {REMEDY}"):
        read_training_run(run)
