import json

import pytest
import torch
from PIL import Image

from pipeline.model import Network
from pipeline.tracking import NullRun
from pipeline.training import EpochState, Recorder
from pipeline.training.recorder import METRICS

VALUES = dict(zip(METRICS, (0.4, 0.9, 0.3, 0.8), strict=True))


@pytest.mark.parametrize("order", [1, -1])
def test_files_do_not_depend_on_the_order_of_the_metrics(tmp_path, few, order):
    network = Network(hidden=3, generator=torch.Generator().manual_seed(1))
    initial = EpochState.of(network)
    metrics = {name: VALUES[name] for name in METRICS[::order]}
    recorder = Recorder(NullRun(), epochs=2)
    recorder.add(initial)
    for epoch in (1, 2):
        recorder.add(EpochState(epoch, initial.tensors, metrics, 0.1, 1000))
    expected = [*VALUES.items(), ("final/train_loss", 0.1)]
    assert list(recorder.finish({"loss": 0.1}).items()) == expected
    recorder.write(tmp_path, network, {}, few.train)
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,train/loss,train/accuracy,val/loss,val/accuracy\n"
        "1,0.4,0.9,0.3,0.8\n"
        "2,0.4,0.9,0.3,0.8\n"
    )
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert list(written.items()) == expected
    run = json.loads((tmp_path / "run.json").read_text())
    assert run == {"run_id": None, "seconds": 0.2}
    with Image.open(tmp_path / "learning_curves.png") as image:
        assert image.width > 500
