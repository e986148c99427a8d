import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from pipeline.images import ink, preprocessing


@pytest.fixture(scope="module")
def seven(mnist):
    """MNIST's first test picture, 10 times as large, in grey levels on black."""
    large = Image.fromarray(mnist.test.images[0]).resize((280, 280))
    return np.asarray(large)


@pytest.fixture(scope="module")
def expected(seven):
    """That picture, prepared: what becomes of it on any paper."""
    return preprocessing.preprocess(seven).image


def likeness(image, expected):
    """The correlation: 1 of the same pictures, above 0.8 where one is a pixel off."""
    return np.corrcoef(image.ravel(), expected.ravel())[0, 1]


def test_mnist_itself_stays_nearly_what_it_is(few):
    prepared = [preprocessing.preprocess(image).image for image in few.val.images]
    alike = [likeness(*both) for both in zip(prepared, few.val.images, strict=True)]
    assert np.median(alike) > 0.97
    assert np.mean(np.array(alike) < 0.8) < 0.05  # hair-thin or very bold ones


def test_ink_on_paper_and_chalk_on_a_board_are_prepared_alike(few):
    for image in few.val.images:
        white, black = (
            preprocessing.preprocess(image),
            preprocessing.preprocess(255 - image),
        )
        np.testing.assert_array_equal(white.image, black.image)


def test_digits_fill_the_box_and_their_mass_is_in_the_middle(few):
    off = 0
    for image in few.val.images:
        made = preprocessing.preprocess(np.pad(image, ((6, 1), (0, 5)))).image
        rows, columns = preprocessing.bounding_box(made > 0)
        assert max(rows.stop - rows.start, columns.stop - columns.start) == 20
        off += max(abs(14 - place) for place in ndimage.center_of_mass(made)) > 0.51
    assert off <= 1  # a 9 whose tail grows too thin: its box reaches the border


def test_thin_and_thick_pens_write_the_same_digit(seven, expected):
    away = ndimage.distance_transform_edt(seven < 128)
    inside = ndimage.distance_transform_edt(seven >= 128)
    for mask in (inside > 7, away < 6):
        made = preprocessing.preprocess(np.where(mask, 255, 0).astype(np.uint8)).image
        assert likeness(made, expected) > 0.8


def written(seven, light=1, lines=0, noise=0):
    """The 7 in pencil on grey paper, at the upper left of a wider picture."""
    ink = np.zeros((400, 520))
    ink[30:310, 50:330] = seven / 255
    y, x = np.indices(ink.shape)
    squares = np.where((y % 30 < 2) | (x % 30 < 2), lines, 0)
    fading = light + (1 - light) * x / 520
    grain = np.random.default_rng(1).normal(0, noise, ink.shape)
    levels = 210 * fading * (1 - squares) * (1 - 0.5 * ink) + grain
    return levels.clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    "how",
    [{}, {"light": 0.5}, {"lines": 0.3}, {"noise": 6}],
    ids=["grey paper", "uneven light", "squared paper", "grain"],
)
def test_paper_and_light_are_taken_out(seven, expected, how):
    found = preprocessing.preprocess(written(seven, **how))
    assert found.digit_count == 1
    assert likeness(found.image, expected) > 0.8


def test_tilted_squared_paper_is_turned_straight(seven, expected):
    tilted = Image.fromarray(written(seven, lines=0.3)).rotate(3, fillcolor=210)
    found = preprocessing.preprocess(tilted.crop((20, 20, 500, 380)))
    assert likeness(found.image, expected) > 0.8


def test_a_small_digit_on_a_wide_canvas_is_looked_at_from_near_by(seven, expected):
    canvas = np.full((300, 1500), 255, np.uint8)
    small = Image.fromarray(255 - seven).resize((60, 60))
    canvas[200:260, 1300:1360] = small
    assert likeness(preprocessing.preprocess(canvas).image, expected) > 0.8


def blank(kind):
    if kind == "small grain":
        return (
            np.random.default_rng(1).normal(200, 5, (28, 28)).round().astype(np.uint8)
        )
    if kind == "grain":
        grain = np.random.default_rng(1).normal(200, 4, (300, 400))
        return grain.round().astype(np.uint8)
    if kind == "fading":
        return np.tile(np.linspace(120, 230, 400).astype(np.uint8), (300, 1))
    if kind == "pixel":
        return np.zeros((1, 1), np.uint8)
    return np.full((28, 28), 0 if kind == "black" else 255, np.uint8)


