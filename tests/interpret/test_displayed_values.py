"""Numbers, colors and sentences on the page are those of the network, in Chromium."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from pipeline.base.text import probability_text
from pipeline.core.network import snapshot
from pipeline.images import unsure
from pipeline.interpret import neuron_sums
from pipeline.interpret.page import render_page
from pipeline.interpret.rounding import rounded
from pipeline.model import HistoryFiles
from pipeline.plots import diverging_colors

MINUS = "\u2212"  # the sign of negative numbers on the page
# The colors of the upper left corners of 28x28 pixels, or squares of 12x12.
READ_COLORS = """(canvas) => Array.from({ length: 784 }, (_, pixel) => {
  const size = canvas.width / 28, offset = size > 1 ? 1 : 0;
  const [y, x] = coordinates(pixel).map((index) => size * index + offset);
  return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
})"""


@pytest.fixture(scope="module")
def sums(trained, mnist):
    """The sums of all neurons for test image 0."""
    return neuron_sums(trained.network, mnist.test.images[0])


def decimals(value, digits=4):
    return f"{rounded(float(value), digits):,}".replace("-", MINUS)


def test_the_page_rounds_numbers_as_python_does(page):
    halves = [0.03125, -0.03125, 0.09375, 2.5, -1.00005, 1.00015, 1234.56785]
    values = [*halves, 0.0, -0.00005, -0.00004, -1234.5, 1e-9, 123456789.12345]
    for digits in (0, 2, 4, 6):
        displayed = page.evaluate(
            "([values, digits]) => values.map((value) => number(value, digits))",
            [values, digits],
        )
        assert displayed == [decimals(value, digits) for value in values]


def test_weights_and_products_have_the_color_of_their_sign_and_size(page, analysis):
    page.evaluate("select(1, 5)")
    weights = analysis.trained.network.layer_1.get_weights()[0]
    scale = float(np.quantile(np.abs(weights), 0.99))
    image = analysis.dataset.test.images[0].ravel()
    frozen = analysis.frozen[:, 5]
    template = diverging_colors(weights[:, 5], scale=scale, masked=frozen)
    gray = np.tile(image[:, None], 3)
    products = diverging_colors(weights[:, 5] * image / 255, scale=scale)
    tile = page.locator("#neurons .tile canvas").nth(5)
    canvases = [tile, *page.locator("#images canvas").all()]
    for canvas, expected in zip(
        canvases, (template, template, gray, products), strict=True
    ):
        displayed = np.array(canvas.evaluate(READ_COLORS))
        differences = np.abs(displayed - expected.reshape(784, 3).astype(int))
        assert differences.max() <= 1


def test_the_equation_has_the_three_largest_terms(page, sums):
    for name, letter in (("N16", "y"), ("N28", "z")):
        page.evaluate("find", name)
        p = sums[name]
        first, *others = np.argsort(-p.sizes, kind="stable")[:3]
        text = f"{letter} = {decimals(p.weights[first])}·{decimals(p.inputs[first])}"
        summands = [(p.weights[k], f"·{decimals(p.inputs[k])}") for k in others]
        for value, factor in [*summands, (p.bias, "")]:
            sign = MINUS if value < 0 else "+"
            more = " + …" if not factor else ""
            text += f"{more} {sign} {decimals(abs(value))}{factor}"
        assert page.inner_text("#equation") == f"{text} = {decimals(p.total)}"
    probability = softmax([p.total for p in sums.values() if p.layer == 2])[7]
    result = page.inner_text("#result")
    assert result == f"probability = softmax(z) = {100 * probability:.2f}%"
    page.evaluate("find('N16')")
    relu = decimals(sums["N16"].relu)
    assert page.inner_text("#result") == f"output = max(0, y) = {relu}"


def test_the_page_says_which_neurons_are_active_and_what_is_predicted(page, sums):
    outputs = [p.relu for p in sums.values() if p.layer == 1]
    values = page.locator("#neurons .name span").all_inner_texts()
    assert values == [f"{output:.1f}" for output in outputs]
    active = sum(output > 0 for output in outputs)
    assert page.inner_text("#active") == f"{active} of 20 neurons active"
    shares = softmax([p.total for p in sums.values() if p.layer == 2])
    percents = [probability_text(share) for share in shares]
    assert page.locator("#outputs .share").all_inner_texts() == percents
    assert f" 7 ({percents[7]})." in page.inner_text("#prediction")
    assert page.inner_text("#source") == "test image 0: a 7"


def test_the_page_gives_the_reason_of_an_unsure_prediction(
    page, trained, detector, mnist
):
    rows = page.evaluate("model.gallery")
    images = mnist.test.images[rows]
    logits = trained.network.logits(images)
    reasons = detector.reasons(images, logits)
    texts = page.evaluate(
        """model.gallery.map((_, index) => {
          Object.assign(state.shown, { image: testImage(index), finding: "" });
          return conclusion(currentResult()).text;
        })"""
    )
    for reason, text, scores in zip(reasons, texts, logits.numpy(), strict=True):
        first, second = np.argsort(-scores, kind="stable")[:2]
        expected = unsure.TEXTS[reason].format(
            images=unsure.images_of(str(first)),
            name=second,
            percent=probability_text(softmax(scores)[second]),
        )
        assert expected in text and ("unsure" in text) == bool(expected)
    assert {*reasons} == {"", "small margin", "unfamiliar"}


def test_the_buttons_of_the_panel_go_around_the_neurons_of_a_layer(page):
    for button, name in (("previous", "N120"), ("next", "N11"), ("next", "N12")):
        page.locator(f"#{button}").click()
        assert page.inner_text("#t-sum").startswith(f"{name}: ")


def test_the_arrow_keys_go_along_and_across_the_rows_of_neurons(page):
    tiles = page.locator("#neurons .tile > button:first-child")
    tops = [tile.bounding_box()["y"] for tile in tiles.all()]
    columns = tops.count(tops[0])
    tiles.first.focus()
    for key, expected in (
        ("ArrowRight", 1),
        ("ArrowDown", 1 + columns),
        ("ArrowLeft", columns),
        ("ArrowUp", 0),
    ):
        page.keyboard.press(key)
        focused = page.evaluate(
            "tiles.findIndex(({ button }) => button === document.activeElement)"
        )
        assert focused == expected


def test_a_pointer_on_a_pixel_shows_its_product(page, sums):
    pixel = int(sums["N11"].sizes.argmax())
    row, column = divmod(pixel, 28)
    canvas = page.locator("#images canvas").last
    side = canvas.bounding_box()["width"] / 28
    canvas.hover(position={"x": (column + 0.5) * side, "y": (row + 0.5) * side})
    weight, value = sums["N11"].weights[pixel], sums["N11"].inputs[pixel]
    assert page.inner_text("#pixel-text") == (
        f"pixel {pixel} (row {row}, column {column}): weight {decimals(weight)} \u00d7 "
        f"pixel {decimals(value)} = {decimals(weight * value)}"
    )
    page.mouse.move(1, 1)
    assert page.inner_text("#pixel-text") == "Point at a pixel to see its product."


def test_a_parameter_has_its_values_in_all_epochs(page, histories):
    page.evaluate("find('layer_2[12,9]')")
    history = histories.weights["layer_2.weight"][:, 9, 12]
    text = page.inner_text("#parameter-text")
    assert f"its value is {decimals(history[-1], 6)}. It started at about" in text
    assert text.endswith(f" and ended at {decimals(history[-1], 6)}.")
    start = re.search(r"started at about (\S+) and", text)[1].replace(MINUS, "-")
    assert float(start) == pytest.approx(history[0], rel=5e-3)
    points = page.locator("#history polyline").get_attribute("points").split()
    x, y = np.array([point.split(",") for point in points], float).T
    np.testing.assert_allclose(np.diff(x), np.diff(x)[0])
    slope, _ = np.polyfit(history, y, 1)
    assert slope < 0  # y grows downward
    assert np.corrcoef(history, y)[0, 1] == pytest.approx(-1, abs=1e-4)


def test_a_parameter_that_changes_evenly_is_a_straight_line(analysis, open_page):
    shares = np.linspace(0, 1, 31, dtype=np.float32)  # after each of 30 epochs
    history = {
        name: np.multiply.outer(shares, tensor)
        for name, tensor in snapshot(analysis.trained.network).items()
    }
    page = open_page(
        render_page(
            replace(analysis, histories=HistoryFiles(history)),
            name="hidden=20 seed=1",
        )
    )
    page.evaluate("find('layer_2[12,9]')")
    assert page.evaluate("model.epochs.slice(0, 5)") == [0, 2, 3, 4, 6]
    points = page.locator("#history polyline").get_attribute("points").split()
    x, y = np.array([point.split(",") for point in points], float).T
    line = np.polynomial.Polynomial.fit(x, y, 1)
    np.testing.assert_allclose(y, line(x), atol=0.1)


def test_the_legend_of_the_lines_has_the_largest_products(page, trained, sums):
    page.evaluate("select(1, 5)")
    into = sums["N16"].sizes.max()
    outgoing = trained.network.layer_2.get_weights()[0][5] * sums["N16"].relu
    text = page.inner_text("#connections-legend")
    assert f"into N16 represents a product of {decimals(into, 2)}," in text
    assert text.endswith(f" line out of it {decimals(np.abs(outgoing).max(), 2)}.")
