"""What the page shows about the selected neuron, parameter, image and epoch."""

import re

import numpy as np
import pytest

from pipeline.core.network import network_from, snapshot
from pipeline.datasets import spec
from pipeline.interpret import ModelAnalysis, neuron_sums
from pipeline.interpret.names import BIAS, ParameterLocation
from pipeline.interpret.page import render_page
from pipeline.interpret.worksheet import softmax_worksheet, sum_columns
from pipeline.model import load_trained_network, save_network

NAME = "hidden=20 seed=1"
MNIST = spec("mnist")
MINUS = "\u2212"  # the sign of negative numbers on the page


def numbers(page, table, column=-1):
    """Return the numbers in a column of a table, by default the last one."""
    rows = page.locator(f"{table} tr").all_inner_texts()[1:]
    cells = [row.split("\t")[column].replace(MINUS, "-") for row in rows]
    return [float(re.sub(r"[\s,%]", "", cell)) for cell in cells]


def test_small_numbers_have_all_significant_digits(page):
    texts = page.evaluate(
        "[3e-10, -5.96e-8, 1234.56, 0].map((value) => significant(value, 3))"
    )
    assert texts == ["0.0000000003", f"{MINUS}0.0000000596", "1,230", "0"]


def test_the_sums_add_up_as_displayed(page, trained, mnist):
    page.locator("#neurons .tile").nth(5).locator("button").first.click()
    assert page.inner_text("#t-sum") == "N16: neuron 6 of layer 1"
    *terms, total, _ = numbers(page, "#terms")
    assert round(sum(terms), 4) == total
    expected = neuron_sums(trained.network, mnist.test.images[0])["N16"].total
    assert total == pytest.approx(expected, abs=1e-4)
    for index in (0, 50):
        page.evaluate("useTestImage", index)
        for digit in range(10):
            page.evaluate("find", f"N2{digit + 1}")
            *terms, total = numbers(page, "#terms")
            assert round(sum(terms), 4) == total, (index, digit)
        for column, decimals in ((-1, 2), (-2, 6)):  # percentages and powers of e
            *parts, total = numbers(page, "#softmax", column)
            assert round(sum(parts), decimals) == total
        assert numbers(page, "#softmax")[-1] == 100
    assert page.inner_text("#t-sum") == "N210: neuron 10 of layer 2, for digit 9"
    page.locator("#incoming summary").click()
    # The list includes neurons that are not active.
    assert page.locator("#incoming button").count() == 20
    page.locator("#incoming button").nth(12).click()
    assert "layer_2[12,9]" in page.inner_text("#t-parameter")


def test_the_equation_and_the_table_of_the_softmax_have_the_same_probability(page):
    pairs = page.evaluate(
        """Array.from({ length: 50 }, (_, i) => {
          if (i % 10 === 0) useTestImage(i);
          select(2, i % 10);
          const [result, row] = [$("result"), $("softmax").querySelector(".total")];
          return [result.querySelector("b"), row.lastChild].map((e) => e.textContent);
        })"""
    )
    assert all(result == cell for result, cell in pairs)


def test_the_tables_of_a_neuron_are_those_of_the_worksheets(page, trained, mnist):
    for index in (0, 50):
        page.evaluate("useTestImage", index)
        row = page.evaluate("model.gallery")[index]
        sums = neuron_sums(trained.network, mnist.test.images[row])
        for name in ("N16", "N28"):
            page.evaluate("find", name)
            displayed = [
                text.replace(MINUS, "-").replace("\u00d7 ", "").split("\t")[1:]
                for text in page.locator("#terms tr").all_inner_texts()[1:11]
            ]
            sizes = sums[name].sizes
            largest = np.argsort(-sizes, kind="stable")[:10].tolist()
            columns = sum_columns(sums[name], [k for k in largest if sizes[k]])
            _, *numbers_, products = columns.values()
            rows = [*zip(*numbers_, products, strict=True)][:-3]  # only terms
            assert displayed[: len(rows)] == [[*each] for each in rows]
        softmax = softmax_worksheet([*sums.values()][-10:], MNIST).splitlines()
        expected = [line.split()[2:5] for line in softmax[-11:-1]]  # the classes
        cells = page.locator("#softmax tr").all_inner_texts()[1:11]
        assert [text.replace(MINUS, "-").split("\t")[1:] for text in cells] == expected


