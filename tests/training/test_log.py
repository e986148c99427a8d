import numpy as np
import pytest

from pipeline.core.epoch import Epoch
from pipeline.training.log import shown_epochs, tensor_statistics


def test_statistics_of_a_tensor():
    tensor = np.array([[3.0, 0.0], [-4.0, 0.0]], np.float32)
    statistics = tensor_statistics({"kernel": tensor})
    expected = {"norm": 5, "min": -4, "max": 3, "zeros": 0.5}
    assert statistics == {f"weights/kernel/{key}": x for key, x in expected.items()}


@pytest.mark.parametrize("epochs", [11, 29])
def test_a_longer_run_shows_at_most_10_epochs_with_the_first_and_the_last(epochs):
    tensors = {"layer_1.weight": np.zeros((1, 784), np.float32)}
    trained = [Epoch(tensors, number, {}, 0.0, 0) for number in range(epochs + 1)]
    shown = shown_epochs(trained, epochs)
    assert (shown[0].number, shown[-1].number) == (0, epochs)
    assert 5 <= len(shown) - 1 <= 10
