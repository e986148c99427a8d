from typing import get_args

import numpy as np
import pytest
from drawn_digits import KINDS, inked, on_table, written
from PIL import Image, ImageDraw
from scipy import ndimage

from pipeline.images import preprocess
from pipeline.images.digit import bounding_box, crop_around, stands_out
from pipeline.images.ink import has_dark_ink, reduce_to
from pipeline.images.reading import gray_levels
from pipeline.images.unsure import TEXTS, Finding


def similarity(image, expected):
    """Return the correlation: 1 for equal images, about 0.8 for a shift of a pixel."""
    return np.corrcoef(image.ravel(), expected.ravel())[0, 1]


def test_images_of_mnist_change_little_even_if_inverted(few):
    values = []
    for image in few.val.images[:150]:
        preprocessed = preprocess(image).image
        np.testing.assert_array_equal(preprocessed, preprocess(255 - image).image)
        values.append(similarity(preprocessed, image))
    assert np.median(values) > 0.97
    assert np.mean(np.array(values) < 0.8) < 0.05  # very thin or very bold ones


def test_digits_fill_the_box_of_20_pixels_and_are_centered_by_mass(few):
    off_center = 0
    for image in few.val.images[:100]:
        preprocessed = preprocess(np.pad(image, ((6, 1), (0, 5)))).image
        rows, columns = np.nonzero(preprocessed)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        center = ndimage.center_of_mass(preprocessed)
        off_center += max(abs(14 - position) for position in center) > 0.51
    assert off_center <= 1  # a 9 with a thin tail reaches the border


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_digits_of_any_pen_and_on_any_paper_are_found(kind, mnist):
    rng, values = np.random.default_rng(1), []
    for digit in mnist.test.images[:3]:
        preprocessed = preprocess(gray_levels(kind(digit, rng))).image
        values.append(similarity(preprocessed, preprocess(digit).image))
    assert np.median(values) > 0.8


@pytest.mark.parametrize("sides", [1, 2, 3, 4])
def test_the_table_around_a_sheet_is_ignored(mnist, sides):
    rng, values = np.random.default_rng(sides), []
    for digit in mnist.test.images[:3]:
        ink = np.pad(written(digit, rng, (5, 11), (100, 200)), 60)
        paper = 230 * (1 - 0.7 * ink) + rng.normal(0, 3, ink.shape)
        photo = on_table(paper, rng, sides, 10).clip(0, 255).astype(np.uint8)
        expected = preprocess(paper.clip(0, 255).astype(np.uint8)).image
        preprocessed, _, steps = preprocess(photo)
        assert "sheet" in steps
        values.append(similarity(preprocessed, expected))
    assert np.median(values) > 0.98 and min(values) > 0.9


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_the_straight_edge_of_a_shadow_is_not_that_of_a_sheet(mnist, place):
    digit = mnist.test.images[0]
    ink = written(digit, np.random.default_rng(1), (8, 9), (250, 251))
    lit = np.where(np.arange(ink.shape[1]) < place * ink.shape[1], 110, 220)
    levels = (lit * (1 - 0.7 * ink)).astype(np.uint8)
    expected = preprocess(255 - (200 * ink).astype(np.uint8)).image
    assert similarity(preprocess(levels).image, expected) > 0.7


def in_curved_shadow(ink, *, width=135, height=220, blur=4):
    """Return a photograph of ink in the shadow of a phone, which comes from below."""
    y, x = np.mgrid[:400, :300]
    inside = ((x - 150) / width) ** 2 + ((y - 333) / height) ** 2 < 1
    lit = 1 - 0.45 * ndimage.gaussian_filter(inside.astype(float), blur)
    noise = np.random.default_rng(1).normal(0, 3, ink.shape)
    return (220 * lit * (1 - 0.7 * ink) + noise).clip(0, 255).astype(np.uint8)


def alike(image, expected):
    """Return the similarity of blurred images: a shift by one pixel is unimportant."""
    return similarity(
        *[ndimage.gaussian_filter(each / 255, 2) for each in (image, expected)]
    )