def test_the_tables_of_a_neuron_omit_weights_of_0(trained, open_page, mnist, tmp_path):
    tensors = snapshot(trained.network)
    tensors["layer_1.weight"][5, ::2] = tensors["layer_2.weight"][7, ::2] = 0
    path = tmp_path / "model.safetensors"
    save_network(path, network_from(tensors))
    trained = load_trained_network(path)
    page = open_page(render_page(ModelAnalysis(trained, mnist), name=NAME))
    row = page.evaluate("model.gallery")[0]
    sums = neuron_sums(trained.network, mnist.test.images[row])
    page.evaluate("find", "N16")
    others = np.count_nonzero(sums["N16"].terms) - 10
    assert f"{others} other pixels" in page.inner_text("#terms")
    page.evaluate("find", "N28")
    terms = sums["N28"].terms
    order = [k for k in np.argsort(-np.abs(terms), kind="stable") if terms[k]]
    names = page.locator("#terms button").all_inner_texts()
    assert names == [*(f"N1{k + 1}" for k in order), "bias"]


def test_parameters_have_the_names_that_python_gives_them(page):
    locations = [(1, 300, 5), (2, 19, 9), (1, BIAS, 19), (2, BIAS, 0)]
    names = page.evaluate(
        """(locations) => locations.map(([layer, input, neuron]) =>
          parameterName(layer, input, neuron))""",
        locations,
    )
    assert names == [ParameterLocation(*location).name for location in locations]


def test_a_weight_is_selected_by_pointer_and_keyboard(page, trained):
    page.evaluate("find('N16')")
    canvas = page.locator("#images canvas").first
    side = canvas.bounding_box()["width"] / 28
    canvas.click(position={"x": 20.5 * side, "y": 10.5 * side})
    assert "layer_1[300,5]" in page.inner_text("#t-parameter")
    weight = trained.network.layer_1.get_weights()[0][300, 5]
    assert f"{weight:.6f}".replace("-", MINUS) in page.inner_text("#parameter-text")
    canvas.press("ArrowRight")
    page.keyboard.press("ArrowDown")  # the canvas keeps the focus
    assert "layer_1[329,5]" in page.inner_text("#t-parameter")
    for words in ("row 11", "column 21", "11·28 + 21 = 329", "N16", "index 5"):
        assert words in page.inner_text("#address")
    page.evaluate("select(1, 5, 335)")  # row 11, column 27
    canvas.press("ArrowRight")
    assert "layer_1[335,5]" in page.inner_text("#t-parameter")
    page.locator("#terms button", has_text="bias").click()
    assert "layer_1.bias[5]" in page.inner_text("#t-parameter")


def test_keyboard_selections_are_announced_and_keep_the_focus(page):
    announcement = page.locator("#announcement")
    page.locator("#neurons .tile").nth(5).locator("button").first.press("Enter")
    total = page.locator("#terms tr").all_inner_texts()[-2].split("\t")[-1]
    announcement.filter(has_text=re.compile(f"N16: .*: {total}")).wait_for()
    term = page.locator("#terms button").nth(2)
    name = term.get_attribute("title")
    term.press("Enter")
    announcement.filter(has_text=f"{name}, one of 15,910").wait_for()
    assert page.evaluate("document.activeElement.title") == name  # keeps the focus
    page.evaluate("find('N28'); document.getElementById('incoming').open = true")
    page.locator("#incoming-weights button").nth(4).press("Enter")
    assert page.evaluate("document.activeElement.title") == "layer_2[4,7]"
    page.locator("#neurons [role=switch]").first.press("Enter")
    announcement.filter(has_text="The network predicts 7").wait_for()


