"""What is printed is read again and added up, as with a pencil."""

import re
from decimal import Decimal

import numpy as np
import pytest

from pipeline import plots
from pipeline.interpret import neurons, worksheet


@pytest.fixture(scope="module")
def sums(trained, mnist):
    return [
        neurons.pre_activations(trained.network, image)
        for image in mnist.test.images[:20]
    ]


def last_figure(line):
    return Decimal(re.findall(r"-?[\d,]+\.\d{4}", line)[-1].replace(",", ""))


def test_what_is_printed_adds_up_to_the_last_decimal(sums):
    for one in (one for found in sums for one in found.values()):
        lines = worksheet.pre_activation_worksheet(one)
        last = next(k for k, line in enumerate(lines) if "the sum" in line)
        figures = [last_figure(line.split("row")[0]) for line in lines[3 : last + 1]]
        *terms, total = figures
        assert sum(terms) == total and abs(float(total) - one.z) <= 0.00005
        rest, bias = terms[-2:]
        assert abs(float(bias) - one.bias) <= 0.00005
        exact = one.z - one.bias - sum(map(float, terms[:-2]))
        assert float(rest) == pytest.approx(exact, abs=0.0002)
        sizes = [abs(term) for term in terms[:-2]]
        assert sizes == sorted(sizes, reverse=True)


def test_a_line_names_weight_and_pixel(sums):
    one = sums[0]["N15"]
    at = int(np.abs(one.terms).argmax())
    row, column = divmod(at, 28)
    found = re.search(
        rf"M{at + 1}·X{at + 1} +(\S+) +(\S+) +(\S+) +pixel +{at}: "
        rf"row +{row}, column +{column}$",
        "\n".join(worksheet.pre_activation_worksheet(one)),
        re.MULTILINE,
    )
    weight, pixel, product = map(float, found.groups())
    assert weight == pytest.approx(one.weights[at], abs=5e-5)
    assert pixel == pytest.approx(one.inputs[at], abs=5e-5)
    assert product == pytest.approx(weight * pixel, abs=2e-4)


def test_notes_name_the_place_in_the_array(sums):
    told = "\n".join(worksheet.notes([sums[0]["N28"], sums[0]["N15"], sums[0]["N16"]]))
    assert "computed before their factors were rounded" in told
    pixel, neuron = (int(np.abs(sums[0][n].terms).argmax()) for n in ("N15", "N28"))
    assert (
        f"M{pixel + 1} of N15 belongs to pixel {pixel} and is layer_1[{pixel},4]"
        in told
    )
    assert (
        f"W{neuron + 1} of N28 belongs to N1{neuron + 1} and is layer_2[{neuron},7]"
        in told
    )
    assert "M" not in "".join(worksheet.notes([sums[0]["N28"]]))


@pytest.mark.parametrize(("inputs", "rest"), [(12, "rounding"), (14, "2 smaller")])
def test_where_nothing_smaller_is_left_the_rest_is_rounding(inputs, rest):
    weights = np.full(inputs, 0.33333)
    one = neurons.PreActivation(neurons.Neuron(2, 1), weights, np.ones(inputs), 0.5)
    (line,) = [
        line
        for line in worksheet.pre_activation_worksheet(one)
        if line.startswith("  rest")
    ]
    assert rest in line


def test_what_is_never_learned_is_grey_but_its_product_is_shown():
    pixels, unlit = np.zeros(784), np.zeros(784, bool)
    pixels[0] = unlit[0] = 1
    one = neurons.PreActivation(neurons.Neuron(1, 1), np.ones(784), pixels, 0.0)
    weight, _, product = worksheet.term_images(one, unlit).images.values()
    assert tuple(weight[0, 0]) == plots.GRID and tuple(product[0, 0]) == plots.BLUE


