"""Plots show the values that they are given."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL.ImageColor import getrgb

from pipeline import plots
from pipeline.core.dataset import DataFile, Dataset
from pipeline.datasets.statistics import class_means
from pipeline.interpret import page
from pipeline.plots import common
from pipeline.plots.accuracy import (
    MAX_LINES,
    AccuracyPoint,
    accuracy_plot,
    accuracy_scatter,
)
from pipeline.plots.common import FROZEN, INK, NEGATIVE, PAPER, POSITIVE
from pipeline.plots.evaluation import draw_confusion_matrix, draw_reliability_diagram
from pipeline.plots.figures import label_cells, new_figure
from pipeline.plots.inspection import neuron_responses, pixel_usage

DIGITS = "0123456789"
BLUE, RED, GRAY, WHITE = map(getrgb, (POSITIVE, NEGATIVE, FROZEN, PAPER))


def colors(image):
    """Return the number of pixels of each color."""
    return {color: count for count, color in image.getcolors(10**6)}


def enlarged(image, factor):
    return np.kron(image, np.ones((factor, factor), np.uint8))


def widest_run(mask):
    """Return the length of the longest run of True in any row."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(int), axis=1)
    return int((np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]).max())


def test_the_colors_are_those_of_the_interactive_page():
    css = (Path(page.__file__).parent / "page.css").read_text()
    light = css[css.index("{") : css.index("}")]
    names = ("ink", "muted", "pale", "line", "positive", "negative", "selected")
    for name in (*names, "frozen", "zero"):
        (color,) = re.findall(rf"--{name}: (#\w+);", light)
        assert getattr(common, "PAPER" if name == "zero" else name.upper()) == color


def test_positive_weights_are_blue_negative_ones_red_and_zero_is_white():
    weights = np.zeros((1, 784), np.float32)
    weights[0, :196], weights[0, 196:392] = 0.5, -0.5
    (template,) = plots.diverging_colors(weights, scale=0.5)
    parts = [
        {tuple(pixel) for pixel in part.reshape(-1, 3)}
        for part in (template[:7], template[7:14], template[14:])
    ]
    assert parts == [{BLUE}, {RED}, {WHITE}]
    (template,) = plots.diverging_colors(weights / 2, scale=0.5)
    half = (np.array(WHITE) + BLUE) / 2
    np.testing.assert_allclose(template[0, 0], half, atol=1)


@pytest.mark.parametrize("hidden", [1, 5, 20, 50, 100, 500])
def test_mlflow_shows_the_weights_of_at_most_100_neurons_without_scrolling(hidden):
    weights = np.full((hidden, 784), 0.5, np.float32)
    tensors = {"layer_1.weight": np.ones(3, np.float32)}
    image = np.asarray(plots.weight_images(weights, tensors, title="epoch 1"))
    height, width, _ = image.shape
    assert height == width  # MLflow scales each image to a square
    # The card shows this part of it: see pipeline/plots/weights.py.
    blue = (image[: round(0.575 * width)] == BLUE).all(axis=2)
    side = widest_run(blue) // 28 * 28
    assert blue.sum() >= min(hidden, 100) * side**2
    assert blue.sum() < (min(hidden, 100) + 1) * side**2


def test_each_class_has_a_row_of_sample_images_and_a_plotted_mean(few):
    images, labels = few.train.images, few.train.labels
    sheet = np.asarray(plots.sample_images(images, labels, DIGITS))[..., 0]
    rows = np.split(sheet[-560:, -20 * 56 :], 10)  # without texts
    means = class_means(Dataset(DataFile(Path("few"), ""), few.train, few.val))
    plot = np.asarray(plots.class_means(means, labels, DIGITS))[..., 0]
    for digit, row in enumerate(rows):
        first, *_ = of_class = images[labels == digit]
        np.testing.assert_array_equal(row[:, :56], enlarged(first, 2))
        mean = enlarged(of_class.mean(axis=0).round().astype(np.uint8), 4)
        windows = np.lib.stride_tricks.sliding_window_view(plot, mean.shape)
        candidates = windows[windows[:, :, 50, 50] == mean[50, 50]]
        assert (candidates == mean).all(axis=(1, 2)).any()


def test_images_with_the_same_caption_are_all_plotted():
    images = [("4.png", np.full((28, 28), 77, np.uint8))] * 3
    plot = plots.image_grid(images, title="a title", columns=2, side=84)
    gray = (np.asarray(plot) == 77).all(axis=2).sum()
    assert gray == pytest.approx(3 * 84**2, abs=100)  # without texts


def test_equal_captions_are_below_each_other():
    image = np.zeros((28, 28), np.uint8)
    steps = (["gray", "ink"], ["gray", "crop", "ink", "box"], ["ink", "end"])
    rows = [plots.ImageRow([(step, image) for step in each]) for each in steps]
    aligned = [[each and each[0] for each in row.images] for row in plots.align(rows)]
    assert aligned == [
        ["gray", None, "ink", None, None],
        ["gray", "crop", "ink", None, "box"],
        [None, None, "ink", "end", None],
    ]
    plots.image_rows(plots.align(rows), title="a title")


