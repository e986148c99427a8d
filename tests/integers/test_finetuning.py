import math
from dataclasses import astuple

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from pipeline.base.tensors import tensors_sha256
from pipeline.core.network import snapshot
from pipeline.core.threads import one_thread
from pipeline.integers import BIT_WIDTHS, QuantizedModel
from pipeline.integers.finetuning import finetune
from pipeline.integers.quantization import quantize


def sha256(network):
    return tensors_sha256(snapshot(network))


def test_the_seed_determines_the_bytes_and_the_passed_network_does_not_change(
    trained_on_few, few
):
    network = trained_on_few().network
    before = sha256(network)
    results = []
    for seed in (1, 1, 2):
        epochs = [*finetune(network, few.train, bits=4, epochs=2, seed=seed)]
        results.append([sha256(state) for state in epochs])
    first, again, other = results
    assert len({*first}) == 2  # each epoch changes the network
    assert first == again
    assert not {*first} & {*other}
    assert sha256(network) == before


@pytest.mark.parametrize("bits", BIT_WIDTHS)
def test_gradients_are_those_of_the_rounded_weights_and_steps_change_the_floats(
    bits, trained_on_few, few
):
    # One batch per epoch: the order of the images does not matter.
    train, network = few.train.pick(slice(100)), trained_on_few().network
    *_, tuned = finetune(network, train, bits=bits, epochs=4, seed=1)

    tensors = snapshot(network).values()
    w_1, b_1, w_2, b_2 = leaves = [torch.tensor(t, requires_grad=True) for t in tensors]
    pixels = torch.from_numpy(train.images).flatten(1) / 255
    labels = torch.from_numpy(train.labels).long()
    means, squares = ([torch.zeros_like(t) for t in leaves] for _ in range(2))
    for step in range(4):
        q, scale = BIT_WIDTHS[bits].quantize(w_1.detach().numpy().astype(float))
        rounded = torch.from_numpy(np.float32(q * scale[:, None]))
        straight_through = w_1 + (rounded - w_1).detach()
        hidden = (pixels @ straight_through.T + b_1).relu()
        loss = cross_entropy(hidden @ w_2.T + b_2, labels)
        rate = 0.001 * (1 + math.cos(math.pi * step / 4)) / 2
        rate *= math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        slopes = torch.autograd.grad(loss, leaves)
        with torch.no_grad():
            for leaf, m, v, slope in zip(leaves, means, squares, slopes, strict=True):
                m += (slope - m) * (1 - 0.9)
                v += (slope**2 - v) * (1 - 0.999)
                leaf -= rate * m / (v.sqrt() + 1e-7)
    for leaf, actual in zip(leaves, snapshot(tuned).values(), strict=True):
        np.testing.assert_allclose(actual, leaf.detach().numpy(), atol=1e-5)


def test_a_network_is_fine_tuned_with_the_seed_of_its_training_run(
    trained_on_few, small_dataset
):
    trained = trained_on_few(seed=2)
    found = QuantizedModel.of(trained, small_dataset, bits=4, finetuning_epochs=1)
    for seed, is_equal in ((2, True), (0, False)):
        train = small_dataset.split("exercise").train
        with one_thread():
            (tuned,) = finetune(trained.network, train, bits=4, epochs=1, seed=seed)
        expected = quantize(tuned, train.images, bits=4)
        assert np.array_equal(found.integers.weights_1, expected.weights_1) == is_equal


def test_the_number_of_threads_does_not_change_the_bytes(trained_on_few, small_dataset):
    before, results = torch.get_num_threads(), []
    for threads in (1, 4):
        torch.set_num_threads(threads)
        model = QuantizedModel.of(trained_on_few(), small_dataset, bits=4)
        results.append([array.tobytes() for array in astuple(model.integers)[1:-1]])
    torch.set_num_threads(before)
    assert results[0] == results[1]


def test_fine_tuning_restores_the_accuracy_that_rounding_costs(quantized):
    rounded, tuned = (quantized(1, epochs=epochs).report.accuracy for epochs in (0, 10))
    assert tuned > rounded + 0.02
