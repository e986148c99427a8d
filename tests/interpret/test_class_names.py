"""For a network of clothes, texts and plots name garments and no digits."""

import re

from pipeline.datasets import spec
from pipeline.interpret import (
    pre_activations,
    render_tutorial,
    worksheets,
)
from pipeline.interpret.output import neuron_images

NAMES = spec("fashion_mnist").class_names


def test_the_tutorial_names_garments(clothes):
    text = render_tutorial(clothes)
    words = " ".join(text.split())
    label = NAMES[clothes.dataset.test.labels[0]]
    assert f"In test image 0 ({label})," in words
    assert "a score for each of 10 garments" in words
    assert "20 neurons x 10 garments" in words
    *_, table = text.split("\n\n")
    rows = [re.split("  +", line) for line in table.splitlines()[1:]]
    assert {row[-1].rsplit(" ", 1)[0] for row in rows} <= {*NAMES}
    assert {row[2] for row in rows} <= {*NAMES, "always 0"}
    assert "digit" not in text and max(map(len, text.splitlines())) <= 80


def test_worksheets_name_garments(clothes):
    network, image = clothes.trained.network, clothes.dataset.test.images[0]
    text = worksheets(pre_activations(network, image), ["N28"], clothes.spec)
    assert f"N28: neuron 8 of layer_2, for {NAMES[7]}" in text
    assert "e^(z - max) of each garment" in text
    _, softmax = text.split("Softmax")
    for number, name in enumerate(NAMES, start=1):
        assert re.search(rf"^{name} +N2{number} ", softmax, re.MULTILINE)
    assert "digit" not in text


def test_the_images_of_a_neuron_show_their_classes(clothes):
    _, *captions = neuron_images(clothes, 0, scale=1.0).images
    test = clothes.dataset.test
    for caption in captions:
        row = int(re.search(r"#(\d+)", caption)[1])
        assert caption.endswith(f"\n{NAMES[test.labels[row]]}")
