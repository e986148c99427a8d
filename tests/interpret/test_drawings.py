"""The page in a real Chromium and `predict` preprocess and classify the same drawing.

A drawing is a list of strokes; a stroke is an array of points, as fractions of the
board.
"""

import base64
import io
from itertools import cycle, islice

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation import classify
from pipeline.images import ImageSet, preprocess_images
from pipeline.interpret.page import render_page

MARGIN = 1 / 16  # the part of the board that the pen cannot reach

# The corners of each stroke of digits that are drawn with a mouse.
DIGITS = {
    0: [[(0.5, 0.2), (0.3, 0.35), (0.3, 0.65), (0.5, 0.8), (0.7, 0.5), (0.5, 0.2)]],
    1: [[(0.42, 0.3), (0.55, 0.15), (0.53, 0.85)]],
    2: [[(0.3, 0.3), (0.5, 0.2), (0.65, 0.35), (0.3, 0.8), (0.72, 0.8)]],
    3: [[(0.3, 0.2), (0.65, 0.25), (0.45, 0.45), (0.7, 0.65), (0.3, 0.8)]],
    4: [[(0.35, 0.15), (0.3, 0.5), (0.7, 0.5)], [(0.65, 0.2), (0.6, 0.88)]],
    5: [[(0.7, 0.2), (0.35, 0.2), (0.33, 0.45), (0.66, 0.55), (0.6, 0.8), (0.3, 0.8)]],
    6: [
        [
            (0.6, 0.15),
            (0.38, 0.4),
            (0.34, 0.65),
            (0.48, 0.83),
            (0.66, 0.72),
            (0.6, 0.55),
            (0.36, 0.62),
        ]
    ],
    7: [[(0.28, 0.22), (0.72, 0.2), (0.45, 0.85)]],
    8: [
        [
            (0.62, 0.25),
            (0.45, 0.17),
            (0.36, 0.32),
            (0.64, 0.62),
            (0.52, 0.84),
            (0.35, 0.7),
            (0.6, 0.4),
            (0.62, 0.25),
        ]
    ],
    9: [
        [
            (0.66, 0.3),
            (0.5, 0.18),
            (0.36, 0.32),
            (0.46, 0.5),
            (0.66, 0.36),
            (0.62, 0.6),
            (0.54, 0.86),
        ]
    ],
}
# How large the longer side of a drawing is, as a fraction of the board.
SIZES = {
    "usual": (0.5, 0.8),
    "tiny": (0.2, 0.3),
    "huge": (0.8, 0.95),  # can be flattened at the border of the board
    "shifted": (0.3, 0.5),
    "trembling": (0.5, 0.8),
    "with stray taps": (0.4, 0.75),
}
# Returns the page's preprocessing and prediction of a drawing, and the board as a PNG.
DRAW = """(strokes) => {
  paintBoard(strokes);
  const { image, finding } = preprocessDrawing(strokes);
  const result = model.trained.classify(image);
  return { image: [...image], finding, label: result.first,
    reason: finding || model.detector.reason(image, result),
    png: $("board").toDataURL().split(",")[1] };
}"""


@pytest.fixture(scope="module")
def page(open_page, html):
    return open_page(html)


def curve_through(points, steps=6):
    """Return a smooth curve (Catmull-Rom) through these points."""
    padded = [2 * points[0] - points[1], *points, 2 * points[-1] - points[-2]]
    time = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * time)
        + 0.5 * (2 * a - 5 * b + 4 * c - d) * time**2
        + 0.5 * (3 * b - a - 3 * c + d) * time**3
        for a, b, c, d in zip(*(padded[start:] for start in range(4)), strict=False)
    ]
    return np.concatenate([*pieces, points[-1:]])


def varied(digit, kind, generator):
    """Return a digit with moved corners, slanted, scaled and shifted at random."""
    strokes = [np.array(stroke) for stroke in DIGITS[digit]]
    strokes = [s + generator.normal(0, 0.015, s.shape) for s in strokes]
    if generator.random() < 0.6:
        strokes = [curve_through(stroke) for stroke in strokes]
    angle, slant = generator.normal(0, 0.1, 2)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = np.concatenate(strokes)
    middle, size = (points.min(0) + points.max(0)) / 2, generator.uniform(*SIZES[kind])
    shape = np.array([[1, 0], [slant, 1]]) @ turn * size / np.ptp(points, axis=0).max()
    room = max(0.02, 0.46 - size / 2)
    center = 0.5 + generator.uniform(-room, room, 2)
    strokes = [(stroke - middle) @ shape + center for stroke in strokes]
    if kind == "trembling":
        strokes = [s + generator.normal(0, 0.01, s.shape) for s in strokes]
    if kind == "with stray taps":
        taps = generator.uniform(0, 1, (generator.integers(1, 3), 1, 2))
        strokes = [*strokes, *taps]
    return [stroke.clip(MARGIN, 1 - MARGIN) for stroke in strokes]


