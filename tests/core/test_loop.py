import copy
import math
import pickle
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot
from torch.nn.utils import vector_to_parameters

from pipeline.cli import defaults
from pipeline.core import loop
from pipeline.core.dataset import LabeledImages
from pipeline.core.hyperparameters import SPLITS, Hyperparameters
from pipeline.core.loop import TrainingState, fit, score
from pipeline.core.network import network_from
from pipeline.core.optimizer import Adam
from pipeline.core.threads import one_thread


def train(dataset, *, lr=0.001, epochs=2, **options):
    chosen = Hyperparameters(**defaults() | {"epochs": epochs, **options})
    chosen = chosen.model_copy(update={"lr": lr})  # may exceed its bounds
    _, *history = loop.train_network(dataset, chosen)
    return network_from(history[-1].tensors), history


def test_gradients_equal_autograd_and_finite_differences(small_dataset, new_network):
    trained, _ = train(small_dataset, epochs=1)
    network = new_network(20)
    network.vector = trained.vector.double()  # the methods of a network reject float64
    vector_to_parameters(network.vector, network.parameters())
    network.matrices = network.views(network.vector)
    images = torch.from_numpy(small_dataset.train.images[:32]).flatten(1).double()
    pixels = images / 255
    labels = torch.from_numpy(small_dataset.train.labels[:32]).long()
    gradient = torch.zeros_like(network.vector)
    targets = one_hot(labels, 10).double().T
    network.gradients(images.T, targets, out=network.views(gradient))

    def loss(w_1, b_1, w_2, b_2):
        logits = w_2 @ (w_1 @ pixels.T + b_1).relu() + b_2
        return cross_entropy(logits.T, labels)

    leaves = [t.clone().requires_grad_() for t in network.matrices]
    expected = torch.autograd.grad(loss(*leaves), leaves)
    for ours, theirs in zip(network.views(gradient), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)

    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        step = 1e-7 * torch.randn(gradient.shape, generator=generator).double()
        after, before = (
            loss(*network.views(network.vector + s)) for s in (step, -step)
        )
        torch.testing.assert_close(
            (after - before) / 2, gradient @ step, rtol=1e-4, atol=0
        )


def test_adam_equals_pytorchs_adam_with_the_epsilon_of_keras():
    draw = partial(torch.randn, 1000, generator=torch.Generator().manual_seed(1))
    parameters = draw(dtype=torch.float64)
    expected = parameters.clone()
    ours, theirs = Adam(parameters, lr=0.01), torch.optim.Adam([expected], lr=0.01)
    for step in range(1, 6):
        expected.grad = draw(dtype=torch.float64)
        ours.step(expected.grad)
        # Keras adds epsilon before the bias of the average is removed, PyTorch after.
        theirs.param_groups[0]["eps"] = 1e-7 / math.sqrt(1 - 0.999**step)
        theirs.step()
        torch.testing.assert_close(parameters, expected, rtol=1e-12, atol=1e-12)


def test_equal_seeds_give_equal_bits_and_different_seeds_different_bits(small_dataset):
    networks = [train(small_dataset, seed=seed)[0] for seed in (1, 1, 2)]
    first, again, other = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_a_training_state_cannot_be_copied_but_its_network_can(few):
    given = Hyperparameters(**defaults())
    state = TrainingState.initial(given)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="keep its tensors, and call network_from"):
            copied(state)
    before = copy.deepcopy(state.network)
    (epoch,) = fit(state, few, given, epochs=[1])
    assert not torch.equal(before.vector, state.network.vector)
    assert torch.equal(network_from(epoch.tensors).vector, state.network.vector)


def test_images_in_floating_point_train_the_same_network(small_dataset):
    train_images, test_images = (
        LabeledImages(part.images.astype("f4"), part.labels)
        for part in (small_dataset.train, small_dataset.test)
    )
    floats = replace(small_dataset, train=train_images, test=test_images)
    (network, history), (expected, epochs) = train(floats), train(small_dataset)
    assert torch.equal(network.vector, expected.vector)
    assert history[-1].metrics == epochs[-1].metrics


@contextmanager
def changed(name, value):
    """Set one of PyTorch's settings in a block, with its functions set_ and get_."""
    get, change = (getattr(torch, f"{verb}_{name}") for verb in ("get", "set"))
    before = get()
    change(value)
    try:
        yield
        assert get() == value
    finally:
        change(before)


@contextmanager
def lower_precision(place):
    """Let PyTorch compute products in bfloat16, with a setting of PyTorch 2.9."""
    if not hasattr(place, "fp32_precision"):
        pytest.skip("this version of PyTorch has no fp32_precision")
    place.fp32_precision = "bf16"
    try:
        yield
        assert place.fp32_precision == "bf16"
    finally:
        place.fp32_precision = "none"


SETTINGS = {
    "precision": lambda: changed("float32_matmul_precision", "medium"),
    "dtype": lambda: changed("default_dtype", torch.float64),
    "default device": lambda: changed("default_device", torch.device("meta")),
    "device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu"),
    "inference": lambda: torch.inference_mode(),
    "fp32_precision": lambda: lower_precision(torch.backends),
    "of oneDNN": lambda: lower_precision(getattr(torch.backends.mkldnn, "matmul", 0)),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_the_settings_of_a_program_do_not_change_the_bits(small_dataset, setting):
    with one_thread():
        expected = train(small_dataset)[0].vector
    with setting():
        with one_thread():
            _, history = train(small_dataset)
        assert torch.equal(expected, network_from(history[-1].tensors).vector)


def test_flushing_denormal_numbers_to_zero_does_not_change_the_bits(small_dataset):
    with one_thread():
        expected, _ = train(small_dataset)
        torch.set_flush_denormal(False)
        network, _ = train(small_dataset)
    assert torch.equal(network.vector, expected.vector)


def test_an_epoch_uses_every_image_once_and_averages_the_metrics_over_them(
    small_dataset,
):
    # With tiny steps the means over the batches are the metrics of the initial network,
    # but only if each image was used exactly once.
    network, (epoch,) = train(small_dataset, lr=1e-12, epochs=1, batch_size=37)
    expected = score(network, small_dataset.train)
    assert epoch.metrics["train/loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert epoch.metrics["train/accuracy"] == pytest.approx(expected["accuracy"])


@pytest.mark.parametrize("name", SPLITS)
def test_val_metrics_are_those_of_the_network_after_the_epoch(small_dataset, name):
    network, history = train(small_dataset, split=name)
    expected = score(network, small_dataset.split(name).val)
    assert history[-1].metrics["val/loss"] == expected["loss"]
    assert history[-1].metrics["val/accuracy"] == expected["accuracy"]


def test_a_loss_that_overflows_stops_training_and_names_the_step(small_dataset):
    message = "train/loss, val/loss, weights became non-finite in epoch 1, "
    message += (
        r"in step 2 of 19 or earlier \(the last epoch with finite values is 0\): use "
        r"an lr smaller than 1e\+30"
    )
    with pytest.raises(FloatingPointError, match=message):
        train(small_dataset, lr=1e30)


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
    state = TrainingState(network, Adam(network.vector, lr=0.001), torch.Generator())
    network.vector[index] = bad  # with a bias of -inf the loss stays finite
    chosen = Hyperparameters(**defaults() | {"batch_size": 100})
    message = r"weights became non-finite in epoch 1, in step \d of 6 or earlier \("
    with pytest.raises(FloatingPointError, match=message):
        next(fit(state, few, chosen, epochs=[1]))
