import json

import pytest

from pipeline import training
from pipeline.model import load_trained_model, snapshot, tensors_sha256
from pipeline.tracking import Run
from pipeline.training import Epoch, EpochState, FinishedTraining
from pipeline.training.finished import METRICS
from pipeline.training.recorder import log_weights

VALUES = dict(zip(METRICS, (0.4, 0.9, 0.3, 0.8), strict=True))


@pytest.fixture
def network(new_network):
    return new_network(3)


@pytest.mark.parametrize("order", [1, -1])
def test_files_do_not_depend_on_the_order_of_the_metrics(tmp_path, few, network, order):
    metrics = {name: VALUES[name] for name in METRICS[::order]}
    epochs = [Epoch(0, {}, 0.0), Epoch(1, metrics, 0.1), Epoch(2, metrics, 0.1)]
    states = [EpochState(epoch, snapshot(network), 1000) for epoch in epochs]
    finished = FinishedTraining.of(states, network, few)
    sha256 = finished.write(tmp_path, {}, run_id=None)
    final = finished.metrics()
    assert tensors_sha256(snapshot(network)) == sha256
    assert load_trained_model(tmp_path / "model.safetensors").sha256 == sha256
    scores = {"val/best_accuracy": 0.4, "val/best_epoch": 1}
    score = training.score(network, few.train)
    scores |= {f"train/final_{name}": score[name] for name in ("loss", "accuracy")}
    assert [*final.items()] == [*VALUES.items(), *scores.items()]
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,val/accuracy,val/loss,train/accuracy,train/loss\n"
        "1,0.4,0.9,0.3,0.8\n"
        "2,0.4,0.9,0.3,0.8\n"
    )
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert [*written.items()] == [*final.items()]
    run = json.loads((tmp_path / "run.json").read_text())
    times = [1000, 1000, 1000]
    assert run == {"run_id": None, "seconds": [0.1, 0.1], "times": times}


class Images(Run):
    """A run that keeps the steps of its images only."""

    def __init__(self):
        self.steps = []

    def log_image(self, name, image, step):
        self.steps.append(step)


@pytest.mark.parametrize(("epochs", "interval"), [(1, 1), (20, 1), (21, 2), (100, 5)])
def test_a_training_run_has_at_most_21_images(network, epochs, interval):
    run, tensors = Images(), snapshot(network)
    for number in range(epochs + 1):
        log_weights(run, EpochState(Epoch(number, {}, 0.1), tensors, 1000), epochs)
    assert len(run.steps) <= 21
    assert run.steps == sorted({*range(0, epochs + 1, interval), epochs})
