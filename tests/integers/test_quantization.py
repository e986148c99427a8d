import copy
import math
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from numpy._core._multiarray_umath import __cpu_dispatch__

from pipeline import UserError
from pipeline.base.tensors import read_tensors, write_tensors
from pipeline.cli import ExportConfig
from pipeline.core.network import snapshot
from pipeline.deploy.probes import probe_images
from pipeline.integers import BIT_WIDTHS, QuantizedModel
from pipeline.integers.bit_widths import round_half_up
from pipeline.integers.integers_file import load_integers, save_integers
from pipeline.integers.quantization import fitting_shifts, quantize

ALL_BIT_WIDTHS = pytest.mark.parametrize("bits", BIT_WIDTHS)


def test_the_command_line_accepts_each_bit_width_and_no_other():
    accepted = get_args(ExportConfig.model_fields["bits"].annotation)
    assert accepted == (*BIT_WIDTHS, "all")


def half_up(value):
    return math.floor(value + 0.5)


def one_neuron(weights, bits):
    """Return the integers and the scale of a neuron, by the table in the README."""
    sizes = [abs(w) for w in weights]
    mean = math.fsum(sizes) / len(sizes)
    if bits == 2:
        least = 0.7 * mean
        large = [size for size in sizes if size > least]
        signs = [(w > 0) - (w < 0) if abs(w) > least else 0 for w in weights]
        return signs, math.fsum(large) / len(large)
    if bits > 2:
        n = 2 ** (bits - 1) - 1
        scale = (max(sizes) if bits == 8 else 3 * mean) / n
        return [max(-n, min(n, half_up(w / scale))) for w in weights], scale
    return [1 if w >= 0 else -1 for w in weights], mean


def test_no_images_give_no_results(quantized, mnist):
    network, none = quantized(8).integers, mnist.test.images[:0]
    assert network.logits(network.sums(none)).shape == (0, 10)
    assert network.classify(none).shape == (0,)


@ALL_BIT_WIDTHS
def test_the_integers_follow_the_formulas(bits, quantized):
    model = quantized(bits, epochs=0)
    tensors = snapshot(model.trained.network)
    w_1, b_1, w_2, b_2 = (t.tolist() for t in tensors.values())
    q1, s = zip(*(one_neuron(row, bits) for row in w_1), strict=True)
    b1q = [half_up(255 * b / scale) for b, scale in zip(b_1, s, strict=True)]
    images = model.dataset.train.images.reshape(-1, 784).astype(int)
    sums = np.einsum("ji,ni->nj", np.array(q1), images) + b1q
    n = []
    for largest in sums.max(axis=0).tolist():
        fits = (k for k in range(32) if half_up(largest / 2**k) <= 255)
        n.append(next(fits))
    v = [[w * s[j] * 2 ** n[j] / 255 for j, w in enumerate(row)] for row in w_2]
    s2 = max(abs(x) for row in v for x in row) / 127
    q2 = [[half_up(x / s2) for x in row] for row in v]
    b2q = [half_up(b / s2) for b in b_2]
    expected = {"weights_1": q1, "biases_1": b1q, "shifts": n}
    expected |= {"weights_2": q2, "biases_2": b2q}
    for name, values in expected.items():
        np.testing.assert_array_equal(getattr(model.integers, name), values)
    np.testing.assert_allclose(model.integers.scale_1, s, rtol=1e-12)
    assert model.integers.scale_2 == pytest.approx(s2, rel=1e-12)

    few_sums = sums[:20].tolist()
    for row, logits in zip(few_sums, model.integers.logits(sums[:20]), strict=True):
        h = [min(255, half_up(max(x, 0) / 2**k)) for x, k in zip(row, n, strict=True)]
        assert logits.tolist() == [
            b + sum(q * x for q, x in zip(weights, h, strict=True))
            for weights, b in zip(q2, b2q, strict=True)
        ]
    np.testing.assert_array_equal(
        model.integers.sums(images.astype(np.uint8).reshape(-1, 28, 28)), sums
    )


