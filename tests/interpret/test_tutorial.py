"""The tutorial of inspect shows the numbers of the network."""

import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.core.network import network_from, snapshot
from pipeline.interpret import render_tutorial
from pipeline.interpret.measurements import hidden_sums
from pipeline.interpret.rounding import rounded
from pipeline.model import HistoryFiles


def test_the_line_of_the_tutorial_is_a_weight_a_pixel_and_a_bias(
    analysis, trained, mnist
):
    text = " ".join(render_tutorial(analysis).split())
    pixel, neuron = re.search(r"pixel (\d+) .* in neuron N1(\d+) of", text).groups()
    pixel, neuron = int(pixel), int(neuron) - 1
    kernel, bias = trained.network.layer_1.get_weights()
    x = mnist.test.images[0].ravel()[pixel] / 255
    m, c = kernel[pixel, neuron], bias[neuron]
    assert f"= {m:.2f} · {x:.2f} + {c:.2f} = " in text
    total = hidden_sums(trained.network, mnist.test.images[:1])[0, neuron]
    assert f"For this image, y = {total:.2f}." in text


def test_the_output_of_a_neuron_is_rounded_alike_in_all_sentences(analysis, changed):
    sums = np.full_like(analysis.hidden_sums, 0.125)
    text = " ".join(render_tutorial(changed(analysis, hidden_sums=sums)).split())
    assert "output of N11 is 0.13." in re.sub(r"N1\d+ is", "N11 is", text)
    assert f"N11 to N120 are {', '.join(['0.13'] * 20)}." in text


def test_the_tutorial_goes_from_the_parameters_to_the_neurons_by_ablation_cost(
    analysis,
):
    text = render_tutorial(analysis)
    assert [line for line in text.splitlines() if re.match("[A-Z]{3}", line)] == [
        "HOW MANY PARAMETERS, AND WHY",
        "FROM y = m·x + c TO THE WHOLE NETWORK",
        "FROZEN WEIGHTS",
        "WHAT EACH NEURON RESPONDS TO",
    ]
    steps = re.findall(r"^\d\. ([\w ]+)\.", text, re.MULTILINE)
    network = ["One weight", "One neuron", "One layer", "The whole network"]
    assert steps == [*network, "Training"]
    neurons = re.findall(r"^N1(\d+) .*%", text, re.MULTILINE)
    costs = analysis.costs[[int(number) - 1 for number in neurons], 0]
    assert len(costs) == 20 and (np.diff(costs) <= 0).all()


@pytest.mark.parametrize(
    ("weights", "count", "text"),
    [
        ([], "0 weights", "bit for bit. Dead neurons, which output"),
        ([(35, 4)], "1 weight", "is above 0 in at most {} training images. For these"),
        (
            [(300, 4), (300, 5)],
            "2 weights",
            "rounded to 0. Dead neurons, which output",
        ),
    ],
)
def test_the_frozen_weights_are_counted_and_explained(
    analysis, changed, weights, count, text
):
    frozen = np.tile(analysis.always_zero[:, None], 20)
    for pixel, neuron in weights:
        frozen[pixel, neuron] = True
    words = " ".join(render_tutorial(changed(analysis, frozen=frozen)).split())
    assert f"1,340 weights of these pixels and {count} of other pixels keep" in words
    assert text.format(f"{analysis.images_with_ink[35]:,}") in words


def test_frozen_weights_without_always_zero_pixels_or_of_dead_neurons_are_explained(
    analysis, changed
):
    def section(frozen, **fields):
        histories = changed(analysis, frozen=frozen, **fields)
        words = " ".join(render_tutorial(histories).split())
        return re.search("FROZEN WEIGHTS (.*) Dead neurons, which", words)[1]

    images = np.maximum(analysis.images_with_ink, 1)
    none, rates = np.zeros((784, 20), bool), analysis.activation_rates.copy()
    bright, dead = none.copy(), none.copy()
    bright[300, 4] = dead[300, 5] = dead[301, 5] = True
    rates[5] = 0
    all_used = {"images_with_ink": images, "activation_rates": rates}
    all_used["always_zero"] = np.zeros(784, bool)
    text = section(none, **all_used)
    assert text.endswith(
        "Each pixel is above 0 in some of the 60,000 training images, so training can "
        "change every weight. In the weight history, 0 weights keep their initial "
        "values, bit for bit."
    )
    text = section(dead, **all_used)
    assert text.endswith(
        "2 weights keep their initial values, bit for bit. All of these weights belong "
        "to dead neurons: while a neuron outputs 0, the gradients of its weights are 0."
    )
    text = section(dead | bright, **all_used)
    assert "2 of these weights belong to dead neurons" in text
    assert "For the images in which the pixel of a remaining weight is above" in text
    assert "in at most" not in text  # a large number explains nothing
    frozen = bright | np.tile(analysis.always_zero[:, None], 20)
    text = section(frozen)
    assert "the pixel of one of these other weights is above 0" in text


def test_a_neuron_that_no_training_image_activates_is_dead(analysis, changed):
    no_image = analysis.hidden_sums.copy()
    no_image[:, 4:6] = -1
    rates = analysis.activation_rates.copy()
    rates[5:7] = 0
    text = render_tutorial(
        changed(analysis, hidden_sums=no_image, activation_rates=rates)
    )
    assert "every training image: N16, N17." in " ".join(text.split())
    cells = {row[0]: row[1:4] for row in map(str.split, text.splitlines()) if row}
    assert cells["N15"][1] == "none"  # no test image activates the neuron
    assert cells["N16"][:2] == ["0%", "dead"]
    assert cells["N17"][0] == "0%" and cells["N17"][1].isdigit()


def test_the_tutorial_names_the_first_of_equal_logits(analysis):
    tensors = snapshot(analysis.trained.network)
    for name in ("layer_2.weight", "layer_2.bias"):
        tensors[name][4] = tensors[name][7]  # 7 is the class of the image
    trained = replace(analysis.trained, network=network_from(tensors))
    changed = replace(analysis, trained=trained, histories=HistoryFiles())
    tutorial = " ".join(render_tutorial(changed).split())
    assert "highest for digit 4, with" in tutorial
    assert "for digit 7. Softmax" in tutorial


def test_the_tour_of_the_page_begins_with_the_same_weight(analysis, html, open_page):
    page = open_page(html)
    page.evaluate("useTestImage(3)")
    page.locator("#start-tour").click()
    neuron, pixel = analysis.example.neuron, analysis.example.pixel
    assert page.evaluate("model.example") == asdict(analysis.example)
    step = page.inner_text("#tour-text")
    assert step.startswith(f"N1{neuron + 1}, ") and f" pixel {pixel}," in step
    assert page.inner_text("#source").startswith("test image 0: ")


def test_the_tour_and_the_tutorial_round_the_result_of_a_line_alike(open_page, html):
    page = open_page(html)
    for m, x, c in [(0.35, 0.7, -0.1), (-0.35, 0.7, 0.1), (0.05, 0.1, 0.0)]:
        y = rounded(rounded(m, 2) * rounded(x, 2) + rounded(c, 2), 2)
        assert page.evaluate("(line) => lineValues(...line).y", [m, x, c]) == float(y)