@pytest.mark.parametrize("top", [160, 240])
def test_the_curved_edge_of_a_shadow_around_a_digit_is_not_ink(mnist, top):
    for digit in mnist.test.images[:3]:
        ink, drawn = np.zeros((400, 300)), inked(digit, 130, 6)
        rows, columns = drawn.shape
        ink[top : top + rows, 110 : 110 + columns] = drawn
        expected = preprocess(255 - np.uint8(255 * ink)).image
        preprocessed, finding, _ = preprocess(in_curved_shadow(ink))
        assert finding == "" and alike(preprocessed, expected) > 0.9


def test_a_digit_across_the_curved_edge_of_a_shadow_is_found_or_marked_unsure(mnist):
    for digit in mnist.test.images[:3]:
        ink, drawn = np.zeros((400, 300)), inked(digit, 130, 6)
        rows, columns = drawn.shape
        ink[70 : 70 + rows, 110 : 110 + columns] = drawn
        expected = preprocess(255 - np.uint8(255 * ink)).image
        preprocessed, finding, _ = preprocess(in_curved_shadow(ink))
        assert finding or alike(preprocessed, expected) > 0.85


@pytest.mark.parametrize("blur", [8, 20])
def test_the_soft_edge_of_a_shadow_around_a_digit_is_not_ink(blur):
    image = Image.new("L", (300, 400), 0)
    points = [(110, 160), (190, 160), (140, 280)]
    ImageDraw.Draw(image).line(points, fill=255, width=7, joint="curve")
    expected = preprocess(255 - np.asarray(image)).image
    photo = in_curved_shadow(np.asarray(image) / 255, width=80, blur=blur)
    preprocessed, finding, _ = preprocess(photo)
    assert finding == "" and alike(preprocessed, expected) > 0.9


def test_pencil_next_to_the_corner_of_a_soft_shadow_is_found(mnist):
    y, x = np.mgrid[:400, :300]
    turned = [np.cos(0.3), np.sin(0.3)]
    along = (x - 180) * turned[0] + (y - 150) * turned[1]
    across = (y - 150) * turned[0] - (x - 180) * turned[1]
    inside = ((along > 0) & (across > 0)).astype(float)
    lit = 215 * (1 - 0.25 * ndimage.gaussian_filter(inside, 12))
    noise = np.random.default_rng(1).normal(0, 3, lit.shape)
    for digit in mnist.test.images[:3]:
        ink, drawn = np.zeros((400, 300)), inked(digit, 130, 5)
        rows, columns = drawn.shape
        ink[150 : 150 + rows, 100 : 100 + columns] = drawn
        expected = preprocess(255 - np.uint8(255 * ink)).image
        levels = (lit * (1 - 0.25 * ink) + noise).clip(0, 255).astype(np.uint8)
        preprocessed, finding, _ = preprocess(levels)
        assert finding == "" and alike(preprocessed, expected) > 0.9


@pytest.mark.parametrize("gap", [40, 47, 54])
def test_the_lines_of_paper_do_not_make_the_ink_light(gap):
    levels = np.full((1200, 900), 200.0)
    levels[np.arange(1200) % gap < 4] *= 0.76
    levels[400:800, 440:450] *= 0.76  # a 1 in pencil
    levels += np.random.default_rng(1).normal(0, 3, levels.shape)
    reduced = reduce_to(levels.round().astype(np.uint8), 400)
    assert has_dark_ink(reduced) and not has_dark_ink(255 - reduced)


@pytest.mark.parametrize("blur", [1, 4, 8])
def test_nothing_is_found_on_an_empty_sheet_in_a_curved_shadow(blur):
    blank = in_curved_shadow(np.zeros((400, 300)), blur=blur)
    preprocessed, finding, steps = preprocess(blank)
    assert finding == "no ink" and not preprocessed.any()
    assert list(steps) == ["gray levels", "ink"]  # without the steps for a shadow


def test_the_shadow_of_a_blind_on_an_empty_sheet_is_a_shadow_or_no_ink():
    y, x = np.mgrid[:400, :300]
    inside = (y + 0.3 * x) % 100 < 50  # slats as wide as the gaps between them
    noise = np.random.default_rng(1).normal(0, 3, inside.shape)
    found = set()
    for depth in (0.2, 0.25, 0.3):
        lit = 1 - depth * ndimage.gaussian_filter(inside.astype(float), 2)
        levels = (220 * lit + noise).clip(0, 255).astype(np.uint8)
        found.add(preprocess(levels).finding)
    assert found == {"shadow", "no ink"}


