import numpy as np
import pytest
import torch

from pipeline.core.dataset import LabeledImages
from pipeline.core.margin import margin, min_margin
from pipeline.core.network import Network


def test_a_margin_is_the_difference_of_the_two_highest_of_ten_probabilities():
    probabilities = np.zeros((3, 10), np.float32)
    probabilities[0, [2, 5, 9]] = 0.125, 0.75, 0.125
    probabilities[1, [0, 1, 7]] = 0.5, 0.375, 0.125
    probabilities[2, [3, 4]] = 0.5  # a tie
    assert margin(probabilities).tolist() == [0.625, 0.125, 0.0]


@pytest.mark.parametrize("count", [1, 2, 20, 1001, 40_000])
def test_min_margin_is_a_quantile_between_the_two_nearest_margins(count):
    network = Network(hidden=20, generator=torch.Generator().manual_seed(count))
    network.vector.mul_(8)  # so that the quantiles of 20 images or more are in (0.2, 1)
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    train = LabeledImages(images, np.zeros(count, np.uint8))
    sample = images[:: 2 if count == 40_000 else 1]
    highest = torch.from_numpy(network.predict(sample)).topk(2).values.double()
    margins = sorted((highest[:, 0] - highest[:, 1]).tolist())
    quantile = np.interp(0.03 * (len(sample) - 1), range(len(sample)), margins)
    expected = max(0.2, quantile)
    assert min_margin(network, train) == pytest.approx(expected, abs=6e-5)
    as_float = LabeledImages(images.astype(np.float32), train.labels)
    assert min_margin(network, as_float) == min_margin(network, train)