def test_relu_says_whether_a_neuron_fires(sums):
    for name in (f"N1{j}" for j in range(1, 21)):
        said = worksheet.pre_activation_worksheet(sums[0][name])[-1]
        z = sums[0][name].z
        assert ("it fires" in said) == (z > 0) and ("is silent" in said) == (z <= 0)


def test_formulas_are_those_of_the_textbook(sums):
    assert (
        worksheet.formula(sums[0]["N11"]) == "M1·X1 + M2·X2 + ... + M784·X784 + C = y"
    )
    found = worksheet.formula(sums[0]["N21"])
    assert found == "W1·N11 + W2·N12 + ... + W20·N120 + bias = z"
    for hidden, letters in ((1, "W1·N11"), (2, "W1·N11 + W2·N12")):
        few = neurons.PreActivation(
            neurons.Neuron(2, 1), np.ones(hidden), np.ones(hidden), 0.5
        )
        assert worksheet.formula(few) == f"{letters} + bias = z"


def test_ten_probabilities_come_to_100_percent_as_printed(sums, trained, mnist):
    probabilities = trained.network.predict(mnist.test.images[:20]).numpy()
    for found, expected in zip(sums, probabilities, strict=True):
        logits = np.array([found[f"N2{k}"].z for k in range(1, 11)])
        lines = worksheet.softmax_worksheet(logits)
        rows = [re.findall(r"-?\d+\.\d+", line) for line in lines[2:]]
        *shares, total = (Decimal(row[-1]) for row in rows)
        assert sum(shares) == total == 100
        powers = [Decimal(row[1]) for row in rows[:-1]]
        assert sum(powers) == Decimal(rows[-1][0])
        np.testing.assert_allclose(
            [float(s) / 100 for s in shares], expected, atol=2e-4
        )
        exact = 100 * neurons.softmax(logits)
        assert max(abs(float(s) - e) for s, e in zip(shares, exact, strict=True)) < 1e-2
        assert "the answer" in lines[2 + int(expected.argmax())]


def test_all_parameters_of_a_network_are_rows(sums):
    rows = [row for one in sums[0].values() for row in worksheet.term_rows(one)]
    assert len(rows) == 15_910
    of_n28 = [row["product"] for row in rows if row["neuron"] == "N28"]
    assert sum(of_n28) == pytest.approx(sums[0]["N28"].z)


def test_a_weights_life_is_its_history(trained):
    place = neurons.find_parameter("layer_1[300,5]", hidden=20)
    values = place.values(trained.history())
    lines = worksheet.weight_history(place, values)
    shown = [float(re.findall(r"-?\d+\.\d{6}", line)[0]) for line in lines[1:22]]
    np.testing.assert_allclose(shown, values, atol=6e-7)
    changes = [float(re.findall(r"[+-]\d+\.\d{6}", line)[-1]) for line in lines[2:22]]
    np.testing.assert_allclose(np.cumsum(changes), np.array(shown[1:]) - shown[0])
    most = int(np.abs(np.diff(values)).argmax())
    assert lines[22].endswith(f"in epoch {most + 1}")
    dark = neurons.find_parameter("layer_1[0,5]", hidden=20)
    assert (
        "never changed"
        in worksheet.weight_history(dark, dark.values(trained.history()))[-1]
    )


@pytest.mark.parametrize("epochs", [1, 2, 100, 1234])
def test_a_long_life_is_told_in_few_lines_that_add_up(epochs):
    values = np.random.default_rng(1).normal(size=epochs + 1).astype(np.float32)
    lines = worksheet.weight_history(
        neurons.find_parameter("layer_1.bias[0]", hidden=20), values
    )
    assert len(lines) <= worksheet.EPOCHS + 5
    changes = [Decimal(line.split()[-1]) for line in lines[2:-1]]
    assert ("the lines above cover" in lines[-1]) == (epochs > worksheet.EPOCHS)
    first, last = (Decimal(lines[k].split()[n]) for k, n in ((1, 2), (-2, 3)))
    assert first + sum(changes) == last
