"""The tour of the page, and the parts that it points at: sizes, curve, connections."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.interpret.measurements import hidden_sums
from pipeline.interpret.page import render_page

RIGHT = "Correct."
# Steps after the first, with guesses: each is wrong for a reason, except the last one.
WALK = [
    (
        "One neuron",
        [
            ("784", "What else is in the sum?"),
            ("0x311", "Enter a number."),
            ("785", RIGHT),
        ],
    ),
    (
        "How many weights",
        [
            ("784", "That is one neuron. Layer 1 has 20 neurons."),
            ("15,700", "That includes 20 biases."),
            ("20", "Each of them has 784 weights."),
            ("200", "weights of layer 2"),
            ("12345", "That is too small. Each neuron is connected to 784 pixels"),
            ("many", "Enter a number."),
            ("15,680", RIGHT),
        ],
    ),
    ("20 neurons look", [("\u2212", "No neuron of layer 1 has"), ("0", RIGHT)]),
    ("Ten neurons", [("784", "does not see the pixels"), ("20", RIGHT)]),
    ("Softmax", [("It grows", "multiplied by e"), ("It stays the same", RIGHT)]),
    (
        "How the numbers were learned",
        [
            ("50", "a coin"),
            ("97", "That is the result after training."),
            ("10", RIGHT),
        ],
    ),
    ("Frozen weights", [("67", "These are the pixels"), ("1340", RIGHT)]),
]


# Returns where the target and the card of a step are, before or after the answer.
PLACES = """async (hasAnswer) => {
  if (hasAnswer && $("guess-show").checkVisibility()) $("guess-show").click();
  await new Promise(requestAnimationFrame);
  return [currentTarget(), $("tour")].map((each) => {
    const { left, top, right, bottom } = each.getBoundingClientRect();
    return [left, top, right, bottom];
  });
}"""


@pytest.fixture(scope="module")
def page(open_page, html):
    page = open_page(html, width=1366, height=768)
    page.emulate_media(reduced_motion="reduce")
    return page


@pytest.fixture
def tour(open_page, html):
    """A new page with the tour at its first step."""
    page = open_page(html, width=1366, height=768)
    page.emulate_media(reduced_motion="reduce")
    page.locator("#start-tour").click()
    yield page
    page.close()


def guess(page, value):
    if page.locator("#guess-value").is_visible():
        page.locator("#guess-value").fill(value)
        page.locator("#guess-value").press("Enter")
    else:
        name = re.compile(f"^{value}")
        page.locator("#guess-options button", has_text=name).first.click()
    return page.inner_text("#tour-feedback")


def board(page):
    """Return the pixels of the board, and the texts about image and network."""
    ids = "#source, #preprocessed, #prediction, #epoch-text, #effect, #t-sum"
    texts = page.locator(ids)
    return page.evaluate('$("board").toDataURL()'), texts.all_inner_texts()


def test_after_the_tour_the_drawing_the_epoch_and_the_switches_are_as_before(
    page, draw_on_page
):
    draw_on_page(page, [[(0.3, 0.2), (0.7, 0.2), (0.4, 0.8)], [(0.9, 0.9)]])
    page.evaluate("change({ networkIndex: 3, off: new Set([3]) }); select(1, 5)")
    before = board(page)
    assert "1 stray stroke is ignored" in page.inner_text("#preprocessed")
    page.locator("#start-tour").click()
    assert page.evaluate("state.off.size") == 0
    assert page.inner_text("#epoch-text").startswith("After epoch 20")
    assert page.inner_text("#source").startswith("test image")
    page.locator("#tour-leave").click()
    assert board(page) == before
    # The page keeps what the user chooses during the tour.
    page.locator("#start-tour").click()
    draw_on_page(page, [[(0.5, 0.2), (0.5, 0.8)]])
    page.locator("#neurons [role=switch]").nth(7).click()
    during = page.evaluate('$("board").toDataURL()')
    page.locator("#tour-leave").click()
    assert page.evaluate('$("board").toDataURL()') == during
    assert page.inner_text("#effect").startswith("N18 off")
    page.evaluate("""change({ networkIndex: model.trainedIndex, off: new Set() });
      useTestImage(0)""")


def test_the_board_shows_the_image_of_the_state(page, draw_on_page):
    draw_on_page(page, [[(0.3, 0.2), (0.7, 0.2), (0.4, 0.8)]])
    drawn = board(page)
    page.evaluate("window.earlier = state.shown; useTestImage(1)")
    assert board(page) != drawn and page.locator("#preprocessed").is_hidden()
    page.evaluate("change({ shown: earlier })")
    assert board(page) == drawn and page.locator("#preprocessed").is_visible()
    # A new stroke is added to it.
    page.locator("#board").click(position={"x": 20, "y": 20})
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.evaluate("state.shown.strokes.length") == 2
    page.evaluate("useTestImage(0)")


def test_the_tour_says_why_each_guess_is_correct_or_wrong(tour, trained, mnist):
    first = re.search(r"N1(\d+)[^|]*? pixel (\d+)", tour.inner_text("#tour-text"))
    neuron, pixel = int(first[1]) - 1, int(first[2])
    kernel, bias = trained.network.layer_1.get_weights()
    m, c = kernel[pixel, neuron], bias[neuron]
    x = mnist.test.images[0].ravel()[pixel] / 255
    assert guess(tour, f"{m * x:.2f}").endswith("is missing.")
    assert guess(tour, f"{m * x + c:.2f}".replace(".", ",")) == RIGHT
    assert "This is a straight line" in tour.inner_text("#tour-answer")
    for number, (title, guesses) in enumerate(WALK, start=2):
        tour.locator("#tour-next").click()
        assert tour.inner_text("#tour-count") == f"Step {number} of 8"
        assert tour.inner_text("#tour-title").startswith(title)
        for value, reason in guesses:
            assert tour.locator("#tour-answer").is_hidden()
            assert reason in guess(tour, value)
        assert tour.locator("#tour-answer").is_visible()
        if title == "How many weights":
            answer = tour.inner_text("#tour-answer")
            assert "20 neurons = 15,680 weights" in answer
        if title == "How the numbers were learned":
            assert tour.inner_text("#epoch-text").startswith("Before training")
    assert "Another 111 weights are frozen" in tour.inner_text("#tour-answer")
    # The page shows the same epoch as before the step.
    assert tour.inner_text("#epoch-text").startswith("After epoch 20")
    assert tour.inner_text("#tour-next") == "Finish"
    tour.locator("#tour-next").click()
    assert tour.locator("#tour").is_hidden()
    assert tour.locator(".target").count() == 0


def test_an_answer_is_not_on_the_page_before_the_guess(tour):
    for _ in range(2):
        tour.keyboard.press("ArrowRight")
    count = tour.locator("#sizes-table .count").first
    assert not count.is_visible()
    tour.locator("#guess-show").click()
    assert count.inner_text() == "15,680"
    assert tour.locator("#tour-feedback").is_hidden()
    for key in ("ArrowLeft", "ArrowRight"):
        tour.keyboard.press(key)
    assert tour.locator("#tour-answer").is_visible()  # the question is not asked again
    tour.keyboard.press("ArrowRight")
    output = tour.locator("#neurons .name span").first
    assert not output.is_visible()
    tour.locator("#guess-show").click()
    assert output.is_visible()


def test_the_softmax_step_is_about_the_selected_class_and_points_at_it(tour):
    for _ in range(5):
        tour.keyboard.press("ArrowRight")
    for index in (1, 2):
        tour.evaluate("useTestImage", index)
        row = tour.inner_text("#softmax tr.total >> nth=0").split("\t")
        label = int(row[0].removeprefix("N2")) - 1
        share = tour.evaluate(
            "(label) => probabilityText(currentResult().probabilities[label])", label
        )
        assert f"digit {label} gets {share}." in tour.inner_text("#tour-text")
    # When the user closes the panel too, the card points at something displayed.
    assert tour.inner_text("#tour-title").startswith("Softmax")
    tour.evaluate("select(1, 5)")
    tour.locator("#close").click()
    assert tour.locator(".target").bounding_box()["height"] > 0
    assert tour.evaluate("currentTarget().id") == "network"


def test_typical_mistakes_in_a_line_are_explained(page):
    reasons = page.evaluate(
        """[{}, { noInput: "m + c" }, { added: "added" }, { together: "x alone" },
           { subtracted: "subtracted" }].map((mistake) => {
          const [step] = tourSteps(), values = step.values();
          const [[name, reason] = ["y", ""]] = Object.entries(mistake);
          return [step.content().question.check(values[name]), reason];
        })"""
    )
    assert reasons[0][0] == ""
    assert all(reason in text for text, reason in reasons)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('data-guess="added"', 'data-guess="addded"', "addded is not a number"),
        ("{sign} {size}", "{sing} {size}", "{sing} has no value"),
    ],
)
def test_a_name_in_a_step_without_a_value_is_an_error(page, old, new, message):
    error = page.evaluate(
        """([old, text]) => {
          const step = $("step-line"), { innerHTML } = step;
          step.innerHTML = innerHTML.replace(old, text);
          try {
            tourSteps()[0].content();
            return "none";
          } catch ({ message }) {
            return message;
          } finally {
            step.innerHTML = innerHTML;
          }
        }""",
        [old, new],
    )
    assert message in error


def test_only_the_step_about_training_lets_the_user_select_an_epoch(page):
    page.locator("#epoch").fill("1")
    page.locator("#play").click()
    page.locator("#start-tour").click()
    assert page.locator("#play").get_attribute("aria-pressed") == "false"
    for step in range(8):
        title = page.inner_text("#tour-title")
        is_about_training = title.startswith("How the numbers were learned")
        for control in ("#play", "#epoch"):
            assert page.locator(control).is_enabled() == is_about_training, step
        if is_about_training:
            page.locator("#guess-show").click()
            page.locator("#play").click()
        else:
            assert page.inner_text("#epoch-text").startswith("After epoch 20")
        page.locator("#tour-next").click()
    assert page.locator("#play").get_attribute("aria-pressed") == "false"
    assert re.match("After epoch [1-9] of 20", page.inner_text("#epoch-text"))
    assert page.locator("#play").is_enabled() and page.locator("#epoch").is_enabled()


def test_arrow_keys_change_the_step_of_the_tour_and_escape_closes_it(tour):
    assert tour.evaluate("document.activeElement.id") == "tour"
    tour.keyboard.press("ArrowRight")
    tour.locator("#guess-value").fill("15")
    for part in ("#guess-value", "#neurons .tile > button", "#outputs button"):
        tour.locator(part).first.press("ArrowRight")  # moves the cursor or the focus
        assert tour.inner_text("#tour-count") == "Step 2 of 8"
    tour.locator("#show-connections").press("ArrowLeft")
    assert tour.inner_text("#tour-count") == "Step 1 of 8"
    for _ in range(6):
        tour.keyboard.press("ArrowRight")
    tour.locator("#guess-show").click()
    assert tour.inner_text("#epoch-text").startswith("Before training")
    tour.keyboard.press("Escape")
    assert tour.locator("#tour").is_hidden() and tour.locator("#panel").is_visible()
    assert tour.inner_text("#epoch-text").startswith("After epoch 20")
    assert tour.evaluate("document.activeElement.id") == "start-tour"


def test_the_tour_restores_the_selection_and_continues_where_it_was_left(page):
    page.evaluate("select(1, 5)")
    start = page.locator("#start-tour")
    start.click()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#connections-text") == "Lines to N28"
    page.locator("#tour-leave").click()
    assert page.inner_text("#connections-text") == "Lines to and from N16"
    assert start.inner_text() == "Continue the tour"
    start.click()
    assert page.inner_text("#tour-count") == "Step 5 of 8"
    for _ in range(4):
        page.locator("#tour-next").click()
    assert page.locator("#tour").is_hidden() and start.inner_text() == "Start here"


# A laptop, a phone, and the frame of MLflow on a laptop.
@pytest.mark.parametrize("size", [(1366, 768), (390, 844), (579, 536)])
def test_the_card_never_covers_what_it_points_at(page, size):
    width, height = size
    page.set_viewport_size({"width": width, "height": height})
    page.locator("#start-tour").click()
    for step in range(8):
        for has_answer in (False, True):
            target, card = page.evaluate(PLACES, has_answer)
            assert 0 <= target[1] < target[3] <= height, step  # in view
            assert 0 <= card[0] < card[2] <= width and 0 <= card[1] < card[3] <= height
            assert (
                target[2] <= card[0]
                or card[2] <= target[0]
                or target[3] <= card[1]
                or card[3] <= target[1]
            ), step
        page.evaluate('$("tour-next").click()')
    assert page.locator("#tour").is_hidden()
    # On a phone, it would cover the board.
    assert page.locator("#panel").is_visible() == (width >= 760)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("hidden", [1, 10])  # with 10, some mistakes are correct
def test_the_numbers_are_those_of_the_network(open_page, untrained, hidden):
    page = open_page(render_page(untrained(hidden), name="without history"))
    right = {"neuron": 785, "sizes": 784 * hidden, "classes": hidden}
    wrong = {"neuron": [784, 784 * hidden], "sizes": [785, 785 * hidden]}
    checks = page.evaluate(
        """([right, wrong]) => tourSteps().map((step) => {
          step.enter?.();
          const { question } = step.content();
          question?.check(0);
          return [step.id, right[step.id] && question.check(right[step.id]),
            wrong[step.id]?.map(question.check) ?? []];
        })""",
        [
            right | {"frozen": 67 * hidden},
            wrong | {"classes": [784, hidden + 1], "frozen": [68 * hidden]},
        ],
    )
    ids = [step for step, _, _ in checks]
    assert " ".join(ids) == "line neuron sizes layer classes softmax frozen"
    assert not any(problem for _, problem, _ in checks)
    assert all(problem for _, _, problems in checks for problem in problems)
    sizes = page.locator("#sizes-table .count").all_inner_texts()
    expected = 784 * hidden, hidden, 10 * hidden, 10, 795 * hidden + 10
    assert sizes == [f"{size:,}" for size in expected]
    assert page.locator("#curve").is_hidden()
    page.close()


def test_a_sum_that_is_displayed_as_0_is_not_asked_about(open_page, untrained):
    page = open_page(render_page(untrained(1), name="a sum of almost 0"))
    asked = page.evaluate(
        """[-0.004, -0.006].map((bias) => {
          model.tensors["layer_1.weight"].fill(0);
          model.tensors["layer_1.bias"].fill(bias);
          const step = tourSteps().find(({ id }) => id === "layer");
          return Boolean(step.content().question);
        })"""
    )
    assert asked == [False, True]
    page.close()


@pytest.mark.parametrize("level", [0, 255])
def test_the_tour_starts_with_an_image_that_is_not_blank(open_page, untrained, level):
    analysis = untrained(3)
    images = analysis.dataset.test.images.copy()
    images[0] = level
    test = replace(analysis.dataset.test, images=images)
    dataset = replace(analysis.dataset, test=test)
    page = open_page(render_page(replace(analysis, dataset=dataset), name="blank"))
    assert page.inner_text("#prediction").startswith("The image is blank")
    page.locator("#start-tour").click()
    assert page.inner_text("#tour-count") == "Step 1 of 7"
    assert page.inner_text("#source").startswith("test image 1: ")
    page.close()


def test_the_learning_curve_has_the_recorded_values_and_selects_an_epoch(
    page, histories
):
    plot = page.locator("#curves svg").last
    x = 56 + 320 * 3.2 / 20  # in a plot that is 460 wide
    scale = plot.bounding_box()["width"] / 460
    plot.click(position={"x": x * scale, "y": 40})
    assert page.inner_text("#epoch-text").startswith("After epoch 3 of 20")
    displayed = page.inner_text("#curve-text").replace("\u00a0", " ")
    assert f"training loss {histories.metrics['train/loss'][2]:.4f}" in displayed
    accuracies = [100 * accuracy for accuracy in histories.metrics["val/accuracy"]]
    assert f"accuracy {accuracies[2]:.2f}% (10,000 images)" in displayed
    page.locator("#epoch").fill("20")
    best = int(np.argmax(accuracies))
    text = f"highest after epoch {best + 1}: {accuracies[best]:.2f}"
    assert text in page.inner_text("#curve-text").replace("\u00a0", " ")
    for cursor in page.locator("#curves .cursor").all():
        assert float(cursor.get_attribute("x1")) == 320  # the right end


def test_a_line_is_as_thick_as_its_product_and_has_the_color_of_its_sign(
    page, trained, mnist
):
    page.evaluate(
        "change({ networkIndex: model.trainedIndex }); useTestImage(0); select(2, 7)"
    )
    sums = hidden_sums(trained.network, mnist.test.images[:1])[0]
    products = np.maximum(sums, 0) * trained.network.layer_2.get_weights()[0][:, 7]
    sizes = np.abs(products) / np.abs(products).max()
    drawn = products[sizes > 0.02][np.argsort(sizes[sizes > 0.02])]
    lines = page.evaluate(
        """[...document.querySelectorAll("#connections path")].map((line) =>
          [line.getAttribute("class"), Number(line.getAttribute("stroke-width"))])"""
    )
    assert [kind for kind, _ in lines] == [
        "positive" if product > 0 else "negative" for product in drawn
    ]
    widths = np.maximum(8 * np.abs(drawn) / np.abs(products).max(), 0.5)
    np.testing.assert_allclose([width for _, width in lines], widths, atol=0.006)
    page.evaluate("select(1, 5)")  # 40 pixels, and up to ten digits
    assert 40 < page.locator("#connections path").count() <= 50
    page.locator("#show-connections").uncheck()
    assert page.locator("#connections path").count() == 0
    assert not page.locator("#connections-legend").is_visible()
    page.evaluate("change({ hasLines: true })")
    assert page.locator("#show-connections").is_checked()
    assert page.locator("#connections-legend").is_visible()
