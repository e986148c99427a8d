"""The printed numbers are read again and added up with decimal arithmetic."""

import math
import re
from decimal import Decimal

import numpy as np
import pytest
from PIL.ImageColor import getrgb

from pipeline.datasets import spec
from pipeline.interpret import (
    NeuronSum,
    names,
    neuron_sums,
    weight_history,
    worksheet,
    worksheet_files,
)
from pipeline.plots.common import FROZEN, POSITIVE

MNIST = spec("mnist")


@pytest.fixture(scope="module")
def images_sums(trained, mnist):
    """The sums of all neurons for 20 test images."""
    return [neuron_sums(trained.network, image) for image in mnist.test.images[:20]]


def numbers(line, decimals=4):
    """Return the numbers in a line that have this many decimal places."""
    found = re.findall(rf"[+-]?[\d,]+\.\d{{{decimals}}}(?!\d)", line)
    return [Decimal(number.replace(",", "")) for number in found]


def sum_lines(neuron):
    """Return the rows of a worksheet's table, and the lines after it."""
    lines = worksheet.sum_worksheet(neuron, MNIST).splitlines()
    end = next(k for k, line in enumerate(lines) if line.endswith("the sum"))
    return lines[4 : end + 1], lines[end + 1 :]


def test_the_printed_terms_add_up_to_the_last_decimal(images_sums):
    for neuron in (p for sums in images_sums[:4] for p in sums.values()):
        rows, relu = sum_lines(neuron)
        *terms, total = [numbers(row)[-1] for row in rows]
        assert sum(terms) == total
        *largest, rest, bias = map(float, terms)
        assert float(total) == pytest.approx(neuron.total, abs=0.00005)
        assert bias == pytest.approx(neuron.bias, abs=0.00005)
        exact = neuron.total - neuron.bias - sum(largest)
        assert rest == pytest.approx(exact, abs=0.0002)
        assert largest == sorted(largest, key=abs, reverse=True)
        state = "is active" if neuron.total > 0 else "is not active"
        assert all(line.endswith(state) for line in relu)
        assert len(relu) == (neuron.layer == 1)


def test_a_row_shows_weight_pixel_product_and_position(images_sums):
    neuron = images_sums[0]["N15"]
    k = int(np.abs(neuron.terms).argmax())
    row = sum_lines(neuron)[0][0]
    assert row.startswith(f"M{k + 1}·X{k + 1} ")
    assert row.endswith(f"pixel {k}: row {k // 28}, column {k % 28}")
    weight, pixel, product = map(float, numbers(row))
    assert weight == pytest.approx(neuron.weights[k], abs=5e-5)
    assert pixel == pytest.approx(neuron.inputs[k], abs=5e-5)
    assert product == pytest.approx(weight * pixel, abs=2e-4)


def test_both_names_of_the_largest_weight_are_explained_above_the_table(images_sums):
    for name, m, prefix in (("N15", "M", "pixel "), ("N28", "W", "N1")):
        neuron = images_sums[0][name]
        k = int(np.abs(neuron.terms).argmax())
        line, heading = worksheet.sum_worksheet(neuron, MNIST).splitlines()[2:4]
        array = f"layer_{name[1]}[{k},{int(name[2:]) - 1}]"
        source = f"{prefix}{k + (m == 'W')}"
        start = f"{m}{k + 1} is {array}, the weight of {source}: "
        assert line == f"{start}array indices start at 0." and len(line) <= 80
        assert heading.startswith("term ")


def of_ones(layer, inputs):
    ones = np.ones(inputs)
    return NeuronSum(layer, 0, ones / 3, ones, 0.5)


@pytest.mark.parametrize(("inputs", "rest"), [(12, "rounding"), (14, "2 smaller")])
def test_the_rest_is_only_rounding_if_all_terms_are_displayed(inputs, rest):
    rows, _ = sum_lines(of_ones(2, inputs))
    (line,) = [row for row in rows if row.startswith("rest")]
    assert rest in line


