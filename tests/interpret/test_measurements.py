import numpy as np
import pytest
import torch

from pipeline.core.network import network_from, snapshot
from pipeline.interpret import measurements
from pipeline.interpret.neuron_sum import neuron_sums


@pytest.fixture(scope="module")
def activations(trained, mnist):
    return trained.network.hidden_sums(mnist.test.images).relu().numpy()


def test_the_sums_of_30_neurons_for_100_images_are_those_of_float64(trained, mnist):
    tensors = snapshot(trained.network).items()
    exact = {name: tensor.astype(np.float64) for name, tensor in tensors}
    network, images = trained.network, mnist.test.images[:100]
    of_torch = np.hstack([network.hidden_sums(images), network.logits(images)])
    for image, float32 in zip(images, of_torch, strict=True):
        pixels = image.ravel() / 255
        first = exact["layer_1.weight"] @ pixels + exact["layer_1.bias"]
        second = exact["layer_2.weight"] @ np.maximum(first, 0) + exact["layer_2.bias"]
        z = [each.total for each in neuron_sums(network, image).values()]
        np.testing.assert_allclose(z, [*first, *second], atol=1e-9)
        np.testing.assert_allclose(z, float32, atol=1e-4)


def test_the_bits_of_1340_weights_never_change(trained, histories, mnist, new_network):
    always_zero = ~mnist.train.images.any(axis=0).ravel()
    assert always_zero.sum() * 20 == 1_340  # 67 pixels; FACTS of MNIST
    weights = measurements.frozen_weights(histories.weights)
    assert weights.shape == (784, 20) and weights[always_zero].all()
    initial = new_network(20).layer_1.get_weights()[0]
    final = trained.network.layer_1.get_weights()[0]
    assert final[always_zero].tobytes() == initial[always_zero].tobytes()
    assert (final == initial)[weights].all()
    assert (final != initial)[~weights].mean() > 0.999


def test_an_ablated_neuron_acts_as_if_its_outgoing_weights_were_0(
    trained, mnist, activations
):
    images, labels = mnist.test.images, mnist.test.labels
    costs = measurements.ablation_costs(trained.network, activations, labels)

    def accuracies(network):
        correct = network.logits(images).argmax(dim=1).numpy() == labels
        return [correct.mean(), *(correct[labels == d].mean() for d in range(10))]

    for neuron in (0, 3, 19):
        without = snapshot(trained.network)
        without["layer_2.weight"][:, neuron] = 0
        accuracy = accuracies(network_from(without))
        expected = np.subtract(accuracies(trained.network), accuracy)
        np.testing.assert_allclose(costs[neuron], expected, atol=1e-12)
    assert costs[3, 0] > 0.1  # N14 contributes most


def test_the_mean_of_a_digit_without_images_is_0():
    values, labels = np.array([[2.0], [4.0], [1.0]]), np.uint8([1, 1, 9])
    means = measurements.means_by_label(values, labels)
    assert means.tolist() == [[0, 3, *[0] * 7, 1]]


def test_the_activation_rate_is_the_fraction_above_0(
    trained, mnist, activations, new_network
):
    rates = measurements.activation_rates(trained.network, mnist.test.images)
    np.testing.assert_allclose(rates, (activations > 0).mean(axis=0))
    extreme = new_network(2)
    with torch.no_grad():
        extreme.layer_1.bias[:] = torch.tensor([-1e6, 1e6])
    rates = measurements.activation_rates(extreme, mnist.test.images[:50])
    assert rates.tolist() == [0, 1]
