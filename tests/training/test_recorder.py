import json

import pytest

from pipeline import tracking, training
from pipeline.model import fit_detector, load_trained_model, snapshot, tensors_sha256
from pipeline.tracking.store import open_store
from pipeline.training import Epoch, EpochState, FinishedTraining, Recorder
from pipeline.training.finished import METRICS

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
    detector = fit_detector(network, few.train.images, few.train.labels)
    sha256, final = (
        finished.write(tmp_path, detector, {}, run_id=None),
        finished.metrics(),
    )
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


@pytest.mark.parametrize("epochs", [1, 20, 21, 39, 100])
def test_a_training_run_has_at_most_21_images(tmp_path, empty_store, network, epochs):
    empty_store(tmp_path)
    tracker = tracking.open_tracker("mlflow", tmp_path, server=None)
    with (
        tracker.start_run(name="a", params={}, tags={}, lease="digest/one") as run,
        Recorder.open(run, epochs) as recorder,
    ):
        for number in range(epochs + 1):
            epoch = Epoch(number, VALUES, 0.1)
            recorder.add(EpochState(epoch, snapshot(network), 1000))
    files = open_store(tmp_path).client.list_artifacts(run.id, "images")
    steps = {int(file.path.split("+")[2]) for file in files}
    assert len(steps) <= 21 and {0, epochs} <= steps
    assert epochs > 20 or steps == {*range(epochs + 1)}
