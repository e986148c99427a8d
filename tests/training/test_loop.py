import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from pipeline import training
from pipeline.datasets import Split
from pipeline.model import Network
from pipeline.training import Adam, fit, loop, score
from pipeline.training.loop import gradients


def new_network(seed=1):
    return Network(hidden=20, generator=torch.Generator().manual_seed(seed))


def train(split, *, seed=1, lr=0.001, epochs=2, batch_size=32):
    options = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    return training.train(split, hidden=20, **options)


def batch(split, dtype=torch.float64, rows=32):
    """Return weights after an epoch and the first images and labels, in float64."""
    network, _ = train(split, epochs=1)
    weights = [tensor.detach().to(dtype) for tensor in network.parameters()]
    pixels = torch.from_numpy(split.train.images[:rows]).flatten(1).to(dtype) / 255
    labels = torch.from_numpy(split.train.labels[:rows]).long()
    return weights, pixels, labels


def our_gradients(weights, pixels, labels):
    out = [torch.empty_like(tensor) for tensor in weights]
    logits = torch.empty(len(labels), 10, dtype=pixels.dtype)
    gradients(weights, pixels, one_hot(labels, 10).to(pixels.dtype), logits, out=out)
    return out


def loss_of(weights, pixels, labels):
    w_1, b_1, w_2, b_2 = weights
    return cross_entropy((pixels @ w_1.T + b_1).relu() @ w_2.T + b_2, labels)


def test_gradients_equal_those_of_autograd(few):
    weights, pixels, labels = batch(few)
    leaves = [tensor.clone().requires_grad_() for tensor in weights]
    expected = torch.autograd.grad(loss_of(leaves, pixels, labels), leaves)
    for ours, theirs in zip(
        our_gradients(weights, pixels, labels), expected, strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_gradients_equal_finite_differences(few):
    weights, pixels, labels = batch(few)
    computed = our_gradients(weights, pixels, labels)
    generator = torch.Generator().manual_seed(1)
    for tensor, slope in zip(weights, computed, strict=True):
        for place in torch.randperm(tensor.numel(), generator=generator)[:10]:
            losses = []
            for step in (1e-6, -2e-6):
                tensor.view(-1)[place] += step
                losses.append(loss_of(weights, pixels, labels).item())
            tensor.view(-1)[place] += 1e-6
            difference = (losses[0] - losses[1]) / 2e-6
            assert slope.reshape(-1)[place].item() == pytest.approx(
                difference, abs=1e-7
            )


def test_adam_follows_the_formula_of_keras():
    adam = Adam(new_network(), lr=0.01)
    expected = adam.parameters.numpy().astype(np.float64)
    mean, square = np.zeros_like(expected), np.zeros_like(expected)
    generator = torch.Generator().manual_seed(1)
    for step in range(1, 6):
        gradient = torch.randn(len(expected), generator=generator)
        adam.step(gradient)
        g = gradient.numpy().astype(np.float64)
        mean += (g - mean) * (1 - 0.9)
        square += (g**2 - square) * (1 - 0.999)
        alpha = 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected -= mean * alpha / (np.sqrt(square) + 1e-7)
    np.testing.assert_allclose(adam.parameters, expected, rtol=1e-4, atol=1e-6)


def test_adam_agrees_with_pytorchs_where_epsilon_is_small():
    adam = Adam(new_network(), lr=0.01)
    theirs = adam.parameters.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.01, eps=1e-12)
    generator = torch.Generator().manual_seed(2)
    for _ in range(5):
        gradient = torch.rand(len(theirs), generator=generator) + 0.5
        adam.step(gradient)
        theirs.grad = gradient
        optimizer.step()
    torch.testing.assert_close(adam.parameters, theirs.detach(), rtol=1e-4, atol=1e-5)


def test_the_tensors_of_the_network_are_views_of_the_vector_of_adam():
    network = new_network()
    adam = Adam(network, lr=0.001)
    adam.parameters.fill_(0.5)
    assert all((tensor == 0.5).all() for tensor in network.parameters())


def test_64_images_can_be_memorised(few):
    rows = np.arange(64)
    split = Split(few.train.pick(rows), few.val)
    network, _ = train(split, epochs=200, batch_size=16)
    assert score(network, split.train)["accuracy"] == 1


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


def test_the_generator_gives_every_epoch_another_order(few, monkeypatch):
    orders = []
    draw = torch.randperm

    def recording(n, *, generator):
        orders.append(draw(n, generator=generator))
        return orders[-1]

    monkeypatch.setattr(torch, "randperm", recording)
    train(few)
    assert [sorted(order.tolist()) for order in orders] == [list(range(600))] * 2
    assert not torch.equal(*orders)


def test_loss_starts_near_ln_10_and_falls(few):
    _, history = train(few, lr=1e-12, epochs=1)
    assert history[0].metrics["train/loss"] == pytest.approx(2.3026, abs=0.2)
    _, history = train(few, epochs=5)
    losses = [epoch.metrics["train/loss"] for epoch in history]
    assert losses == sorted(losses, reverse=True)
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5]


def test_val_metrics_are_those_of_the_network_after_the_epoch(few):
    network, history = train(few)
    assert history[-1].metrics["val/loss"] == score(network, few.val)["loss"]
    assert history[-1].metrics["val/accuracy"] == score(network, few.val)["accuracy"]


def test_a_loss_that_overflows_stops_the_training_and_names_the_step(few):
    message = r"in epoch 1, step 2 of 19: use a smaller lr than 1e\+30; the last "
    with pytest.raises(FloatingPointError, match=message + "good epoch is 0"):
        train(few, lr=1e30)


def test_the_first_step_with_a_non_finite_loss_is_named():
    labels = torch.zeros(9, dtype=torch.int64)
    logits = torch.zeros(9, 10)
    assert loop._first_non_finite_step(logits, labels, 2) == "step 5 of 5"
    logits[7], logits[4, 0] = torch.nan, -torch.inf
    assert loop._first_non_finite_step(logits, labels, 2) == "step 3 of 5"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "place",
    [300 * 20 + 5, 784 * 20, 785 * 20 + 7, 785 * 20 + 200],
    ids=["layer_1.weight", "layer_1.bias", "layer_2.weight", "layer_2.bias"],
)
def test_a_non_finite_weight_stops_the_training_within_the_epoch(few, place, bad):
    network = new_network()
    adam = Adam(network, lr=0.001)
    adam.parameters[place] = bad  # with a bias of -inf the loss stays finite
    options = {"epochs": [1], "batch_size": 100, "generator": torch.Generator()}
    with pytest.raises(FloatingPointError, match=r"in epoch 1, step \d of 6:"):
        next(fit(network, adam, few, **options))