def test_nothing_is_found_on_a_blank_noisy_sheet():
    rng = np.random.default_rng(1)
    for _ in range(4):
        paper = rng.uniform(150, 245) + rng.normal(0, 5, (320, 320))
        assert preprocess(paper.clip(0, 255).astype(np.uint8)).finding == "no ink"


@pytest.mark.parametrize(
    ("angle", "steepness", "place", "lightest", "darkest", "noise"),
    [(3.32, 4.39, 0.11, 236, 80, 0.7), (1.94, 4.99, 0.2, 231, 126, 1.5)],
)
def test_nothing_is_found_on_an_empty_sheet_in_uneven_light(
    angle, steepness, place, lightest, darkest, noise
):
    y, x = np.mgrid[-1:1:400j, -1:1:300j]
    along = (x * np.cos(angle) + y * np.sin(angle)) / 1.42
    lit = 1 / (1 + np.exp(steepness * (place - along)))
    levels = darkest + (lightest - darkest) * lit
    levels += np.random.default_rng(0).normal(0, noise, levels.shape)
    preprocessed, finding, steps = preprocess(levels.round().astype(np.uint8))
    assert finding == "no ink" and not preprocessed.any()
    assert list(steps) == ["gray levels", "ink"]


@pytest.mark.parametrize(("paper", "is_found"), [(200, True), (30, False)])
def test_faint_strokes_must_stand_out_from_the_noise_which_is_relative_to_the_light(
    paper, is_found
):
    digit = np.zeros((100, 100), bool)
    digit[20:80, 40:60] = True
    noise = np.random.default_rng(1).normal(0, 3, digit.shape)
    levels = (paper * (1 - 0.08 * digit) + noise).round().astype(np.uint8)
    ink = np.where(digit, 0.08, 0).astype(np.float32)
    assert stands_out(levels, ink, digit) == is_found


def test_a_digit_stretched_to_a_square_is_narrowed(mnist):
    for image in mnist.test.images[:5]:
        box = image[np.ix_(image.any(axis=1), image.any(axis=0))]
        square = np.asarray(Image.fromarray(box).resize((16, 16)))
        rows, columns = np.nonzero(preprocess(square).image)
        assert np.ptp(columns) < 0.9 * np.ptp(rows)


def photo_of(draw, size=(900, 800)):
    """Return a photograph of dark strokes on evenly lit paper; `draw` gets the pen."""
    image = Image.new("L", size, 200)
    draw(ImageDraw.Draw(image))
    noise = np.random.default_rng(0).normal(0, 3, image.size[::-1])
    return (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)


def zero_with_specks(pen):
    pen.ellipse((280, 220, 520, 580), outline=30, width=30)
    for x, y in ((400, 0), (400, 799), (0, 400), (799, 400)):
        pen.ellipse((x - 12, y - 12, x + 12, y + 12), fill=30)


def seven_in_a_notebook(pen):
    """Draw a 7, the line of the margin, and one line of the paper."""
    pen.line([(250, 200), (550, 200), (350, 620)], fill=30, width=30)
    pen.line([(40, 0), (40, 800)], fill=60, width=6)
    pen.line([(0, 760), (900, 760)], fill=60, width=6)


@pytest.mark.parametrize("draw", [zero_with_specks, seven_in_a_notebook])
def test_other_ink_at_the_borders_of_a_square_photograph_stretches_no_digit(draw):
    photos = photo_of(draw, (800, 800)), photo_of(draw, (900, 800))
    square, wider = (preprocess(photo).steps["box"] for photo in photos)
    assert np.abs(np.subtract(square.shape, wider.shape)).max() <= 1


def bold_one_next_to_a_zero(pen, width):
    pen.line([(200, 150), (200, 650)], fill=30, width=width)
    pen.ellipse((450, 150, 750, 650), outline=30, width=16)


def bold_ones(pen, width):
    pen.line([(200, 150), (200, 650)], fill=30, width=width)
    pen.line([(650, 150), (550, 650)], fill=30, width=width)


