import numpy as np
import pytest

from pipeline import plots


def pixel(picture, x, y):
    return picture.getpixel((x, y))


def templates(weights):
    return plots.templates(weights, {"layer_1.weight": weights}, title="a title")


def test_what_speaks_for_a_neuron_is_blue_what_speaks_against_it_red_zero_white():
    weights = np.zeros((2, 784), np.float32)
    weights[0, :392], weights[0, 392:] = 0.5, -0.5  # upper half for, lower half against
    picture = templates(weights)
    # A template starts at (12, 54) and is enlarged three times; the next is 92 on.
    assert pixel(picture, 12 + 42, 54 + 10) == plots.BLUE
    assert pixel(picture, 12 + 42, 54 + 74) == plots.ORANGE
    assert pixel(picture, 92 + 12 + 42, 54 + 42) == (255, 255, 255)


def test_half_the_weight_is_half_the_colour():
    weights = np.full((1, 784), 0.8, np.float32)
    weights[0, :392] = 0.4
    red, green, blue = pixel(templates(weights), 54, 64)
    assert (red, green, blue) == pytest.approx((127, 172, 218), abs=1)


@pytest.mark.parametrize(
    ("hidden", "shown"), [(1, 1), (20, 20), (100, 100), (500, 100)]
)
def test_every_neuron_is_drawn_up_to_100(hidden, shown):
    picture = templates(np.ones((hidden, 784), np.float32))
    colours = dict(map(reversed, picture.getcolors(10**6)))
    histogram = 1000  # its bars are blue too, and smaller than this
    assert colours[plots.BLUE] == pytest.approx(shown * 84 * 84, abs=histogram)


def test_tensors_that_are_all_zero_can_be_drawn():
    assert templates(np.zeros((3, 784), np.float32)).width > 84


def test_class_means_are_the_means(few):
    picture = plots.class_means(few.train.images, few.train.labels)
    mean = few.train.images[few.train.labels == 0].mean(axis=0)
    # Enlarged four times, from (4, 4).
    assert pixel(picture, 4 + 4 * 14, 4 + 4 * 5)[0] == int(mean[5, 14])


def test_contact_sheet_has_a_row_for_each_class(few):
    sheet = np.asarray(plots.contact_sheet(few.train.images, few.train.labels))
    assert sheet.shape == (10 * 56, 20 * 56)
    nine = few.train.images[few.train.labels == 9][0]
    np.testing.assert_array_equal(sheet[9 * 56 :: 2, :56:2], nine)


@pytest.mark.parametrize("epochs", [1, 3])
def test_learning_curves_draw_both_parts(epochs):
    row = {
        "train/loss": 0.4,
        "val/loss": 0.3,
        "train/accuracy": 0.9,
        "val/accuracy": 0.8,
    }
    picture = plots.learning_curves([row] * epochs)
    colours = {colour for _, colour in picture.getcolors(10**6)}
    assert {(0, 0x5A, 0xB5), (0xDC, 0x32, 0x20)} <= colours


@pytest.mark.parametrize("lines", [1, 2])
def test_a_sweep_is_drawn_with_a_line_for_each_name(lines):
    points = [plots.SweepPoint(x, [0.9, 0.91], f"hidden={x:.0f}") for x in (5.0, 50.0)]
    drawn = plots.sweep_accuracy(
        {f"lr={n}": points for n in range(lines)}, xlabel="parameters", title="a"
    )
    assert drawn.size == (792, 484)
    assert len(drawn.convert("RGB").getcolors(100_000)) > 50