@pytest.mark.parametrize(
    ("name", "selected"),
    [
        ("layer_2[19, 9]", "layer_2[19,9]"),
        ("pixel 406", "layer_1[406,0]"),
        ("M466 of N11", "layer_1[465,0]"),
        ("W10 of N28", "layer_2[9,7]"),
        ("bias of N11", "layer_1.bias[0]"),
        ("Digit 9", "N210: neuron 10 of layer 2, for digit 9"),
    ],
)
def test_a_name_selects_a_neuron_a_parameter_or_a_class(page, name, selected):
    page.locator("#name").fill(name)
    page.locator("#name").press("Enter")
    title = "#t-sum" if selected.startswith("N") else "#t-parameter"
    assert page.inner_text(title).removesuffix(", one of 15,910") == selected
    assert page.locator("#search-error").is_hidden()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("N121", "Layer 1 has the neurons N11 to N120"),
        ("layer_1[784,5]", "indices 0 to 783"),
        ("layer1(300,5)", "is not a name on this page. Examples of names: N11,"),
        ("<b>seven</b>", "“<b>seven</b>” is not a name"),
    ],
)
def test_a_name_that_does_not_exist_gets_a_message(page, name, message):
    page.evaluate("scrollTo(0, 500)")
    box, error = page.locator("#name"), page.locator("#search-error")
    box.fill("")
    box.press_sequentially(name)
    box.press("Enter")
    assert message in error.inner_text()
    assert page.evaluate("scrollY") == 500  # the page does not move
    page.keyboard.press("Escape")
    assert error.is_hidden() and page.locator("#panel").is_visible()


def test_the_examples_of_names_exist_with_one_hidden_neuron(open_page, untrained):
    page = open_page(render_page(untrained(1), name=NAME))
    message = page.evaluate("find('no name')")
    names = message.split("names: ")[1].rstrip(".").split(", ")
    names += page.locator("#name").get_attribute("placeholder").split(" or ")
    assert len(names) == 9
    assert [page.evaluate("find", name) for name in names] == [""] * len(names)


def test_an_empty_name_gets_the_focus_and_no_message(page):
    page.locator("#name").fill(" ")
    page.locator("#find").click()
    assert page.locator("#search-error").is_hidden()
    assert page.evaluate("document.activeElement.id") == "name"


@pytest.mark.parametrize(
    "do",
    [
        lambda page: page.locator("#t-network").click(),
        lambda page: page.locator("#show-connections").dblclick(),
        lambda page: page.locator("#epoch").focus(),
        lambda page: page.mouse.wheel(0, 300),
        lambda page: page.locator("#find").click(),
    ],
    ids=["a click", "a switch", "the epochs", "scrolling", "no name"],
)
def test_a_message_of_the_search_closes_when_the_user_does_something_else(page, do):
    page.evaluate("scrollTo(0, 0)")
    box, error = page.locator("#name"), page.locator("#search-error")
    box.fill("N121")
    box.press("Enter")
    error.wait_for()
    box.evaluate("(box) => { box.value = ''; }")  # without an event
    do(page)
    error.wait_for(state="hidden")


def test_weights_that_never_changed_are_marked(page, analysis):
    always_zero = page.evaluate(
        "[...Array(784).keys()].filter((i) => !model.tensors.images_with_ink[i]).length"
    )
    assert always_zero * 20 == 1_340  # 67 pixels, 20 neurons
    page.evaluate("find('layer_1[0,3]')")
    parameter = page.inner_text("#parameter-text")
    assert "It is frozen: its pixel is 0 in all training images" in parameter
    page.locator("#epoch").fill("0")
    assert page.inner_text("#parameter-text") == parameter  # exact in all epochs
    # 111 weights of other pixels are frozen: pixel 14 is above 0 in few images.
    frozen = analysis.frozen & ~analysis.always_zero[:, None]
    assert frozen.sum() == 111 and frozen[14, 7]
    page.evaluate("find('layer_1[14,7]')")
    parameter = page.inner_text("#parameter-text")
    assert "frozen: it has its initial value after every epoch" in parameter
    count = analysis.images_with_ink[14]
    assert f"above 0 in {count} of 60,000 training images." in parameter
    *rgb, _ = page.evaluate(
        "[...document.querySelector('.tile canvas').getContext('2d')"
        ".getImageData(0, 0, 1, 1).data]"
    )
    assert max(rgb) - min(rgb) < 15  # gray: neither positive nor negative


@pytest.mark.parametrize(
    ("array", "index", "name"),
    [("weight", 7 * 20 + 3, "layer_2[3,7]"), ("bias", 7, "layer_2.bias[7]")],
)
def test_a_parameter_of_layer_2_can_be_frozen(page, array, index, name):
    page.evaluate("(name) => find(name)", name)
    text = page.locator("#parameter-text")
    assert "frozen" not in text.inner_text()
    mark = (
        "([array, index, mark]) => {"
        "model.tensors[`frozen.layer_2.${array}`][index] = mark; change({}); }"
    )
    page.evaluate(mark, [array, index, 1])
    assert "It is frozen: it has its initial value" in text.inner_text()
    page.evaluate(mark, [array, index, 0])