def drawings(count, *, seed):
    """Yield drawings of all digits and kinds, with their digit and kind."""
    generator = np.random.default_rng(seed)
    pairs = [(digit, kind) for digit in DIGITS for kind in SIZES]
    for digit, kind in islice(cycle(pairs), count):
        yield digit, kind, varied(digit, kind, generator)


def test_the_text_next_to_the_preprocessed_image_does_not_cover_it(page):
    is_on_top = page.evaluate(
        """() => {
          const strokes = [[[0.5, 0.2], [0.5, 0.8]]];
          change({ shown: { ...preprocessDrawing(strokes), strokes, index: null } });
          const image = $("preprocessed-image");
          image.scrollIntoView({ block: "center" });
          const { x, y, width, height } = image.getBoundingClientRect();
          return document.elementFromPoint(x + width / 2, y + height / 2) === image;
        }"""
    )
    assert is_on_top


def draw(page, strokes):
    """Return the results of the page and of `predict` for a drawing."""
    result = page.evaluate(DRAW, [np.asarray(stroke).tolist() for stroke in strokes])
    board = Image.open(io.BytesIO(base64.b64decode(result["png"]))).convert("L")
    saved = ImageSet(
        name="board",
        description="as the page saves it",
        files=["board.png"],
        labels=[None],
        images=np.asarray(board)[None],
        kind="raw",
    )
    return result, preprocess_images(saved, as_mnist=True)


def test_98_percent_of_120_drawings_get_the_same_prediction_as_from_predict(
    page, trained, detector
):
    differing = []
    for digit, kind, strokes in drawings(120, seed=2):
        result, preprocessed = draw(page, strokes)
        (predicted,) = classify(preprocessed, trained, detector).classes
        if predicted != result["label"]:
            differing.append((digit, kind, result["label"], predicted))
    assert len(differing) <= 0.02 * 120, differing


def test_digits_drawn_with_the_mouse_are_recognized(
    page, trained, detector, draw_on_page
):
    correct = 0
    for digit, strokes in islice(DIGITS.items(), 0, None, 2):
        draw_on_page(page, strokes)
        drawn = page.evaluate("state.shown.strokes")
        result, preprocessed = draw(page, drawn)
        assert page.evaluate("[...state.shown.image]") == result["image"]
        (predicted,) = classify(preprocessed, trained, detector).classes
        text = page.inner_text("#prediction")
        assert text.startswith(f"The network predicts {predicted} (")
        correct += predicted == digit
    assert correct >= 4  # 4 of 5, because strokes with corners are not handwriting


def test_a_drawing_is_scaled_to_a_box_of_20_pixels_and_centered_by_mass(page):
    for digit, strokes in DIGITS.items():
        result, _ = draw(page, strokes)
        image = np.reshape(result["image"], (28, 28)).astype(float)
        rows, columns = np.nonzero(image)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20, digit
        center = np.indices((28, 28)) * image / image.sum()
        assert np.abs(center.sum(axis=(1, 2)) - 14).max() <= 0.5, digit


def test_size_and_position_make_no_difference(page):
    strokes = [np.array(stroke) for stroke in DIGITS[3]]
    expected, _ = draw(page, strokes)
    for scale, shift in ((0.2, 0.7), (0.5, 0.1), (1, 0.05)):
        other, _ = draw(page, [scale * stroke + shift for stroke in strokes])
        difference = np.subtract(other["image"], expected["image"])
        assert np.abs(difference).max() <= 2  # gray levels, 0 to 255: rounding


def test_a_stray_tap_is_left_out(page, draw_on_page):
    strokes = DIGITS[3]
    alone, _ = draw(page, strokes)
    for place in ((0.95, 0.05), (0.05, 0.95), (0.5, 0.95)):
        assert draw(page, [*strokes, [place]])[0]["image"] == alone["image"]
    draw_on_page(page, [*strokes, [(0.95, 0.05)]])
    assert "1 stray stroke is ignored" in page.inner_text("#preprocessed")
    draw_on_page(page, strokes)
    assert page.inner_text("#preprocessed").startswith("The network sees")


