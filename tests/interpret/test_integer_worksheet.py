"""The printed numbers are read again and recomputed with integers and decimals."""

import re
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from pipeline import UserError
from pipeline.datasets import spec
from pipeline.integers import BIT_WIDTHS
from pipeline.integers.integers_file import INTEGERS_FILE, save_integers
from pipeline.interpret import neuron_sums, worksheet
from pipeline.model import save_network

MNIST = spec("mnist")
NUMBER = re.compile(r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:E-\d+)?")


def numbers(text):
    return [Decimal(number.replace(",", "")) for number in NUMBER.findall(text)]


def nearest(value):
    """Return the value with four decimal places."""
    return value.quantize(Decimal("0.0001"), ROUND_HALF_UP)


def sums_of(model, image):
    return neuron_sums(model.trained.network, image, model.integers)


@pytest.fixture(scope="module", params=BIT_WIDTHS)
def worksheets(request, quantized, mnist):
    """The sums of all neurons for two images, the rows of their tables, the steps."""
    model = quantized(request.param)
    results = []
    for image in mnist.test.images[:2]:
        for neuron in sums_of(model, image).values():
            lines = worksheet.sum_worksheet(neuron, MNIST).splitlines()
            assert max(map(len, lines)) <= 80
            end = next(k for k, line in enumerate(lines) if re.match("[yz] ", line))
            rows = [numbers(line.split(maxsplit=1)[1]) for line in lines[4 : end + 1]]
            results.append((neuron, rows, [numbers(line) for line in lines[end + 2 :]]))
    return model.integers, results


def test_the_printed_terms_add_up_in_floats_and_in_integers(worksheets):
    for neuron, (*terms, rest, bias, total), _ in worksheets[1]:
        for _, _, product, q, x, integer, difference in terms:
            assert q * x == integer
            assert neuron.in_integers.value(int(integer)) - product == difference
        columns = [[term[k] for term in terms] for k in (2, 5, 6)]
        for column, *others, result in zip(columns, rest, bias, total, strict=True):
            assert sum(column) + sum(others) == result
        assert float(total[0]) == pytest.approx(neuron.total, abs=6e-5)


def test_the_notes_have_the_range_of_the_bit_width(worksheets):
    network, results = worksheets
    sums = {neuron.name: neuron for neuron, *_ in results}
    text = worksheet.worksheets(sums, ["N11"], MNIST)
    ranges = {8: "-127 to 127.", 4: "-7 to 7.", 2: "-1 to 1.", 1: "-1 to 1, but not 0."}
    words = f"{network.bit_width}, q is an integer from {ranges[network.bits]}"
    assert words in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_each_step_follows_from_the_printed_numbers(worksheets, mnist):
    network, results = worksheets
    sums = network.sums(mnist.test.images[:2])
    outputs, logits = network.activations(sums), network.logits(sums)
    expected = np.concatenate([sums, logits], axis=1).ravel()
    totals = [neuron.in_integers.total for neuron, _, _ in results]
    assert totals == expected.tolist()
    hidden = []
    for _, (*_, (z, total, difference)), (scale, comparison, *others) in results:
        unit = scale[-1]
        value = nearest(total * unit)
        assert comparison == [total, unit, value, value, z, difference]
        assert value - z == difference
        if not others:
            assert float(unit) == pytest.approx(network.scale_2, rel=1e-7)
            continue
        assert scale[1] == 255 and f"{scale[0] / 255:.7e}" == f"{unit:.7e}"
        relu, (n, r, positive, r_again, n_again, shifted), clamp, output, last = others
        assert relu == [0, total, positive] and positive == max(0, total)
        assert (r, n) == (r_again, n_again) and shifted == (positive + r) // 2**n
        h = min(Decimal(255), shifted)
        assert clamp[:3] == [255, shifted, h]
        value = nearest(h * 2**n * unit)
        assert output == [h, 2, n, unit, value, 0, max(Decimal(0), z)]
        assert last == [value, output[-1], value - output[-1]]
        hidden.append(int(h))
    assert hidden == outputs.ravel().tolist()