@pytest.mark.parametrize(
    ("layer", "inputs", "expected"),
    [
        (1, 784, "M1·X1 + M2·X2 + ... + M784·X784 + C = y"),
        (2, 2, "W1·N11 + W2·N12 + bias = z"),
        (2, 1, "W1·N11 + bias = z"),
    ],
)
def test_formulas_are_those_of_the_textbook(layer, inputs, expected):
    assert worksheet.formula(of_ones(layer, inputs)) == expected


def test_always_zero_pixels_are_gray_but_their_products_are_not():
    images = worksheet_files.term_images(of_ones(1, 784), np.arange(784) == 0).images
    (_, weights), _, (_, products) = images
    blue, gray = getrgb(POSITIVE), getrgb(FROZEN)
    assert tuple(weights[0, 0]) == gray and tuple(products[0, 0]) == blue


def test_the_sum_in_the_title_of_an_image_adds_up(images_sums):
    always_zero = np.zeros(784, bool)
    for sums in images_sums:
        for neuron in [*sums.values()][:20]:
            title = worksheet_files.term_images(neuron, always_zero).title
            products, bias, total = numbers(title)[:3]
            assert products + bias == total
            assert title.endswith("ReLU 0" if total <= 0 else f"ReLU {total:+}")


def test_printed_probabilities_add_up_to_100_percent(images_sums, trained, mnist):
    probabilities = trained.network.predict(mnist.test.images[:20])
    for sums, expected in zip(images_sums, probabilities, strict=True):
        neurons = [sums[f"N2{k}"] for k in range(1, 11)]
        logits = np.array([neuron.total for neuron in neurons])
        lines = worksheet.softmax_worksheet(neurons, MNIST).splitlines()
        rows = lines[-11:]
        *shares, total = [numbers(row.split("%")[0], 2)[-1] for row in rows]
        assert sum(shares) == total == 100
        *powers, power_total = [numbers(row, 6)[-1] for row in rows]
        assert sum(powers) == power_total
        z = [numbers(row)[0] for row in rows[:-1]]  # a reader can compute the powers
        from_z = [f"{math.exp(value - max(z)):.6f}" for value in z]
        assert [str(power) for power in powers] == from_z
        printed = np.array(shares, float)
        np.testing.assert_allclose(printed, 100 * expected, atol=0.02)
        exact = np.exp(logits) / np.exp(logits).sum()
        assert np.abs(printed - 100 * exact).max() < 0.01  # less than a unit
        assert rows[expected.argmax()].endswith("the prediction")


def test_a_weight_history_shows_every_epoch_and_the_largest_change(histories):
    location = names.parse_parameter("layer_1[300,5]")
    values = location.values(histories.weights)
    lines = weight_history.describe_weight_history(location, values).splitlines()
    displayed = [float(numbers(line, 6)[0]) for line in lines[2:23]]
    np.testing.assert_allclose(displayed, values, atol=6e-7)
    largest = int(np.abs(np.diff(values)).argmax())
    assert lines[23].endswith(f"in epoch {largest + 1}.")
    frozen = weight_history.describe_weight_history(location, values[:1].repeat(21))
    assert "It is frozen" in frozen.splitlines()[-1]


@pytest.mark.parametrize("epochs", [1, 20, 1234])
def test_the_changes_of_a_weight_history_add_up_in_few_rows(epochs):
    values = np.random.default_rng(1).normal(size=epochs + 1).astype(np.float32)
    location = names.parse_parameter("layer_1.bias[0]")
    lines = weight_history.describe_weight_history(location, values).splitlines()
    assert len(lines) <= weight_history.MAX_LISTED_EPOCHS + 6
    shortened = "epochs each; history.csv contains all epochs." in " ".join(lines)
    assert shortened == (epochs > weight_history.MAX_LISTED_EPOCHS)
    (initial,), *rows = filter(None, (numbers(line, 6) for line in lines))
    changes = [row[1] for row in rows if len(row) == 2]  # without the largest
    assert initial + sum(changes) == rows[len(changes) - 1][0]
