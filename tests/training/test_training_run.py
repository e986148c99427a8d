import json
from dataclasses import replace

import pytest

from pipeline import UserError
from pipeline.base.paths import MODEL_FILE, TRAINING_FILES, TRAINING_FOLDER
from pipeline.cli import defaults
from pipeline.core.dataset import DataFile, Dataset
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.model import load_trained_model, save_model
from pipeline.tracking import RecordedRun
from pipeline.training.training_run import finished_training_run, read_training_run


@pytest.fixture
def training(few, tmp_path):
    """A training run of two of five planned epochs."""
    planned = Hyperparameters(**defaults() | {"epochs": 5})
    epochs = [*train_network(few, planned.model_copy(update={"epochs": 2}))]
    file = DataFile(tmp_path / "mnist.safetensors", "00ff")
    dataset = Dataset(file, few.train, few.val)
    return finished_training_run(dataset, few.train, planned, epochs)


@pytest.fixture
def folder(training, tmp_path):
    """The folder with the files of the training run."""
    folder = tmp_path / TRAINING_FOLDER
    folder.mkdir()
    training.write(folder, run_id=None)
    return folder


@pytest.fixture
def run(training, folder):
    """The recorded run of the training run."""
    tags = {"weights.sha256": training.weights_sha256}
    return RecordedRun("1f", "short", "Default", "FINISHED", tags, folder.parent, 0)


def test_a_training_run_has_the_epochs_that_were_trained_not_those_planned(
    training, folder, run
):
    assert {path.name for path in folder.iterdir()} == {*TRAINING_FILES}

    trained = load_trained_model(folder / MODEL_FILE)
    assert trained.epoch_count == training.last.number == 2
    assert trained.history == training.history
    assert len(trained.history["val/accuracy"]) == 2
    assert run.has_all_files
    again = read_training_run(run)
    assert again.last.number == 2 and again.hyperparameters.epochs == 5
    assert (
        again.history == training.history
        and again.metadata == training.metadata
        and again.metrics == training.metrics
        and again.weights_sha256 == training.weights_sha256
    )
    assert len({training, again}) == 2  # compared by identity, so they can be in a set

    (folder / "history.safetensors").unlink()
    assert not run.has_all_files
    assert load_trained_model(folder / MODEL_FILE).epoch_count == 5  # all that is known


REMEDY = "restore the files.*, or train the network again"


@pytest.mark.parametrize("name", TRAINING_FILES)
def test_a_missing_file_is_reported_with_the_remedy(folder, run, name):
    (folder / name).unlink()
    rule = f"must contain all files of a training run, but {name} is missing"
    with pytest.raises(UserError, match=f"train {rule}.*: {REMEDY}"):
        read_training_run(run)


def test_the_weights_of_another_run_are_reported_with_both_hashes(training, run):
    other = replace(run, tags={"weights.sha256": "of another network"})
    hashes = f"weights.sha256 of another network, got {training.weights_sha256}"
    with pytest.raises(UserError, match=f"model.safetensors must .*{hashes}: {REMEDY}"):
        read_training_run(other)


def test_a_network_that_does_not_record_its_training_run_is_reported(
    training, folder, run
):
    save_model(folder / MODEL_FILE, training.network)
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
