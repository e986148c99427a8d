import copy
import math
import pickle

import jaxtyping
import numpy as np
import pytest
import torch

from pipeline import UserError
from pipeline.core.metrics import accuracy, cross_entropy
from pipeline.core.network import Dense, to_pixels


@pytest.mark.parametrize(("inputs", "neurons"), [(784, 20), (20, 10), (784, 80)])
def test_initial_weights_fill_the_range_of_glorot(inputs, neurons):
    layer = Dense(inputs, neurons, generator=torch.Generator().manual_seed(1))
    limit = math.sqrt(6 / (inputs + neurons))
    weights = layer.weight.detach().numpy()
    assert 0.97 * limit < np.abs(weights).max() <= limit
    # Uniform in +-limit: the variance is limit**2 / 3.
    assert weights.var() == pytest.approx(limit**2 / 3, rel=0.1)
    assert not layer.bias.any()


def test_probabilities_loss_and_accuracy_equal_numpys(new_network, few):
    net, images, labels = new_network(20), few.val.images, few.val.labels
    (w_1, b_1), (w_2, b_2) = (layer.get_weights() for layer in net.children())
    pixels = images.reshape(-1, 784).astype(np.float64) / 255
    powers = np.exp(np.maximum(pixels @ w_1 + b_1, 0) @ w_2 + b_2)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict(images), expected, atol=1e-6)
    logits, targets = net.logits(images), torch.from_numpy(labels).long()
    loss = -np.log(expected[np.arange(len(labels)), labels]).mean()
    assert cross_entropy(logits, targets).item() == pytest.approx(loss, rel=1e-6)
    correct = (expected.argmax(axis=1) == labels).mean()
    assert accuracy(logits, targets).item() == pytest.approx(correct)


def test_logits_do_not_depend_on_the_number_of_images(new_network, mnist):
    net, images = new_network(20), mnist.test.images[:2500]
    logits = net(to_pixels(images)).detach()
    np.testing.assert_allclose(net.logits(images), logits, atol=1e-5)


@pytest.mark.parametrize("name", ["logits", "hidden_sums", "predict", "classify"])
def test_images_that_are_not_gray_levels_are_refused(
    new_network, few, monkeypatch, name
):
    # Outside tests, nothing else checks the types and shapes of arguments.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    method, images = getattr(new_network(20), name), few.val.images
    for wrong, got in {
        "scaled": (np.float32(images / 255), r"float32 .*pixels in \[0, 1\], pass"),
        "one": (images[0], r"uint8 with \(28, 28\): one image is image\[None\]"),
        "flat": (images.reshape(-1, 784), r"uint8 with \(\d+, 784\)"),
        "signed": (images.astype(np.int64), "int64"),
    }.values():
        rule = r"0 to 255, as uint8 with the shape \(n, 28, 28\), got"
        with pytest.raises(UserError, match=f"{rule} {got}"):
            method(wrong)
    found, expected = method(torch.from_numpy(images.copy())), method(images)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "make", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))]
)
def test_a_copy_of_a_network_is_trained_as_a_whole(new_network, few, make):
    network = new_network(20)
    before, copied = network.logits(few.val.images), make(network)
    assert torch.equal(copied.logits(few.val.images), before)
    copied.vector.zero_()
    assert not copied.logits(few.val.images).any()
    assert torch.equal(network.logits(few.val.images), before)


def test_the_loss_of_a_certain_error_is_finite():
    loss = cross_entropy(torch.tensor([[500.0, -500.0]]), torch.tensor([1]))
    assert loss.item() == 1000
