import re

import numpy as np
import pytest

from pipeline.core.epoch import Epoch
from pipeline.core.network import snapshot
from pipeline.tracking import new_tracker
from pipeline.training.log import log_weights, tensor_statistics


def test_statistics_of_a_tensor():
    tensor = np.array([[3.0, 0.0], [-4.0, 0.0]], np.float32)
    statistics = tensor_statistics({"kernel": tensor})
    expected = {"norm": 5, "min": -4, "max": 3, "zeros": 0.5}
    assert statistics == {f"weights/kernel/{key}": x for key, x in expected.items()}


@pytest.mark.parametrize("epochs", [21, 59])
def test_a_longer_run_logs_at_most_20_images_of_its_weights_with_the_first_and_last(
    epochs, empty_store, new_network, tmp_path
):
    empty_store(tmp_path)
    tensors = snapshot(new_network(2))
    tracker = new_tracker("mlflow", tmp_path, server=None)
    with tracker.start_run(name="long", params={}, tags={}) as run:
        for number in range(epochs + 1):
            log_weights(run, Epoch(tensors, number), epochs)
    paths = (run.artifacts / "images").glob("*.png")
    steps = sorted(int(re.search(r"step\+(\d+)", path.name)[1]) for path in paths)
    assert steps[0] == 0 and steps[-1] == epochs
    assert 10 <= len(steps) - 1 <= 20