def bold_seven_at_the_border(pen, width):
    pen.line([(200, 150), (950, 150)], fill=30, width=width)
    pen.line([(880, 150), (500, 700)], fill=30, width=width)


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (bold_one_next_to_a_zero, "several objects"),
        (bold_ones, "several objects"),
        (bold_seven_at_the_border, "cut off"),
    ],
)
def test_a_pen_of_any_width_has_the_same_reason_if_there_is_no_shadow(
    draw, expected, width
):
    photo = photo_of(lambda pen: draw(pen, width))
    assert preprocess(photo).finding == expected


@pytest.mark.parametrize(
    ("top", "expected"), [(-5, "cut off"), (60, "several objects")]
)
def test_if_two_rules_apply_the_first_in_the_list_of_findings_is_the_reason(
    top, expected
):
    def two_ones(pen):
        for column in (300, 600):
            pen.line([(column, top), (column, top + 400)], fill=30, width=20)

    assert preprocess(photo_of(two_ones)).finding == expected
    order = get_args(Finding)
    assert order.index("cut off") < order.index("several objects")
    assert [*TEXTS][: len(order)] == [*order]  # the order of the docstring


@pytest.mark.parametrize(
    ("top", "bottom", "expected"),
    [
        (50, 750, "several objects"),  # a pen, which is larger than the digit
        (50, 900, ""),  # at the border, where photographs show a table
        (350, 380, ""),  # as high as a line of text
    ],
)
def test_a_large_shape_apart_from_the_digit_is_reported_as_several_objects(
    top, bottom, expected
):
    def two_and_bar(pen):
        pen.line([(300, 200), (500, 200), (300, 600), (520, 600)], fill=30, width=24)
        pen.rectangle((800, top, 860, bottom), fill=30)

    assert preprocess(photo_of(two_and_bar)).finding == expected


BLANK = {
    "black": np.zeros((28, 28), np.uint8),
    "pixel": np.zeros((1, 1), np.uint8),
    "row": np.full((1, 500), 255, np.uint8),
    "column": np.full((500, 1), 255, np.uint8),
    "small noise": np.random.default_rng(1).normal(200, 5, (28, 28)).astype("u1"),
    "noise": np.random.default_rng(1).normal(200, 4, (300, 400)).astype("u1"),
    "gradient": np.tile(np.linspace(120, 230, 400).astype(np.uint8), (300, 1)),
}


@pytest.mark.parametrize("kind", BLANK)
def test_a_blank_image_has_no_digit(kind):
    preprocessed, finding, steps = preprocess(BLANK[kind])
    is_uniform = BLANK[kind].min() == BLANK[kind].max()
    assert finding == ("blank" if is_uniform else "no ink") and not preprocessed.any()
    assert list(steps) == ["gray levels", "ink"]


NOISE = {
    "gray": lambda rng, shape: rng.normal(128, 60, shape).clip(0, 255),
    "faint": lambda rng, shape: rng.normal(200, 20, shape).clip(0, 255),
    "uniform": lambda rng, shape: rng.integers(0, 256, shape),
    "10%": lambda rng, shape: 255 * (rng.random(shape) < 0.1),
    "50%": lambda rng, shape: 255 * (rng.random(shape) < 0.5),
}


@pytest.mark.parametrize("kind", NOISE)
def test_noise_is_never_a_drawn_digit(kind):
    for side in (8, 28, 64, 65):
        noise = NOISE[kind](np.random.default_rng(1), (4, side, side))
        assert all(preprocess(levels.astype(np.uint8)).finding for levels in noise)


@pytest.mark.parametrize("side", [28, 140])
def test_the_strokes_of_digits_are_usual_and_a_shirt_is_not(few, side):
    shirt = np.zeros((28, 28), np.uint8)
    shirt[4:10, 2:26] = shirt[4:25, 8:20] = 180
    findings = [
        preprocess(np.asarray(Image.fromarray(image).resize((side, side)))).finding
        for image in [shirt, *few.val.images[:10]]
    ]
    assert findings[0] == "unusual" and findings[1:].count("") >= 9


@pytest.mark.parametrize("scale", [1, 5])
def test_the_8s_of_a_thin_pen_are_digits(scale):
    image = Image.new("L", (28 * scale, 28 * scale), 255)
    pen = ImageDraw.Draw(image)
    for loop in ((6, 2, 21, 13), (4, 13, 22, 25)):
        pen.ellipse([scale * each for each in loop], outline=0, width=scale)
    assert preprocess(np.asarray(image)).finding == ""


