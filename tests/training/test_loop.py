import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from pipeline import training
from pipeline.training import Adam, fit, score
from pipeline.training.loop import gradients


def train(split, *, seed=1, lr=0.001, epochs=2, batch_size=32):
    options = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    return training.train(split, hidden=20, **options)


def test_gradients_equal_those_of_autograd(few):
    network, _ = train(few, epochs=1)
    weights = [tensor.detach().double() for tensor in network.parameters()]
    pixels = torch.from_numpy(few.train.images[:32]).flatten(1).double() / 255
    labels = torch.from_numpy(few.train.labels[:32]).long()
    computed = [torch.empty_like(tensor) for tensor in weights]
    gradients(weights, pixels, one_hot(labels, 10).double(), out=computed)

    w_1, b_1, w_2, b_2 = leaves = [t.clone().requires_grad_() for t in weights]
    loss = cross_entropy((pixels @ w_1.T + b_1).relu() @ w_2.T + b_2, labels)
    expected = torch.autograd.grad(loss, leaves)
    for ours, theirs in zip(computed, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_adam_follows_the_formula_of_keras(new_network):
    adam = Adam(new_network(20), lr=0.01)
    expected = adam.parameters.numpy().astype(np.float64)
    mean, square = np.zeros_like(expected), np.zeros_like(expected)
    generator = torch.Generator().manual_seed(1)
    for step in range(1, 6):
        gradient = torch.randn(len(expected), generator=generator)
        adam.gradient.copy_(gradient)
        adam.step()
        g = gradient.numpy().astype(np.float64)
        mean += (g - mean) * (1 - 0.9)
        square += (g**2 - square) * (1 - 0.999)
        alpha = 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected -= mean * alpha / (np.sqrt(square) + 1e-7)
    np.testing.assert_allclose(adam.parameters, expected, rtol=1e-4, atol=1e-6)


def test_the_bits_depend_on_the_seed_and_on_nothing_else(few):
    networks = [train(few, seed=seed)[0] for seed in (1, 1, 2)]
    first, again, other = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_an_epoch_uses_every_image_once_and_averages_the_metrics_over_them(few):
    # With tiny steps the means over the batches are the metrics of the initial network,
    # but only if each image was used exactly once.
    network, (epoch,) = train(few, lr=1e-12, epochs=1, batch_size=37)
    expected = score(network, few.train)
    assert epoch.metrics["train/loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert epoch.metrics["train/accuracy"] == pytest.approx(expected["accuracy"])


def test_val_metrics_are_those_of_the_network_after_the_epoch(few):
    network, history = train(few)
    assert history[-1].metrics["val/loss"] == score(network, few.val)["loss"]
    assert history[-1].metrics["val/accuracy"] == score(network, few.val)["accuracy"]


def test_a_loss_that_overflows_stops_training_and_names_the_step(few):
    message = r"in epoch 1, step 2 of 19: use a smaller lr than 1e\+30; the last "
    with pytest.raises(FloatingPointError, match=message + "good epoch is 0"):
        train(few, lr=1e30)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "index",
    [300 * 20 + 5, 784 * 20, 785 * 20 + 7, 785 * 20 + 200],
    ids=["layer_1.weight", "layer_1.bias", "layer_2.weight", "layer_2.bias"],
)
def test_a_non_finite_weight_stops_training_within_the_epoch(
    few, new_network, index, bad
):
    network = new_network(20)
    adam = Adam(network, lr=0.001)
    adam.parameters[index] = bad  # with a bias of -inf the loss stays finite
    options = {"epochs": [1], "batch_size": 100, "generator": torch.Generator()}
    with pytest.raises(FloatingPointError, match=r"in epoch 1, step \d of 6:"):
        next(fit(network, adam, few, **options))