def test_aligned_images_keep_the_order_of_the_longest_row():
    image = np.zeros((28, 28), np.uint8)
    steps = (["gray", "sheet", "ink"], ["gray", "crop", "ink"])
    steps += (["gray", "sheet", "crop", "ink"],)
    rows = [plots.ImageRow([(step, image) for step in each]) for each in steps]
    aligned = [[each and each[0] for each in row.images] for row in plots.align(rows)]
    assert aligned == [
        ["gray", "sheet", None, "ink"],
        ["gray", None, "crop", "ink"],
        ["gray", "sheet", "crop", "ink"],
    ]


def test_bars_are_as_long_as_the_probabilities():
    def blue(probability):
        images = [("ink", np.zeros((28, 28), np.uint8))]
        row = plots.ImageRow(images, bars={"7": probability, "3": 0.0})
        return colors(plots.image_rows([row], title="a title"))[BLUE]

    assert blue(0.25) == pytest.approx(blue(1.0) / 4, rel=0.02)


def test_rounded_weights_are_below_those_in_floating_point():
    weights = np.full((1, 784), 0.5)

    def blue(rounded, largest):
        known = {"always_zero": np.zeros(784, bool), "finetuned": largest < 127}
        image = plots.rounded_weights(
            weights, rounded, bit_width_text="some bits", largest=largest, **known
        )
        return colors(image)[BLUE]

    for largest in (127, 7, 1):
        assert blue(weights, largest) - blue(0 * weights, largest) == 84**2
    assert blue(weights / 2, 1) == blue(weights, 1)  # an integer is 1, 0 or -1
    assert blue(weights / 2, 127) == blue(0 * weights, 127)


def test_one_percent_of_the_weights_exceed_the_color_scale():
    weights = np.linspace(-1, 1, 2001).reshape(3, 667)
    assert plots.weight_scale(weights) == pytest.approx(0.99, abs=0.001)


def test_a_mistake_is_red_in_the_row_of_its_label_and_the_column_of_its_class():
    counts = np.diag([50] * 10)
    counts[2, 7], counts[9, 4] = 30, 5
    axes = new_figure(500, 500).subplots()
    draw_confusion_matrix(axes, counts, DIGITS, DIGITS)
    (image,) = axes.images
    red = {
        place: tuple(image.to_rgba(image.get_array(), bytes=True)[place][:3]) == RED
        for place in ((2, 7), (7, 2), (9, 4))
    }
    assert red == {(2, 7): True, (7, 2): False, (9, 4): False}
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[7, 2] == "30" and texts[2, 7] == "" and texts[4, 9] == "5"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prediction", "label")


def test_a_reliability_diagram_has_the_accuracy_above_the_confidence():
    bins = np.array([[40, 0.3, 0.6], [5, 0.5, 0.1], [900, 0.9, 0.7]])
    upper, lower = new_figure(500, 500).subplots(2)
    draw_reliability_diagram(upper, lower, bins, bin_width=0.1)
    points = {line.get_label(): line.get_xydata().tolist() for line in upper.lines}
    assert points["network"] == [[0.3, 0.6], [0.9, 0.7]]
    assert points["fewer than 10 images"] == [[0.5, 0.1]]
    assert (upper.get_ylabel(), lower.get_xlabel()) == ("accuracy", "confidence")
    assert [bar.get_height() for bar in lower.patches] == [40, 5, 900]
    assert lower.get_yscale() == "log"
    assert lower.get_ylabel() == "images\n(logarithmic scale)"


def test_the_bars_of_a_small_set_have_a_linear_scale_with_several_ticks():
    bins = np.array([[4, 0.3, 0.5], [26, 0.9, 0.7]])
    upper, lower = new_figure(500, 500).subplots(2)
    draw_reliability_diagram(upper, lower, bins, bin_width=0.1)
    assert (lower.get_yscale(), lower.get_ylabel()) == ("linear", "images")
    assert sum(0 <= tick <= 26 for tick in lower.get_yticks()) >= 3


def test_the_bars_of_two_bins_do_not_overlap_when_their_mean_confidence_is_close():
    bins = np.array([[4, 0.59, 0.6], [5, 0.61, 0.4]])
    upper, lower = new_figure(500, 500).subplots(2)
    draw_reliability_diagram(upper, lower, bins, bin_width=0.1)
    left, right = lower.patches
    assert np.isclose([left.get_center()[0], right.get_center()[0]], [0.55, 0.65]).all()
    assert left.get_x() + left.get_width() < right.get_x()