def test_two_digits_with_a_gap_are_counted_and_the_steps_are_kept_in_order(mnist):
    names = ["gray levels", "ink", "digit", "box", "stroke", "centered"]
    for pair in mnist.test.images[:40].reshape(-1, 2, 28, 28):
        _, finding, steps = preprocess(np.hstack([*pair]))
        assert finding == "several objects" and list(steps) == names
        assert preprocess(np.vstack([*pair])).finding == "several objects"


def test_a_detached_bar_and_a_broken_stroke_belong_to_one_digit(mnist):
    five = np.zeros((100, 80), np.uint8)
    five[10:18, 40:75] = 255  # the bar, to the right of the rest
    five[10:50, 20:28] = five[45:53, 20:60] = 255
    five[53:85, 54:62] = five[80:88, 20:60] = 255
    assert preprocess(five).finding == ""
    padded = preprocess(np.pad(five, 100)).image  # the bar is small in this image
    assert similarity(padded, preprocess(five).image) > 0.9
    seven = np.array(Image.fromarray(mnist.test.images[0]).resize((280, 280)))
    seven[150:156] = 0
    assert preprocess(seven).finding == ""


def test_a_small_digit_in_a_noisy_photograph_is_found(mnist):
    # Its surroundings have less than 64 pixels, but the noise of a photograph.
    expected = preprocess(mnist.test.images[0]).image
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(0, 12, (600, 600))
        page = np.full((600, 600), 200.0)
        page[200:228, 200:228] -= mnist.test.images[0] * (150 / 255)
        levels = (page + noise).clip(0, 255).astype(np.uint8)
        preprocessed, finding, steps = preprocess(levels)
        assert max(steps["surroundings"].shape) < 64 and finding == ""
        assert similarity(preprocessed, expected) > 0.7


def test_a_digit_that_is_lost_in_the_noise_of_its_surroundings_is_kept(mnist):
    digit = mnist.test.images[42]
    small = Image.fromarray(digit[bounding_box(digit > 0)])
    ink = np.zeros((1200, 1600))
    small = np.asarray(small.resize((round(65 * small.width / small.height), 65))) / 255
    ink[500:565, 700 : 700 + small.shape[1]] = small
    noise = np.random.default_rng(0).normal(0, 20, ink.shape)
    photo = (132 * (1 - 0.21 * ink) + noise).clip(0, 255).round().astype(np.uint8)
    preprocessed, finding, steps = preprocess(photo)
    assert finding != "no ink" and "surroundings" not in steps
    assert similarity(preprocessed, preprocess(digit).image) > 0.5


@pytest.mark.parametrize("shape", [(1, 500), (12, 400), (600, 3), (70, 66)])
def test_ruled_strips_of_any_width_are_processed(shape):
    levels = np.full(shape, 220, np.uint8)
    levels[::6, :] = levels[:, ::6] = 150
    assert (
        preprocess(levels).image.shape == preprocess(levels.T).image.shape == (28, 28)
    )


def test_the_steps_of_a_small_digit_show_the_whole_image_and_then_its_surroundings(
    mnist,
):
    page = np.full((1200, 1600), 255, np.uint8)
    page[100:240, 200:340] -= np.kron(mnist.test.images[0], np.ones((5, 5), np.uint8))
    preprocessed, finding, steps = preprocess(page)
    assert finding == "" and [*steps][:3] == ["gray levels", "surroundings", "ink"]
    assert steps["gray levels"].shape == (300, 400)
    assert max(steps["surroundings"].shape) < 400
    np.testing.assert_array_equal(steps["centered"], preprocessed)


def test_the_surroundings_are_cut_out_of_an_image_that_was_not_reduced():
    image = np.arange(100 * 80, dtype=np.uint32).astype(np.uint8).reshape(100, 80)
    mask = np.zeros((50, 40), bool)
    mask[20:30, 10:20] = True  # with margins of 5 pixels on each side
    np.testing.assert_array_equal(crop_around(image, mask), image[30:70, 10:50])
    mask = mask.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(crop_around(image, mask), image[30:70, 10:50])
