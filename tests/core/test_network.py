import copy
import math
import pickle

import jaxtyping
import numpy as np
import pytest
import torch

from pipeline import UserError
from pipeline.core.metrics import agreement, cross_entropy, predicted
from pipeline.core.network import Dense, network_from, snapshot
from pipeline.core.shapes import parameter_count, tensor_shapes


@pytest.mark.parametrize(("inputs", "neurons"), [(784, 20), (20, 10), (784, 80)])
def test_initial_weights_fill_the_range_of_glorot(inputs, neurons):
    layer = Dense(inputs, neurons, generator=torch.Generator().manual_seed(1))
    limit = math.sqrt(6 / (inputs + neurons))
    weights = layer.weight.detach().numpy()
    assert 0.97 * limit < np.abs(weights).max() <= limit
    # Uniform in +-limit: the variance is limit**2 / 3.
    assert weights.var() == pytest.approx(limit**2 / 3, rel=0.1)
    assert not layer.bias.any()


def test_the_shapes_of_the_tensors_are_known_without_a_network(new_network):
    network = new_network(hidden=7)
    shapes = {name: tensor.shape for name, tensor in snapshot(network).items()}
    assert shapes == tensor_shapes(7)
    assert network.vector.numel() == parameter_count(7) == network.parameter_count


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
    assert agreement(net.classify(images), labels) == pytest.approx(correct)


def test_logits_of_gray_levels_and_of_pixels_differ_only_by_rounding(
    trained_on_few, mnist
):
    # 2,500 pixels at once, but gray levels in blocks.
    net, images = trained_on_few().network, mnist.test.images[:2500]
    logits = net(torch.from_numpy(images / np.float32(255))).detach()
    np.testing.assert_allclose(net.logits(images), logits, atol=1e-5)


@pytest.mark.parametrize("name", ["predict", "classify"])
def test_images_that_are_not_gray_levels_are_rejected(
    new_network, few, monkeypatch, name
):
    # Outside tests, nothing else checks the types and shapes of arguments.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    method, images = getattr(new_network(20), name), few.val.images
    expected = method(images)
    tensor = torch.from_numpy(images / 255).requires_grad_()
    for wrong, got in {
        "scaled": (np.float32(images / 255), r"float32 with \(\d+, 28, 28\)"),
        "flat": (images.reshape(-1, 784), r"uint8 with \(\d+, 784\)"),
        "gradients": (tensor, "float64 with"),
        "ragged": ([[1], [1, 2]], "list without a NumPy array"),
        "sparse": (tensor.to_sparse(), "torch.float64 without a NumPy array"),
    }.values():
        rule = rf"^images must be .* with the shape \(n, 28, 28\), got {got}"
        with pytest.raises(UserError, match=rule):
            method(wrong)
    assert np.array_equal(method(torch.from_numpy(images.copy())), expected)
    assert np.array_equal(method(images[:9][::-1]), method(images[:9][::-1].copy()))


def test_a_default_type_of_a_program_does_not_change_a_network(new_network, few):
    network, images = new_network(20), few.val.images
    torch.set_default_dtype(torch.float64)
    try:
        same = network_from(snapshot(network))
        created, logits = new_network(20), same.logits(images)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(logits, network.logits(images))
    for other in (same, created):
        assert other.vector.dtype is torch.float32
        assert torch.equal(other.vector, network.vector)


@pytest.mark.parametrize("convert", ["double", "half", "bfloat16"])
def test_a_network_cannot_be_converted_to_another_type(new_network, few, convert):
    network, images = new_network(20), few.val.images
    before = network.logits(images)
    with pytest.raises(UserError, match="must stay float32 on the CPU: convert its "):
        getattr(network, convert)()
    with pytest.raises(UserError, match="must keep its tensors: leave out assign"):
        network.load_state_dict(new_network(20).state_dict(), assign=True)
    assert network.float() is network.to("cpu") is network
    network.vector.mul_(2)  # the layers still share the vector
    assert not torch.equal(network.logits(images), before)


def test_without_images_there_are_no_predictions(new_network):
    none = np.zeros((0, 28, 28), np.uint8)
    assert new_network(20).predict(none).shape == (0, 10)


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


def test_the_predicted_class_is_the_first_of_the_most_probable_classes():
    logits = torch.zeros(3, 10)
    logits[1, [4, 7]] = 2
    logits[2, [3, 8, 9]] = torch.tensor([1.0, 2.0, 2.0])
    for count in (1, 100):  # few and many rows
        classes = predicted(logits.repeat(count, 1))
        assert classes.tolist() == [0, 4, 8] * count