@ALL_BIT_WIDTHS
def test_scales_do_not_depend_on_the_order_of_the_weights(bits, trained_on_few):
    # Processors and versions of NumPy may add in different orders.
    weights = snapshot(trained_on_few().network)["layer_1.weight"].astype(float)
    weights[3] *= 10.0 ** np.linspace(-9, 0, 784)
    order = np.random.default_rng(1).permutation(784)
    q, scale = BIT_WIDTHS[bits].quantize(weights)
    q_other, scale_other = BIT_WIDTHS[bits].quantize(weights[:, order])
    assert scale.tobytes() == scale_other.tobytes()
    np.testing.assert_array_equal(q[:, order], q_other)


def test_the_integers_do_not_depend_on_the_processor(trained_on_few, few, monkeypatch):
    # In the other process, NumPy and OpenBLAS compute as on a processor of 2008.
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", " ".join(__cpu_dispatch__))
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    code = "__import__('numpy')._core._multiarray_umath.__cpu_features__"
    arguments = trained_on_few().network, few.train.images
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        features = other.submit(eval, code).result()
        assert not any(features[name] for name in __cpu_dispatch__)
        for bits in BIT_WIDTHS:
            actual = vars(other.submit(quantize, *arguments, bits=bits).result())
            for name, expected in vars(quantize(*arguments, bits=bits)).items():
                np.testing.assert_array_equal(actual[name], expected)


def test_a_weight_lies_in_one_byte_of_the_table():
    assert [width.stored_bits for width in BIT_WIDTHS.values()] == [8, 4, 2, 1]
    three_bits = replace(BIT_WIDTHS[4], bits=3, largest=3)
    q = np.zeros((1, 784), np.int8)
    q[0, :4] = -3, 3, 0, 1
    packed = three_bits.pack(q)
    assert packed[:2].tolist() == [0xB5, 0x98] and len(packed) == 784 // 2


def test_ties_are_rounded_up():
    ties = np.array([-1.5, -0.5, 0.5, 1.5])
    assert round_half_up(ties).tolist() == [-1, 0, 1, 2]


def test_a_shift_is_the_smallest_that_fits_a_sum_into_8_bits():
    # 511 rounded to a multiple of 2 is 512, which a shift by 1 leaves at 256.
    largest = np.array([-7, 0, 255, 256, 510, 511, 1021, 1022, 2**31 - 1])
    assert fitting_shifts(largest).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 24]


@ALL_BIT_WIDTHS
def test_the_probes_reach_the_bounds_of_all_sums(bits, quantized):
    network = quantized(bits).integers
    bounds = network.largest_values()
    images = probe_images(network, generator=np.random.default_rng(1))
    sums = network.sums(images)
    assert np.abs(sums).max() == bounds["sum"]
    rounded = np.maximum(sums, 0) + network.half
    assert rounded.max() == bounds["sum before its shift"]
    # The neurons are 255 where a class has a weight above 0, and 0 elsewhere.
    weights = network.weights_2
    extremes = np.concatenate([weights > 0, weights < 0]) * np.int64(2**31)
    assert np.abs(network.logits(extremes)).max() == bounds["logit"]
    assert np.abs(network.logits(sums)).max() <= bounds["logit"]
    assert (network.activations(sums) == 255).any()