def test_texts_are_white_on_dark_cells_and_dark_on_the_others():
    axes, names = new_figure(200, 200).subplots(), {"rows": "ab", "columns": "cd"}
    dark = np.array([[True, False], [False, False]])
    label_cells(axes, ["12", "34"], **names, dark=dark)
    colors = {text.get_text(): text.get_color() for text in axes.texts}
    assert colors == {"1": PAPER, "2": INK, "3": INK, "4": INK}


def test_the_responses_of_a_neuron_are_in_the_row_of_its_name():
    means, costs = np.zeros((20, 10)), np.zeros((20, 11))
    means[1, 8] = 5  # N12
    names = [f"N1{n}" for n in range(1, 21)]
    plot = neuron_responses(means, costs, names, DIGITS, noun="digit", cost_decimals=1)
    rows, columns = np.nonzero((np.asarray(plot) == BLUE).all(axis=2))
    assert rows.mean() < plot.height / 4 and columns.mean() > plot.width / 4


@pytest.mark.parametrize("unused", [0, 100])
def test_the_legend_explains_gray_only_if_a_pixel_is_always_zero(unused):
    always_zero = np.arange(784) < unused
    gray_means = plots.meaning_of_gray(always_zero)
    legend = plots.weight_legend(0.5, gray_means=gray_means)
    assert gray_means == ("frozen" if unused else "")  # as on the page
    assert (GRAY in colors(legend)) == bool(unused)


@pytest.mark.parametrize("changed", [0, 1, 3])
def test_images_whose_prediction_changes_are_plotted(changed):
    images, labels = np.full((10, 28, 28), 77, np.uint8), np.arange(10)
    after = np.where(labels < changed, 9, labels)
    names = {"class_names": DIGITS, "bit_width_text": "8 bits"}
    image = plots.changed_predictions(images, labels, labels, after, **names)
    gray = (np.asarray(image) == 77).all(axis=2).sum()
    assert gray == pytest.approx(changed * 112**2, abs=100)  # without texts


def test_pixels_that_are_always_0_are_gray():
    used, unused = np.full(784, 0.5), np.full(784, 0.5)
    unused[:100] = 0
    gray = [colors(pixel_usage(each)).get(GRAY, 0) for each in (used, unused)]
    assert gray[1] > gray[0] + 100 * 15**2  # each pixel has at least 15x15


@pytest.mark.parametrize(("lines", "count"), [(2, 2), (1, 30)])
@pytest.mark.parametrize("xlabel", ["hidden", ""])  # empty: without an order
def test_each_line_of_accuracies_has_a_color(lines, count, xlabel):
    points_of = {
        f"lr={n}": [
            AccuracyPoint(5.0 * k, [0.9 - n / 10, 0.91 - n / 10], f"hidden={5 * k}")
            for k in range(1, count + 1)
        ]
        for n in range(lines)
    }
    plot = accuracy_plot(points_of, xlabel=xlabel, title="a title")
    assert len({BLUE, RED} & {*colors(plot)}) == lines


def test_more_lines_than_there_are_colors_are_rejected():
    lines = {f"lr={n}": [AccuracyPoint(1.0, [0.9])] for n in range(MAX_LINES + 1)}
    with pytest.raises(AssertionError, match="6 lines, but 5 colors"):
        accuracy_plot(lines, xlabel="hidden", title="a title")


@pytest.mark.parametrize("shade", ["lr", ""])
def test_a_scatter_plot_has_the_colors_of_a_value_or_one_color(shade):
    points = [
        AccuracyPoint(1.0 * n, [0.5 + n / 20], "name", n > 4, 1.0 * n)
        for n in range(1, 9)
    ]
    plot = accuracy_scatter(points, xlabel="parameters", title="a title", shade=shade)
    assert BLUE not in colors(plot)


@pytest.mark.parametrize("accuracies", [(0.94, 0.95, 0.96), (0.6, 0.8, 0.9)])
def test_lines_are_equally_far_apart_for_equal_steps_or_for_halved_errors(accuracies):
    line = [AccuracyPoint(10.0 * n, [y]) for n, y in enumerate(accuracies, 1)]
    image = accuracy_plot({"": line}, xlabel="bytes", title="a title")
    blue = (np.asarray(image) == BLUE).all(axis=2)
    columns = np.flatnonzero(blue.any(axis=0))
    places = columns[9], int(columns.mean()), columns[-9]
    rows = [np.flatnonzero(blue[:, x]).mean() for x in places]
    assert rows[0] - rows[1] == pytest.approx(rows[1] - rows[2], abs=3)


def test_a_perfect_and_a_useless_network_are_in_the_plot():
    line = [AccuracyPoint(10.0, [0.0]), AccuracyPoint(20.0, [1.0])]
    image = accuracy_plot({"": line}, xlabel="bytes", title="a title")
    rows, _ = np.nonzero((np.asarray(image) == BLUE).all(axis=2))
    assert rows.max() - rows.min() > image.height / 2
