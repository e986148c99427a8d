from dataclasses import replace

import pytest

from pipeline import UserError
from pipeline.base.paths import MODEL_FILE, TRAINING_FILES, TRAINING_FOLDER
from pipeline.cli import defaults
from pipeline.core.dataset import DataFile, Dataset
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.model import load_trained_model
from pipeline.tracking import RecordedRun
from pipeline.training.training_run import TrainingRun


def test_a_training_run_has_the_epochs_that_were_trained_not_those_planned(
    few, tmp_path
):
    planned = Hyperparameters(**defaults() | {"epochs": 5})
    _, epochs = train_network(few, planned.model_copy(update={"epochs": 2}))
    file = DataFile(tmp_path / "mnist.safetensors", "00ff")
    dataset = Dataset(file, few.train, few.val)
    training = TrainingRun.of(dataset, few, planned, epochs)
    folder = tmp_path / TRAINING_FOLDER
    folder.mkdir()
    training.write(folder, run_id=None)
    assert {path.name for path in folder.iterdir()} == {*TRAINING_FILES}

    trained = load_trained_model(folder / MODEL_FILE)
    assert trained.epoch_count == training.last.number == 2
    assert len(trained.curves["val/accuracy"]) == 2
    tags = {"weights.sha256": training.weights_sha256}
    run = RecordedRun("1f", "short", "Default", "FINISHED", tags, tmp_path, start=0)
    assert run.has_all_files
    again = TrainingRun.read(run)
    assert again.last.number == 2 and again.hyperparameters.epochs == 5
    assert (
        again.history == training.history
        and again.weights_sha256 == training.weights_sha256
    )
    other = replace(run, tags={"weights.sha256": "of another network"})
    with pytest.raises(UserError, match="does not contain a complete training run"):
        TrainingRun.read(other)
    assert len({training, again}) == 2  # compared by identity, so they can be in a set

    (folder / "history.safetensors").unlink()
    assert not run.has_all_files
    assert load_trained_model(folder / MODEL_FILE).epoch_count == 5  # all that is known