def test_frozen_weights_are_hatched(page, analysis):
    page.evaluate("find('N18')")
    hatched = page.evaluate(
        """() => {
          const context = $("images").querySelector("canvas").getContext("2d");
          const square = context.canvas.width / 28;
          return Array.from({ length: 784 }, (_, pixel) => {
            const [y, x] = coordinates(pixel).map((index) => index * square);
            const colorAt = (right, down) =>
              String(context.getImageData(x + right, y + down, 1, 1).data);
            return colorAt(1, 1) !== colorAt(square / 2 - 1, square / 2);
          });
        }"""
    )
    np.testing.assert_array_equal(hatched, analysis.frozen[:, 7])


def test_the_slider_shows_the_network_of_each_epoch(page, histories):
    page.locator("#epoch").fill("0")
    assert page.inner_text("#epoch-text").startswith("Before training")
    assert page.locator("#epoch").get_attribute("aria-valuetext") == "epoch 0"
    text = page.inner_text("#prediction")
    page.locator("#epoch").fill("1")
    assert page.inner_text("#epoch-text").startswith("After epoch 1 of 20")
    assert page.inner_text("#prediction") != text
    accuracy = 100 * histories.metrics["val/accuracy"][0]
    assert f"{accuracy:.2f}%" in page.inner_text("#epoch-text")


def test_training_is_played_until_the_slider_is_moved(page):
    page.locator("#epoch").fill("1")
    page.locator("#play").click()
    later = re.compile(r"After epoch ([2-9]|1\d) of")
    page.locator("#epoch-text", has_text=later).wait_for()
    page.locator("#epoch").fill("20")
    assert page.locator("#play").get_attribute("aria-pressed") == "false"
    page.locator("#epoch").fill("19")
    page.locator("#play").click()
    page.locator("#epoch-text", has_text="After epoch 20").wait_for()
    page.locator("#play[aria-pressed=false]").wait_for()


def test_switching_a_neuron_off_has_the_effect_of_zero_weights(page, trained, mnist):
    images, labels = mnist.test.images[:1000], mnist.test.labels[:1000]
    without = snapshot(trained.network)
    without["layer_2.weight"][:, 9] = 0
    before, after = (
        int((network.predict(images).argmax(axis=1) == labels).sum())
        for network in (trained.network, network_from(without))
    )
    page.locator("#epoch").fill("0")  # the effect is that on the final network
    page.locator("#neurons [role=switch]").nth(9).click()
    effect = page.inner_text("#effect")
    assert "all neurons on" in page.inner_text("#epoch-text")
    assert effect.startswith("N110 off: ")
    assert f"classifies {after} of 1,000 test images correctly" in effect
    assert f"with all neurons on, {before}." in effect
    scores = f"{after} of 1,000 test images correct; with all neurons on, {before}."
    assert scores in page.inner_text("#accuracy")  # near the switches
    bars = page.locator("#class-accuracies figure").first.get_attribute("aria-label")
    assert re.match(r"digit 0: [\d.]+% of 85 images before, [\d.]+% aft", bars)
    page.evaluate("find('N110')")
    last = page.locator("#terms tr").all_inner_texts()[-1].split("\t")
    assert (last[0], float(last[-1])) == ("switched off", 0)
    page.locator("#reset").click()
    assert page.inner_text("#effect").startswith("No neuron is switched off")


def test_a_misclassified_test_image_is_selected_in_the_gallery(page):
    page.locator("#choose summary").click()
    mistake = page.locator("#gallery .mistake").first
    predicted = mistake.get_attribute("aria-label")[-1]
    mistake.click()
    text = f"The network predicts {predicted} ("
    assert page.inner_text("#prediction").startswith(text)
    assert "misclassified" in page.inner_text("#source")


# The largest product of a neuron that is in view with its weight in N28.
LARGEST_IN_VIEW = """() => {
  const frame = $("neurons").getBoundingClientRect(), { outputs } = currentResult();
  const isInView = ({ top, bottom }) =>
    bottom > frame.top + 8 && top < frame.bottom - 8;
  return Math.max(...tiles.map(({ button }, neuron) =>
    isInView(button.getBoundingClientRect())
      ? Math.abs(outputs[neuron] * network().parameter(2, neuron, 7)) : 0));
}"""


