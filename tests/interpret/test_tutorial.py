"""The tutorial of inspect shows the numbers of the network."""

import re

from pipeline.interpret import render_tutorial


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
    total = trained.network.hidden_sums(mnist.test.images[:1])[0, neuron]
    assert f"For this image, y = {total:.2f}." in text


def test_the_tour_of_the_page_begins_with_the_same_weight(analysis, html, open_page):
    page = open_page(html)
    page.locator("#start-tour").click()
    neuron, pixel = analysis.example
    step = page.inner_text("#tour-text")
    assert step.startswith(f"N1{neuron + 1}, ") and f" pixel {pixel}," in step
