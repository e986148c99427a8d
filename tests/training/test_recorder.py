import json

import pytest
import torch
from PIL import Image

from pipeline.model.network import Network
from pipeline.tracking import NullRun
from pipeline.training.checkpoints import EpochState
from pipeline.training.recorder import METRICS, Recorder

NUMBERS = dict(zip(METRICS, (0.4, 0.9, 0.3, 0.8), strict=True))


def moments(*, reverse):
    """The initial network and two epochs, their metrics in one order or another."""
    network = Network(hidden=3, generator=torch.Generator().manual_seed(1))
    first = EpochState.now(network)
    order = list(NUMBERS)[::-1] if reverse else list(NUMBERS)
    metrics = {name: NUMBERS[name] for name in order}
    return [first, *(EpochState(n, first.tensors, metrics, 0.1, 1000) for n in (1, 2))]


@pytest.mark.parametrize("reverse", [False, True])
def test_files_do_not_depend_on_the_order_in_which_metrics_come(tmp_path, few, reverse):
    record = Recorder(NullRun(), epochs=2)
    for moment in moments(reverse=reverse):
        record.add(moment)
    record.write(tmp_path, {"final/train_loss": 0.1})
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,train/loss,train/accuracy,val/loss,val/accuracy\n"
        "1,0.4,0.9,0.3,0.8\n"
        "2,0.4,0.9,0.3,0.8\n"
    )
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert list(written.items()) == [*NUMBERS.items(), ("final/train_loss", 0.1)]
    assert json.loads((tmp_path / "run.json").read_text()) == {
        "run_id": None,
        "seconds": 0.2,
    }
    with Image.open(tmp_path / "learning_curves.png") as picture:
        assert picture.width > 500