def test_the_legend_of_the_lines_is_about_the_neurons_in_view(open_page, untrained):
    page = open_page(render_page(untrained(200), name=NAME), width=1366, height=768)
    page.evaluate("select(2, 7)")
    largest = []
    for part in (0, 0.5, 1):
        page.locator("#neurons").evaluate(
            "(tiles, part) => { tiles.scrollTop = part * tiles.scrollHeight; }", part
        )
        largest.append(f"{page.evaluate(LARGEST_IN_VIEW):.2f}")
        text = f"The thickest line into N28 represents a product of {largest[-1]}."
        page.locator("#connections-legend", has_text=text).wait_for()
    assert len({*largest}) > 1


@pytest.fixture(scope="module")
def resized(open_page, html):
    """A page that was opened on a phone, where lines would cover the prediction."""
    page = open_page(html, width=390, height=844)
    assert not page.locator("#show-connections").is_checked()
    assert not page.locator("#connections-legend").is_visible()
    return page


UNCOVERED = """() => {
    $("connections").style.pointerEvents = "auto"; // elementFromPoint finds lines
    const texts = document.querySelectorAll(".network :is(h3, .aside, .legend, .name)");
    const seen = [...texts].filter((text) => text.checkVisibility()).map((text) => {
        text.scrollIntoView({ block: "center" });
        const box = text.getBoundingClientRect();
        const x = box.x + box.width / 2, y = box.y + box.height / 2;
        const top = document.elementFromPoint(x, y);
        const { backgroundColor } = getComputedStyle(text);
        return text.contains(top) && !/transparent|, 0\\)$/.test(backgroundColor);
    });
    $("connections").style.pointerEvents = "";
    return seen;
}"""


def test_the_lines_spare_the_text_on_a_phone(resized):
    resized.set_viewport_size({"width": 390, "height": 844})
    box = resized.locator("#show-connections")
    box.check()
    resized.locator("#neurons .tile > button:first-child").first.click()
    resized.locator("#connections path").first.wait_for(state="attached")
    seen = resized.evaluate(UNCOVERED)
    box.uncheck()
    resized.locator("#close").click()
    assert len(seen) > 10 and all(seen)


@pytest.mark.parametrize("width", [390, 600, 768, 845, 1024, 1366])
def test_the_image_precedes_layer_1_which_precedes_layer_2(resized, width):
    resized.set_viewport_size({"width": width, "height": 768})
    image, layer_1, layer_2 = (
        resized.locator(part).bounding_box()
        for part in ("#board", "#layer-1", "#layer-2")
    )
    for first, second in ((image, layer_1), (layer_1, layer_2)):
        is_beside = first["x"] + first["width"] <= second["x"]
        is_above = first["y"] + first["height"] <= second["y"]
        assert is_beside or is_above
        assert first["y"] - 10 <= second["y"]


@pytest.mark.parametrize("size", [(1366, 768), (390, 844), (320, 640)])
def test_a_click_on_a_neuron_shows_its_sum_in_view(resized, size):
    page, (width, height) = resized, size
    page.set_viewport_size({"width": width, "height": height})
    tile = page.locator("#neurons .tile > button:first-child").nth(9)
    tile.scroll_into_view_if_needed()
    before = tile.bounding_box()
    tile.click()
    assert page.locator("#t-sum").inner_text() == "N110: neuron 10 of layer 1"
    panel = page.locator("#panel").bounding_box()
    for part in ("#equation", "#result", "#images"):
        box = page.locator(part).bounding_box()
        assert panel["y"] < box["y"] and box["y"] + box["height"] <= height, part
    after = tile.bounding_box()
    if width > 1000:
        assert after == before  # nothing moves
    else:
        assert after["y"] + after["height"] <= panel["y"]  # the neuron stays in view
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("find('layer_1[465,9]')")
    page.keyboard.press("Escape")  # closes the parameter
    assert page.locator("#parameter").is_hidden()
    assert page.locator("#panel").is_visible()
    page.keyboard.press("Escape")  # closes the panel
    assert page.locator("#panel").is_hidden()
    assert tile.evaluate("(tile) => tile === document.activeElement")
    page.keyboard.press("ArrowRight")  # to the next neuron
    page.keyboard.press("Enter")
    assert page.locator("#panel :focus").inner_text() == "N111: neuron 11 of layer 1"
    page.keyboard.press("Escape")
