import math

import numpy as np
import pytest
import torch

from pipeline.model.network import Dense, Network, to_pixels


def network(hidden=20, seed=1):
    return Network(hidden=hidden, generator=torch.Generator().manual_seed(seed))


def test_the_network_of_the_exercise_has_15910_parameters():
    assert network().parameter_count == 784 * 20 + 20 + 20 * 10 + 10 == 15_910
    assert network(33).hidden == 33


def test_get_weights_gives_copies():
    net = network()
    net.layer_1.get_weights()[0][:] = 7
    assert net.layer_1.weight.max() < 1


@pytest.mark.parametrize(("inputs", "neurons"), [(784, 20), (20, 10), (784, 80)])
def test_initial_weights_fill_the_range_of_glorot(inputs, neurons):
    layer = Dense(inputs, neurons, generator=torch.Generator().manual_seed(1))
    limit = math.sqrt(6 / (inputs + neurons))
    weights = layer.weight.detach().numpy()
    assert 0.97 * limit < np.abs(weights).max() <= limit
    # Uniform in +-limit: the variance is limit**2 / 3.
    assert weights.var() == pytest.approx(limit**2 / 3, rel=0.1)
    assert not layer.bias.any()


def test_probabilities_equal_numpys(few):
    net = network()
    (w_1, b_1), (w_2, b_2) = (layer.get_weights() for layer in net.children())
    pixels = few.val.images.reshape(-1, 784).astype(np.float64) / 255
    logits = np.maximum(pixels @ w_1 + b_1, 0) @ w_2 + b_2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict(few.val.images), expected, atol=1e-6)


def test_logits_do_not_depend_on_the_number_of_images(mnist):
    net = network()
    images = mnist.test.images[:2500]
    np.testing.assert_allclose(
        net.logits(images), net(to_pixels(images)).detach(), atol=1e-5
    )
