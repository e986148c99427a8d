"""Texts, plots and the page of a network of clothes mention garments, not digits."""

import re
from dataclasses import replace

import pytest

from pipeline.datasets import spec
from pipeline.interpret import ModelAnalysis, render_tutorial
from pipeline.interpret.analysis_files import neuron_images
from pipeline.interpret.page import render_page

NAMES = spec("fashion_mnist").class_names


def test_the_tutorial_calls_the_images_garments(clothes):
    text = render_tutorial(clothes)
    words = " ".join(text.split())
    assert f"In test image 0 ({NAMES[clothes.dataset.test.labels[0]]})," in words
    assert "into ten logits, one for each garment." in words
    *_, table = text.split("\n\n")
    rows = [re.split("  +", line) for line in table.splitlines()[1:]]
    assert {row[-1].rsplit(" ", 1)[0] for row in rows} <= {*NAMES, "none"}
    assert "digit" not in text and max(map(len, text.splitlines())) <= 80


def test_the_images_of_a_neuron_show_their_classes(clothes):
    _, *images = neuron_images(clothes, 0, scale=1.0).images
    test = clothes.dataset.test
    for caption, _ in images:
        row = int(re.search(r"#(\d+)", caption)[1])
        assert caption.endswith(f"\n{NAMES[test.labels[row]]}")


def test_the_words_are_those_of_the_data_set_that_the_network_was_trained_on(
    trained_on_few, small_dataset
):
    trained = trained_on_few()
    metadata = trained.metadata.model_copy(update={"dataset": "fashion_mnist"})
    renamed = replace(trained, metadata=metadata)  # here, the data has a different name
    assert ModelAnalysis(renamed, small_dataset).spec.class_names == NAMES


@pytest.fixture(scope="module")
def page(open_page, clothes):
    return open_page(render_page(clothes, name="clothes"))


def test_the_page_calls_the_images_garments(page):
    outputs = page.locator("#outputs button")
    assert outputs.locator("b").all_inner_texts() == [*NAMES]
    assert outputs.nth(9).get_attribute("aria-label").startswith(f"N210, {NAMES[9]}: ")
    outputs.nth(7).click()
    assert page.inner_text("#t-sum") == f"N28: neuron 8 of layer 2, for {NAMES[7]}"
    page.locator("#gallery button").nth(1).click()
    assert f"test image 1: {NAMES[2]}" in page.inner_text("#source")
    texts = page.evaluate(
        """Array.from({ length: 25 }, (_, index) => {
          useTestImage(index);
          return $("prediction").textContent;
        })"""
    )
    named = {re.match(r"The network predicts (.+?) \(", text)[1] for text in texts}
    assert len(named) > 5 and named <= {*NAMES}
    words = page.evaluate(
        """[document.body.innerText,
          ...[...document.querySelectorAll("*")].flatMap(
            (e) => [e.ariaLabel, e.title, e.placeholder]),
          ...tourSteps().flatMap((step) => {
            step.enter?.();
            const { title, text, question, answer } = step.content();
            return [title, text, question?.ask, answer].map(String);
          })].join(" ")"""
    )
    assert "10 garments" in words and "10 garments = 200 weights" in words
    assert not re.search("digit|undefined|NaN", " ".join([words, *texts]))


@pytest.mark.parametrize("width", [390, 845, 1366])  # 845: the narrowest panel
def test_names_of_garments_fit_in_the_table_of_the_page(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#outputs button").nth(7).click()
    softmax = page.locator("#softmax tr td:first-child").all_inner_texts()
    assert softmax[7:9] == [f"N28 ({NAMES[7]})", f"N29 ({NAMES[8]})"]
    table = page.locator(".scroll", has=page.locator("#softmax"))
    assert table.evaluate("(table) => table.scrollWidth <= table.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_for_clothes_the_user_can_only_choose_test_images(page):
    assert page.locator(".text").first.inner_text().startswith("Choose a test image.")
    assert page.locator("#gallery").is_visible() and page.locator("#clear").is_hidden()
    page.evaluate("useTestImage(0)")
    page.locator("#board").drag_to(
        page.locator("#board"), target_position={"x": 9, "y": 9}
    )
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.evaluate("state.shown.index") == 0