def test_two_digits_one_above_the_other_are_reported_as_several_objects(page):
    for gap, finding in (
        (0.03, ""),
        (0.2, "several objects"),
    ):  # a broken stroke, two ones
        upper, lower = 0.5 - 1 / 32 - gap / 2, 0.5 + 1 / 32 + gap / 2  # half the pen
        strokes = [[(0.5, 0.15), (0.5, upper)], [(0.52, lower), (0.52, 0.85)]]
        drawn, preprocessed = draw(page, strokes)
        assert preprocessed.findings == [drawn["finding"]] == [finding]


@pytest.mark.parametrize("has_detector", [True, False])
def test_two_digits_side_by_side_are_reported_as_several_objects(
    page, open_page, untrained, draw_on_page, has_detector
):
    if not has_detector:
        page = open_page(render_page(untrained(3), name="without a detector"))
    left = [[(0.2, 0.2), (0.2, 0.8)]]
    right = [[(0.7, 0.2), (0.7, 0.5)], [(0.7, 0.5), (0.75, 0.8)]]
    both, preprocessed = draw(page, left + right)
    assert preprocessed.findings == [both["finding"]] == ["several objects"]
    draw_on_page(page, left + right)
    assert "more than one digit or object in the drawing" in page.inner_text(
        "#prediction"
    )


def test_the_gap_between_two_strokes_contains_no_ink(page):
    line = [[(0.2, 0.2), (0.2, 0.8)]]
    dots = [[(0.4, 0.2), (0.4, 0.22)], [(0.4, 0.78), (0.4, 0.8)]]  # as high as the line
    drawn, preprocessed = draw(page, line + dots)
    assert "several objects" not in (drawn["finding"], *preprocessed.findings)


ZIGZAG = [[(0.2 + 0.6 * (i % 2), 0.2 + 0.1 * i) for i in range(7)]]


@pytest.mark.parametrize(
    "strokes",
    [[[(0.5, 0.5)]], [[(0.2, 0.5), (0.8, 0.5)]], ZIGZAG],
    ids=["dot", "line", "zigzag"],
)
def test_drawings_that_are_not_digits_are_unsure_on_the_page(
    page, trained, detector, strokes
):
    result, preprocessed = draw(page, strokes)
    assert all(classify(preprocessed, trained, detector).reasons)
    assert preprocessed.findings == [result["reason"]] == ["unusual"]


def test_a_tap_is_not_classified(page, draw_on_page):
    draw_on_page(page, [[(0.5, 0.5)]])
    warning = "This is only a dot, so the probabilities are meaningless. Draw a digit."
    assert page.inner_text("#prediction") == warning
    draw_on_page(page, DIGITS[3])
    assert page.inner_text("#prediction").startswith("The network predicts")


def test_a_stroke_belongs_to_the_drawing_only_in_the_next_frame(page):
    text = page.evaluate(
        """() => {
          useTestImage(0);
          const board = $("board"), { left, top } = board.getBoundingClientRect();
          board.setPointerCapture = () => {}; // it needs a real pointer
          board.dispatchEvent(new PointerEvent("pointerdown",
            { isPrimary: true, clientX: left + 90, clientY: top + 90 }));
          delete board.setPointerCapture;
          change({ off: new Set([3]) });
          return $("prediction").textContent;
        }"""
    )
    assert text.startswith("The network predicts 7")
    page.evaluate("change({ off: new Set() }); useTestImage(0)")


def test_the_pen_stays_on_the_board(page, draw_on_page):
    draw_on_page(page, [[(0.5, 0.5), (0.5, 1.4), (1.4, 1.4)]])
    points = np.concatenate(page.evaluate("state.shown.strokes"))
    assert points.max() == pytest.approx(1 - MARGIN)
    page.locator("#clear").click()
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.inner_text("#prediction").startswith("The image is blank")
    assert page.inner_text("#source") == "nothing is drawn"


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
def test_the_preprocessed_drawing_follows_its_prediction_and_nothing_below_it_moves(
    page, draw_on_page, size
):
    before, places = page.viewport_size, []
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for strokes in (DIGITS[1], ZIGZAG):  # a short text, and a longer one
        draw_on_page(page, strokes)
        prediction, preprocessed, below = (
            page.locator(part).bounding_box()
            for part in ("#prediction", "#preprocessed", "#choose")
        )
        assert 0 < preprocessed["y"] - prediction["y"] - prediction["height"] < 20
        places.append(below["y"])
    page.set_viewport_size(before)
    assert places[0] == places[1]


def test_the_board_can_be_cleared_from_the_keyboard_while_the_pen_is_down(page):
    box = page.locator("#board").bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 200)
    page.locator("#clear").focus()
    page.keyboard.press("Enter")
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.up()
    assert page.evaluate("state.shown.strokes") == []
