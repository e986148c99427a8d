"""The bit-width page, in a real Chromium with the network off."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import deploy
from pipeline.core.network import snapshot
from pipeline.deploy.checks import Outputs
from pipeline.integers import BIT_WIDTHS
from pipeline.interpret import ModelAnalysis
from pipeline.interpret.page import render_page, rendering

NAME = "hidden=20 seed=1"
MINUS = "\u2212"  # the sign of negative numbers on the page
# What the page computes for images: sums, outputs, logits and the prediction, as rows.
COMPUTE = """([bits, images]) => images.map((image) => {
  const levels = Uint8Array.from(atob(image), (letter) => letter.charCodeAt(0));
  const result = model.networks.find((each) => each.bits === bits).classify(levels);
  return [...result.hiddenSums, ...result.outputs, ...result.logits, result.first];
})"""


@pytest.fixture(scope="module")
def models(quantized, small_dataset, mnist):
    dataset = replace(small_dataset, file=mnist.file)  # with the name of the data set
    return {bits: replace(quantized(bits), dataset=dataset) for bits in BIT_WIDTHS}


def set_bit_width(page, bits):
    """Select a bit width; 0 is the floating-point network."""
    index = [0, *BIT_WIDTHS].index(bits)
    page.evaluate("(networkIndex) => change({ networkIndex })", index)


def render(models):
    model = models[8]
    analysis = ModelAnalysis(model.trained, model.dataset)
    integers = [(model.integers, model.report) for model in models.values()]
    return render_page(analysis, name=NAME, quantized=integers)


@pytest.fixture(scope="module")
def html(models):
    return render(models)


@pytest.fixture(scope="module")
def page(open_page, html):
    return open_page(html, width=1366, height=768)


def column(page, table, index=-1):
    """Return the integers in a column of a table."""
    rows = [row.split("\t") for row in page.locator(f"{table} tr").all_inner_texts()]
    texts = [re.sub(r"[\s,+]", "", row[index]).replace(MINUS, "-") for row in rows[1:]]
    return [int(text) for text in texts if text]


def test_the_page_is_small_and_always_the_same(html, models):
    assert len(html.encode()) <= 2_000_000
    assert render(models) == html
    assert "{{" not in html


def test_a_page_that_would_be_too_large_is_not_rendered(models, monkeypatch):
    small = replace(rendering.BIT_WIDTH_PAGE, max_bytes=300_000)
    monkeypatch.setattr(rendering, "BIT_WIDTH_PAGE", small)
    assert render(models) is None


def test_the_page_without_integers_has_no_switch(models):
    model = models[8]
    analysis = ModelAnalysis(model.trained, model.dataset)
    html = render_page(analysis, name=NAME)
    assert 'id="bit-widths"' not in html and 'id="epoch"' in html


@pytest.mark.parametrize("bits", BIT_WIDTHS)
def test_the_page_computes_the_integers_of_the_reference(
    page, models, bits, test_and_probe_images
):
    network = models[bits].integers
    images = test_and_probe_images(network)[500::12]
    encoded = [base64.b64encode(image.tobytes()).decode() for image in images]
    computed = page.evaluate(COMPUTE, [bits, encoded])
    outputs = Outputs.of(network, images)
    hidden, classes = network.activations(outputs.sums), network.classify(images)
    expected = np.hstack([outputs.sums, hidden, outputs.logits, classes[:, None]])
    np.testing.assert_array_equal(computed, expected)
    assert hidden.max() == 255  # some reach the clamp


def test_the_keyboard_moves_the_switch_and_updates_the_page(page, models):
    set_bit_width(page, 0)
    page.evaluate("useTestImage(0); select(1, 0)")
    name = "Bit width of the weights of layer 1"
    page.get_by_role("radiogroup", name=name).wait_for()
    page.get_by_role("radio", name="float").focus()
    image = models[8].dataset.test.images[:1]
    for bits, model in models.items():
        page.keyboard.press("ArrowRight")
        assert page.evaluate("network().bits") == bits
        network, name = model.integers, "1 bit" if bits == 1 else f"{bits} bits"
        sums = network.sums(image)[0]
        (outputs,), predicted = network.activations(sums[None]), model.predictions[0]
        text = page.inner_text("#prediction")
        assert text.startswith(f"With {name}, the network predicts")
        assert page.inner_text("#prediction strong") == str(predicted)
        label = page.locator("#bit-widths input:checked").get_attribute("aria-label")
        assert label.startswith(f"{name}: {predicted}, ")
        values = page.locator("#neurons .name span").all_inner_texts()
        assert [int(value) for value in values] == outputs.tolist()
        row = page.inner_text("#bit-widths-table [aria-current=true]").split("\t")
        assert row[2:] == [
            f"{network.table_bytes:,}\u00a0B",
            f"{100 * model.report.accuracy:.2f}%",
            f"{100 * model.report.same_predictions:.2f}%",
        ]
        correct = int((model.predictions == model.dataset.test.labels).sum())
        assert f"{correct} of 300 test images correct" in page.inner_text("#accuracy")
        changed = int((model.predictions != model.float_predictions).sum())
        verb = "gets" if changed == 1 else "get"
        text = f"Of the 300 test images on this page, {changed} {verb} a different"
        assert text in page.inner_text("#bit-widths-text")
    note = "2 and 1 bits, the network was trained for 1 more epoch with rounded weights"
    assert note in page.locator("section", has_text="fine-tuning").inner_text()


@pytest.mark.parametrize("bits", BIT_WIDTHS)
def test_the_worksheet_of_a_drawing_adds_up_to_the_integers(
    page, models, bits, draw_on_page
):
    network = models[bits].integers
    set_bit_width(page, bits)
    draw_on_page(page, [[(0.3, 0.22), (0.7, 0.2), (0.45, 0.85)]])
    image = np.array([page.evaluate("[...state.shown.image]")], np.uint8)
    image = image.reshape(1, 28, 28)
    (sums,) = network.sums(image)
    (logits,) = network.logits(sums[None])
    neuron = int(sums.argmax())
    page.evaluate("(neuron) => select(1, neuron)", neuron)
    values = column(page, "#terms")
    position = values.index(sums[neuron], 11)  # after ten terms and the bias
    assert sum(values[:position]) == sums[neuron]
    (output,) = network.activations(sums[None])[:, neuron]
    half = int(network.half[neuron])
    assert values[position + 1 : position + 3] == [sums[neuron], sums[neuron] + half]
    assert values[-1] == output == int(page.inner_text("#result b"))
    label = int(logits.argmax())
    page.evaluate("(label) => select(2, label)", label)
    *terms, total = column(page, "#terms")
    assert sum(terms) == total == logits[label]
    assert column(page, "#softmax", 1) == logits.tolist()
    z = network.scale_2 * logits[label]
    assert f"{z:.4f}".replace("-", MINUS) in page.inner_text("#result")


@pytest.mark.parametrize("bits", BIT_WIDTHS)
def test_the_page_shows_the_formula_of_the_number_format(page, models, bits):
    network = models[bits].integers
    sums = network.sums(models[bits].dataset.test.images[:1])[0]
    neuron = int(sums.argmax())
    set_bit_width(page, bits)
    page.evaluate("(neuron) => { useTestImage(0); select(1, neuron); }", neuron)
    text = Path(deploy.__file__).with_name("c") / "number_format.txt"
    (formula,) = re.findall(r"min\(255, .* >> \S+\)", text.read_text())
    values = {"sum[j]": sums, "half": network.half, "shifts[j]": network.shifts}
    for name, value in values.items():
        formula = formula.replace(name, str(value[neuron]))
    displayed = page.inner_text("#result").replace(",", "")
    assert formula.replace(",", "") in displayed


def test_switching_a_neuron_off_has_the_effect_of_zero_weights(page, models):
    model = models[4]
    network, test = model.integers, model.dataset.test
    set_bit_width(page, 4)
    page.evaluate("select(1, 0)")
    toggle = page.locator("#neurons [role=switch]").first
    toggle.click()
    without = replace(
        network, weights_2=network.weights_2 * (np.arange(network.hidden) != 0)
    )
    correct = int((without.classify(test.images) == test.labels).sum())
    effect = page.inner_text("#effect")
    assert f"with 4 bits classifies {correct} of 300 test images correctly" in effect
    page.locator("#reset").click()
    assert toggle.get_attribute("aria-checked") == "true"


def test_integer_networks_have_the_interface_of_float_networks(page):
    missing = page.evaluate(
        """[...Object.keys(model.trained),
          ...Object.getOwnPropertyNames(FloatNetwork.prototype)]
          .filter((name) => model.networks.some((each) => !(name in each)))"""
    )
    assert missing == []


def test_a_parameter_has_its_integer_at_each_bit_width_and_what_it_represents(
    page, models
):
    tensors = snapshot(models[8].trained.network)
    integers = [model.integers for model in models.values()]
    cases = {
        "layer_1[406,3]": (
            tensors["layer_1.weight"][3, 406],
            [(n.weights_1[3, 406], n.scale_1[3]) for n in integers],
        ),
        "layer_1.bias[3]": (
            tensors["layer_1.bias"][3],
            [(n.biases_1[3], n.sum_unit[3]) for n in integers],
        ),
        "layer_2[3,7]": (
            tensors["layer_2.weight"][7, 3],
            [(n.weights_2[7, 3], n.scale_2 / n.output_unit[3]) for n in integers],
        ),
        "layer_2.bias[7]": (
            tensors["layer_2.bias"][7],
            [(n.biases_2[7], n.scale_2) for n in integers],
        ),
    }
    for name, (exact, numbers) in cases.items():
        page.evaluate("find", name)
        _, first, *rows = [
            row.replace(MINUS, "-").replace(",", "").split("\t")
            for row in page.locator("#values tr").all_inner_texts()
        ]
        assert first == ["float", "", f"{exact:z.6f}"]
        assert [int(row[1]) for row in rows] == [int(value) for value, _ in numbers]
        represented = [value * unit for value, unit in numbers]
        np.testing.assert_allclose(
            [float(row[2]) for row in rows], represented, atol=6e-7
        )


@pytest.mark.parametrize("bits", BIT_WIDTHS)
def test_the_gallery_marks_predictions_that_differ(page, models, bits):
    set_bit_width(page, bits)
    model, rows = models[bits], page.evaluate("model.gallery")
    differs = model.predictions != model.float_predictions
    wrong = model.predictions != model.dataset.test.labels
    for kind, expected in (("differs", differs), ("mistake", wrong)):
        marked = page.evaluate(
            "(kind) => [...$('gallery').children].map((e) => e.matches(`.${kind}`))",
            kind,
        )
        assert marked == expected[rows].tolist(), kind


@pytest.fixture(scope="module")
def displayed(page):
    """The predictions of 50 images with 1 bit, whether they are unsure, and the switch.

    The detector considers no image out of distribution.
    """
    set_bit_width(page, 1)
    return page.evaluate(
        """() => {
          const { detector } = model;
          model.detector = { reason: () => "" };
          const displayed = Array.from({ length: 50 }, (_, index) => {
            useTestImage(index);
            return [$("prediction").textContent,
              Boolean($("prediction").querySelector(".unsure")),
              [...$("bit-widths").querySelectorAll("label")]
                .map((label) => label.classList.contains("differs"))];
          });
          model.detector = detector;
          return displayed;
        }"""
    )


def test_the_floating_point_prediction_is_shown_if_it_differs(page, models, displayed):
    model, rows = models[1], page.evaluate("model.gallery.slice(0, 50)")
    for row, (text, is_unsure, _) in zip(rows, displayed, strict=True):
        assert re.match(rf"With 1 bit, .* {model.predictions[row]} \(", text)
        differs = model.predictions[row] != model.float_predictions[row]
        name = f" The floating-point network predicts {model.float_predictions[row]} ("
        assert not is_unsure and (name in text) == differs, text


def test_the_switch_marks_bit_widths_whose_prediction_differs(page, models, displayed):
    rows = page.evaluate("model.gallery.slice(0, 50)")
    quantized = models.values()
    expected = [
        [False, *(m.predictions[row] != m.float_predictions[row] for m in quantized)]
        for row in rows
    ]
    np.testing.assert_array_equal([marks for *_, marks in displayed], expected)
    assert 0 < np.sum(expected) < len(rows)


def test_the_tour_is_about_the_network_in_floating_point(page):
    set_bit_width(page, 2)
    page.evaluate("useTestImage(3)")
    page.locator("#start-tour").click()
    assert page.evaluate("network() === model.trained")
    page.locator("#bit-widths input").last.click()
    assert page.locator("#tour").is_hidden()
    assert page.evaluate("document.activeElement.value") == "1 bit"
    assert page.evaluate("state.shown.index") == 3


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_does_not_scroll_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    for bits in (8, 1):
        set_bit_width(page, bits)
        page.evaluate("select(2, 7)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for table in ("#bit-widths-table", "#terms", "#softmax"):
            frame = page.locator(f".scroll:has({table})")
            assert frame.evaluate("(e) => e.scrollWidth <= e.clientWidth"), table