def test_the_predictions_are_the_highest_probability_and_the_first_highest_logit(
    quantized, mnist
):
    model = quantized(1)
    images = mnist.test.images[:300]
    integers, floats = model.integers.classify(images), model.float_predictions
    different = int(np.flatnonzero(integers != floats)[0])
    for row in (0, different):
        sums = sums_of(model, images[row])
        logits = [sums[f"N2{k}"] for k in range(1, 11)]
        lines = worksheet.softmax_worksheet(logits, MNIST).splitlines()[-11:-1]
        marks = {name: k for k, line in enumerate(lines)
                   if (name := line.split()[-1]).isalpha()}  # fmt: skip
        both = floats[row] == integers[row]
        expected = {"float": floats[row], "integers": integers[row]}
        assert marks == ({"both": floats[row]} if both else expected)
        for line, logit in zip(lines, logits, strict=True):
            z, share, total, value, difference = numbers(line.split(maxsplit=2)[2])
            assert total == logit.in_integers.total
            assert value == logit.in_integers.value(int(total))
            assert value - z == difference and 0 <= share <= 100
        assert max(map(len, lines)) <= 80


@pytest.fixture
def exported(quantized, trained_on_few, project):
    """A workspace with a network and its exports with 8 and with 2 bits."""
    path, trained = project.trained("model.safetensors"), trained_on_few()
    save_network(path, trained.network)
    for bits in (8, 2):
        folder = project.outputs / "export" / f"{bits}bit"
        save_integers(folder / INTEGERS_FILE, quantized(bits))
    return project


def test_inspect_explains_the_widest_integers(exported):
    text = exported.call("inspect", neuron="N28,N15", image=0, integers=True)
    assert "8bit/integers.safetensors, 8 bits" in " ".join(text.split())
    assert "With 8 bits, q is an integer from -127 to 127." in text
    assert "fine-tuned for 1 epoch before" in text
    assert max(map(len, text.splitlines())) <= 80 + len(str(exported.outputs))
    rows = exported.read("details/neuron/terms.csv")
    assert len(rows) == 21 + 785
    for neuron in ("N28", "N15"):
        products = [int(r["integer_product"]) for r in rows if r["neuron"] == neuron]
        assert re.search(rf"^[yz] .* {sum(products):,} +[+-]", text, re.MULTILINE)


def test_the_last_export_is_explained_and_without_it_the_largest_of_the_run(
    exported, quantized, trained_on_few
):
    run, last = exported.outputs / "run", exported.outputs / "export"
    save_network(run / "train/model.safetensors", trained_on_few().network)
    for bits in (8, 4):
        path = run / "export" / f"{bits}bit" / INTEGERS_FILE
        save_integers(path, quantized(bits))
    (last / "8bit" / INTEGERS_FILE).unlink()
    settings = dict(neuron="N11", integers=True, model=f"{run}/train/model.safetensors")
    text = exported.call("inspect", **settings)
    assert "export/2bit/integers.safetensors, 2 bits" in " ".join(text.split())
    (last / "2bit" / INTEGERS_FILE).unlink()
    text = exported.call("inspect", **settings)
    assert "run/export/8bit/integers.safetensors, 8 bits" in " ".join(text.split())


def test_an_export_of_another_network_is_rejected_with_a_remedy(
    exported, trained_on_few
):
    other = exported.outputs / "other.safetensors"
    save_network(other, trained_on_few(seed=2).network)
    message = "export does not contain the integers of this network: "
    message += r"run python -m pipeline\.export"
    with pytest.raises(UserError, match=rf"{message} model={other}$"):
        exported.call("inspect", neuron="N11", integers=True, model=str(other))
    (exported.outputs / "export").rename(exported.outputs / "moved")
    with pytest.raises(UserError, match=rf"{message}$"):
        exported.call("inspect", neuron="N11", integers=True)


def test_a_damaged_file_blocks_only_the_worksheets_of_its_own_network(
    exported, trained_on_few
):
    path = exported.outputs / "export/8bit" / INTEGERS_FILE
    path.write_bytes(path.read_bytes()[:-100])
    text = exported.call("inspect", neuron="N11", integers=True)
    assert "2bit/integers.safetensors, 2 bits" in " ".join(text.split())
    (exported.outputs / "export/2bit" / INTEGERS_FILE).unlink()
    with pytest.raises(UserError, match=r"run python -m pipeline\.export$"):
        exported.call("inspect", neuron="N11", integers=True)