def changed(network, name, value, at=...):
    """Return a copy of a network with different values in one of its tensors."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        network.get_parameter(name)[at] = value
    return network


@pytest.mark.parametrize(
    ("name", "value", "at", "message"),
    [
        ("layer_1.weight", math.nan, (3, 300), "must be finite: train the network"),
        ("layer_2.bias", math.inf, 0, "weights of the network must be finite"),
        ("layer_1.weight", 0.5, ..., "all weights of layer 1 are equal: train the"),
        ("layer_2.weight", 0, ..., "all weights of layer 2 are equal: train the"),
        ("layer_1.weight", 0, 7, "all weights of N18 are 0, which 1 bit cannot"),
        ("layer_1.bias", 1e9, 2, r"layer_1.bias\[2\], divided by .* be below 2\^31"),
        ("layer_2.bias", 1e9, 2, r"layer_2.bias\[2\], divided by .* be below 2\^31"),
    ],
)
def test_weights_that_cannot_be_represented_are_rejected_in_one_line(
    name, value, at, message, trained_on_few, few
):
    network = changed(trained_on_few().network, name, value, at)
    with pytest.raises(UserError, match=message) as error:
        quantize(network, few.train.images, bits=1)
    assert "\n" not in str(error.value)


def test_sums_that_could_overflow_are_rejected(trained_on_few, quantized, few):
    # The bias alone fits; with the weights, some image would exceed 32 bits.
    scale = quantized(8, epochs=0).integers.scale_1[5]
    bias = (2**31 - 10_000) * scale / 255
    network = changed(trained_on_few().network, "layer_1.bias", bias, 5)
    rule = re.escape("the largest sum must be < 2^31, got 2,1")
    with pytest.raises(UserError, match=rule):
        quantize(network, few.train.images, bits=8)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_a_neuron_with_zero_weights_has_the_scale_1(bits, trained_on_few, few):
    network = changed(trained_on_few().network, "layer_1.weight", 0, 7)
    integers = quantize(network, few.train.images, bits=bits)
    assert integers.scale_1[7] == 1
    assert not integers.weights_1[7].any()


@ALL_BIT_WIDTHS
def test_saved_integers_are_read_back_unchanged(bits, quantized, tmp_path):
    model = quantized(bits, hidden=1)
    for name in ("first", "second"):
        save_integers(tmp_path / name, model)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    stored = load_integers(tmp_path / "first")
    integers = stored.network
    assert stored.weights_sha256 == model.trained.weights_sha256
    assert stored.finetune == model.finetuning_epochs and integers.bits == bits
    images = model.dataset.test.images
    assert integers.hidden == 1
    for name, array in vars(model.integers).items():
        np.testing.assert_array_equal(getattr(integers, name), array)
    np.testing.assert_array_equal(integers.classify(images), model.predictions)


@pytest.mark.parametrize(("bits", "weight"), [(8, -128), (4, 8), (2, 99), (1, 0)])
def test_a_weight_that_does_not_have_the_bit_width_is_rejected(
    bits, weight, quantized, tmp_path
):
    path, model = tmp_path / "integers.safetensors", quantized(bits)
    weights = model.integers.weights_1.copy()
    weights[3, 300] = weight
    changed = replace(model.integers, weights_1=weights)
    save_integers(path, replace(model, integers=changed))
    with pytest.raises(
        UserError, match=r"damaged: run python -m pipeline\.export again$"
    ):
        load_integers(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("biases_1", np.int32(1)),
        ("weights_1", np.zeros((20, 784), np.int16)),
        ("shifts", np.full(20, 32, np.uint8)),
        ("scale_1", np.full(20, math.nan)),
        ("scale_2", np.float64(0)),
        ("other", np.zeros(1)),
    ],
)
def test_a_damaged_file_of_integers_is_rejected(name, value, quantized, tmp_path):
    path = tmp_path / "integers.safetensors"
    save_integers(path, quantized(8))
    tensors, metadata = read_tensors(path)
    write_tensors(path, tensors | {name: np.asarray(value)}, metadata)
    with pytest.raises(
        UserError, match=r"damaged: run python -m pipeline\.export again$"
    ):
        load_integers(path)


@pytest.mark.parametrize("wrong", [{"finetune": "ten"}, {"weights_sha256": None}])
def test_a_file_of_integers_with_damaged_metadata_is_rejected(
    wrong, quantized, tmp_path
):
    path = tmp_path / "integers.safetensors"
    save_integers(path, quantized(8))
    tensors, metadata = read_tensors(path)
    write_tensors(path, tensors, metadata | wrong)
    with pytest.raises(
        UserError, match=r"damaged: run python -m pipeline\.export again$"
    ):
        load_integers(path)


def test_dead_neurons_are_those_that_are_0_for_all_training_images(
    trained_on_few, small_dataset
):
    trained = trained_on_few()
    network = changed(trained.network, "layer_1.bias", -1000, [3, 7])
    model = QuantizedModel.of(
        replace(trained, network=network), small_dataset, bits=8, finetuning_epochs=0
    )
    sums = model.integers.sums(small_dataset.train.images)
    assert model.dead_neurons == np.flatnonzero((sums <= 0).all(axis=0)).tolist()
    assert {3, 7} <= {*model.dead_neurons}