@pytest.mark.parametrize(
    "kind", ["black", "white", "pixel", "small grain", "grain", "fading"]
)
def test_a_blank_picture_is_said_to_be_blank(kind):
    found = preprocessing.preprocess(blank(kind))
    assert found.digit_count == 0
    assert not found.image.any()


@pytest.mark.parametrize("side", [8, 16, 20, 28, 32, 50, 64, 65, 80])
@pytest.mark.parametrize("kind", ["grey", "faint", "any", "few", "specks", "half"])
def test_no_pen_drew_noise(side, kind):
    rng, size = np.random.default_rng(1), (20, side, side)
    noise = {
        "grey": lambda: rng.normal(128, 60, size).clip(0, 255),
        "faint": lambda: rng.normal(200, 20, size).clip(0, 255),
        "any": lambda: rng.integers(0, 256, size),
        "few": lambda: 255 * (rng.random(size) < 0.1),
        "specks": lambda: 255 * (rng.random(size) < 0.3),
        "half": lambda: 255 * (rng.random(size) < 0.5),
    }[kind]()
    found = [preprocessing.preprocess(levels.astype(np.uint8)) for levels in noise]
    assert not any(made.drawn and made.digit_count == 1 for made in found)


@pytest.mark.parametrize("large", [28, 140])
@pytest.mark.parametrize("paper_level", [0, 255])
def test_a_pen_draws_digits_and_no_filled_shapes(few, large, paper_level):
    shirt = np.zeros((28, 28), np.uint8)
    shirt[4:10, 2:26] = shirt[4:25, 8:20] = 180
    pictures = [shirt, *few.val.images[:50]]
    resized = [Image.fromarray(each).resize((large, large)) for each in pictures]
    found = [
        preprocessing.preprocess(np.asarray(each) ^ np.uint8(paper_level))
        for each in resized
    ]
    assert not found[0].drawn
    assert sum(made.drawn for made in found[1:]) >= 48


def test_two_digits_side_by_side_are_two(mnist):
    for one, other in mnist.test.images[:40].reshape(-1, 2, 28, 28):
        assert preprocessing.preprocess(np.hstack([one, other])).digit_count == 2


def test_a_detached_bar_and_a_broken_stroke_are_one_digit(seven):
    five = np.zeros((100, 80), np.uint8)
    five[10:18, 40:75] = 255  # the bar, to the right of the rest
    five[10:50, 20:28] = five[45:53, 20:60] = 255
    five[53:85, 54:62] = five[80:88, 20:60] = 255
    assert preprocessing.preprocess(five).digit_count == 1
    broken = seven.copy()
    broken[150:156] = 0
    assert preprocessing.preprocess(broken).digit_count == 1


def test_the_steps_tell_how_a_picture_was_prepared(few):
    found = preprocessing.preprocess(few.val.images[0])
    names = ["grey levels", "ink", "digit", "box", "stroke", "centred"]
    assert list(found.steps) == names
    np.testing.assert_array_equal(found.steps["centred"], found.image)


def as_kind(seven, kind):
    """The same 7, black on white, as a picture of another kind."""
    black = Image.fromarray(255 - seven)
    if kind == "transparent, black":
        ink = Image.new("L", black.size, 0)
        return Image.merge("LA", [ink, Image.fromarray(seven)])
    if kind == "transparent, white":
        ink = Image.new("L", black.size, 255)
        return Image.merge("LA", [ink, Image.fromarray(seven)])
    if kind == "16 bits":
        return Image.fromarray((255 - seven).astype(np.uint16) * 257)
    if kind == "float 0..1":
        return Image.fromarray((255 - seven).astype(np.float32) / 255)
    if kind == "yellow ink":
        ink = Image.new("RGB", black.size, (255, 235, 60))
        white = Image.new("RGB", black.size, "white")
        return Image.composite(ink, white, Image.fromarray(seven))
    return black.convert(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *("transparent, black", "transparent, white", "16 bits", "float 0..1"),
        *("yellow ink", "P", "CMYK", "1", "RGBA", "I", "YCbCr"),
    ],
)
def test_pictures_of_every_mode_show_the_same_digit(seven, expected, kind):
    found = preprocessing.preprocess(as_kind(seven, kind))
    assert likeness(found.image, expected) > 0.8


def test_a_photograph_is_turned_as_its_camera_was_held(seven):
    stored = io.BytesIO()
    turned = Image.fromarray(255 - seven).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees clockwise
    turned.save(stored, "PNG", exif=exif)
    levels = ink.grey_levels(Image.open(stored))
    np.testing.assert_allclose(levels, 255 - seven, atol=1)
