"""The interactive page, in a real Chromium with the network off."""

import dataclasses
import re
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
import torch
from jinja2 import meta

from pipeline.base.templates import template_environment
from pipeline.interpret.measurements import hidden_sums
from pipeline.interpret.page import render_page, rendering
from pipeline.interpret.page.page_data import PageData
from pipeline.interpret.page.rendering import scripts, select_data
from pipeline.model import HistoryFiles, load_history_files

NAME = "hidden=20 seed=1"


def test_the_page_is_one_small_file_without_requests(page, html, analysis):
    assert len(html.encode()) <= 1_300_000
    assert render_page(analysis, name=NAME) == html  # byte-identical
    addresses = set(re.findall(r"https?://[^\s\"']+", html))
    # The names of HTML and SVG, which are not requested.
    assert addresses == {f"http://www.w3.org/{x}" for x in ("1999/xhtml", "2000/svg")}
    assert not re.search(r"<(link|img|iframe)|\bfetch\(|XMLHttp|localStorage", html)
    assert len(page.requests) == 1 and page.requests[0].startswith("file:")
    nameless = page.evaluate(  # controls without a name for screen readers
        """[...document.querySelectorAll('button, input, canvas[tabindex]')]
          .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.closest('label')))
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize(
    ("script", "size", "text"),
    [
        ("window.requestAnimationFrame = () => {}", None, "This page is loading…"),
        (
            "delete window.DecompressionStream",
            None,
            "This page cannot be displayed: it needs a browser from May 2023 or later.",
        ),
        ("", -1000, "This page cannot be displayed: its data is damaged."),
    ],
    ids=["slow", "old browser", "damaged"],
)
def test_a_page_that_is_not_loaded_says_why(
    chromium, html, tmp_path, script, size, text
):
    path, page = tmp_path / "report.html", chromium.new_page()
    data = re.search(r'<script id="data" .*?>(.*?)</script>', html)[1]
    path.write_text(html.replace(data, data[:size]))
    page.add_init_script(script)
    page.goto(path.as_uri())
    page.get_by_role("status").filter(has_text=text).wait_for()
    page.close()


def test_without_metadata_the_history_gives_the_number_of_epochs(analysis):
    trained = replace(analysis.trained, metadata=None)
    assert trained.params == {}
    _, data = select_data(replace(analysis, trained=trained))
    assert data.epochs == [*range(21)]
    assert len(load_history_files(trained).weights["layer_1.bias"]) == 21
    _, data = select_data(replace(analysis, trained=trained, histories=HistoryFiles()))
    assert data.epochs == [0]
    _, data = select_data(replace(analysis, histories=HistoryFiles()))
    assert data.epochs == [20]


def test_the_page_uses_each_field_of_its_data_and_no_others():
    fields = {each.name for each in dataclasses.fields(PageData)}
    code = "\n".join(scripts().values())
    read = {*re.findall(r"\b(?:model|metadata)\.(?!js\b)(\w+)", code)}
    for unpacked in re.findall(r"{([^{}]*)} = (?:model|metadata)[;,]", code):
        read |= {part.split(":")[0].strip() for part in unpacked.split(",")}
    added = {"trained", "trainedIndex", "hasEarlierEpochs"}  # load
    added |= {"networks", "tensors"}
    assert read <= fields | added | {"page"}  # the metadata as text
    environment, inserted = template_environment("pipeline.interpret.page", ""), set()
    for template in Path(rendering.__file__).parent.glob("*.html"):
        tree = environment.parse(template.read_text("utf-8"))
        inserted |= meta.find_undeclared_variables(tree)
    assert inserted <= fields | {"name", "data", "curve_plots", "scripts"}
    assert fields <= read | inserted


def test_the_scripts_of_the_page_import_one_another_without_a_cycle():
    graph = {
        name: re.findall(r'from "(\w+\.js)"', script)
        for name, script in scripts().items()
    }
    assert {*TopologicalSorter(graph).static_order()} == {*graph}


def test_the_page_has_the_exact_parameters_and_computes_what_pytorch_computes(
    page, trained, mnist
):
    parameters = page.evaluate(
        "model.trained.weights.flatMap((weights, i) => "
        "[...weights, ...model.trained.biases[i]])"
    )
    exact = [tensor.ravel() for tensor in trained.network.state_dict().values()]
    np.testing.assert_array_equal(np.float32(parameters), torch.cat(exact).numpy())
    rows = page.evaluate("model.gallery")
    assert len(rows) == 100
    computed = page.evaluate(
        """model.gallery.map((_, index) => {
          const result = model.trained.classify(testImage(index));
          return [...result.hiddenSums, ...result.logits, ...result.probabilities];
        })"""
    )
    network, images = trained.network, mnist.test.images[rows]
    sums = hidden_sums(network, images)
    expected = np.hstack([sums, network.logits(images), network.predict(images)])
    np.testing.assert_allclose(computed, expected, atol=1e-5, rtol=1e-6)


def test_a_class_without_stored_test_images_has_an_accuracy_of_0(open_page, untrained):
    analysis = untrained(3)
    test = analysis.dataset.test
    few = test.pick(np.flatnonzero(test.labels != 7)[:300])
    dataset = replace(analysis.dataset, test=few)
    page = open_page(render_page(replace(analysis, dataset=dataset), name="no 7"))
    figures = page.locator("#class-accuracies figure")
    labels = [each.get_attribute("aria-label") for each in figures.all()]
    assert labels[7] == "digit 7: 0.0% of 0 images before, 0.0% after"
    assert "NaN" not in page.inner_html("#page")  # without the data in base64
    page.close()


def test_earlier_epochs_are_the_history_in_16_bits(page, histories):
    *_, final = history = histories.weights["layer_1.weight"].astype(np.float64)
    frozen = (history == final).all(axis=0)  # stored exactly
    for epoch in (0, 19):
        weights = page.evaluate(f"[...model.networks[{epoch}].weights[0]]")
        rounded = history[epoch].astype(np.float16).astype(np.float64)
        np.testing.assert_array_equal(weights, np.where(frozen, final, rounded).ravel())


def test_the_page_gets_the_parameters_of_all_arrays_that_training_never_changed(
    analysis, histories
):
    history = {name: values.copy() for name, values in histories.weights.items()}
    # As if N14 were 0 for all images: the gradient of its outgoing weights is 0.
    history["layer_2.weight"][:, :, 3] = history["layer_2.weight"][-1, :, 3]
    tensors, _ = select_data(replace(analysis, histories=HistoryFiles(history)))
    for name, values in history.items():
        never_changed = (values == values[0]).all(axis=0)
        np.testing.assert_array_equal(tensors[f"frozen.{name}"], never_changed)
    assert tensors["frozen.layer_2.weight"][:, 3].all()


def test_the_networks_of_all_epochs_have_the_same_fields(page):
    fields = page.evaluate("model.networks.map((each) => Object.keys(each).sort())")
    assert len(fields) == 21 and all(each == fields[-1] for each in fields)


def test_the_page_and_predict_agree_on_which_predictions_are_unsure(
    page, trained, detector, mnist
):
    blank = np.zeros((1, 28, 28), np.uint8)
    images = np.concatenate([mnist.test.images[page.evaluate("model.gallery")], blank])
    images[1] = images[2].T[::-1]  # a rotated digit hardly looks like a digit
    findings = [*[""] * (len(images) - 1), "blank"]
    unsure = detector.reasons(images, trained.network.logits(images))
    reasons = [*unsure[:-1], "blank"]
    found = page.evaluate(
        """([images, findings]) => images.map((image, i) => findings[i] ||
          model.detector.reason(image, model.trained.classify(image)))""",
        [images.reshape(len(images), -1).tolist(), findings],
    )
    assert found == reasons and {*found} == {"", "blank", "small margin", "unfamiliar"}


def test_images_have_the_colors_of_the_color_scheme(page):
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(
            """() => {
              const style = getComputedStyle(document.documentElement);
              const context = $("neurons").querySelector("canvas").getContext("2d");
              const rgb = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
              const digits = rgb.map((each) => each.toString(16)).join("");
              return style.getPropertyValue("--frozen") === `#${digits}`;
            }""",
            timeout=10_000,
        )


def test_classes_without_a_probability_are_ranked_by_their_logits(page):
    found = page.evaluate(
        """() => {
          const network = Object.create(model.trained);
          network.sums = (layer, inputs) => layer === 1 ? model.trained.sums(1, inputs)
            : Float64Array.from([0, 100, 2000, 900, 0, 0, 0, 0, 0, 0]);
          const { first, second } = network.classify(state.shown.image);
          return [first, second];
        }"""
    )
    assert found == [2, 3]


def test_the_second_class_is_shown_unless_it_has_0_percent(page):
    displayed = page.evaluate(
        """model.gallery.map((_, index) => {
          Object.assign(state.shown, { image: testImage(index), finding: "" });
          const result = currentResult();
          return [result.second, Array.from(result.probabilities),
            conclusion(result).text];
        })"""
    )
    sure = [each for each in displayed if "unsure" not in each[2]]
    named = ["second most probable" in text for *_, text in sure]
    assert named == [shares[second] >= 0.0005 for second, shares, _ in sure]
    assert {*named} == {True, False}
    for second, shares, text in sure:
        share = f"{100 * shares[second]:.1f}%"
        name = f". The second most probable class is {second} ({share})."
        assert name in text or "second most probable" not in text


def test_without_a_detector_the_network_before_training_guesses(open_page, analysis):
    without = replace(analysis.trained, metadata=None)
    page = open_page(render_page(replace(analysis, trained=without), name=NAME))
    rule = "The file of the network does not record its training run, so this page can"
    assert rule in page.inner_text("#prediction")
    page.locator("#epoch").fill("0")
    assert "This is a guess" in page.inner_text("#prediction")


def test_a_network_of_one_neuron_without_history_and_detector(open_page, untrained):
    page = open_page(render_page(untrained(1), name=NAME))
    assert page.inner_text("#epoch-text").startswith("Final network")
    assert "784 pixels → 1 neuron → 10 digits" in page.inner_text("#lead")
    assert "epoch" not in page.inner_text("#lead")
    text = page.inner_text("#prediction")
    assert "cannot determine whether the prediction is unsure" in text
    assert untrained(1).detector.missing[1:] in text
    assert page.locator("#epoch").is_disabled()
    page.evaluate("find('layer_2.bias[0]')")
    assert page.inner_text("#formula").startswith("z = W1·N11 + bias")
    assert "All 1 weight into N21" in page.inner_text("#incoming summary")
    assert "in earlier epochs is not available" in page.inner_text("#parameter-text")


def test_names_that_look_like_code_are_displayed_as_text(
    open_page, analysis, mnist, tmp_path
):
    code = "</script><script>document.title='a'</script><img src=x onerror=alert(1)>"
    file = replace(mnist.file, path=tmp_path / f"{code.replace('/', '|')}.x")
    dataset = replace(mnist, file=file)
    page = open_page(render_page(replace(analysis, dataset=dataset), name=code))
    assert page.title() == f"{code}: inside the network"
    assert code in page.inner_text("#footer")
    assert "<img src=x" in page.inner_text("#lead")
    assert page.locator("img").count() == 0


def test_the_page_works_in_the_sandboxed_frame_of_mlflow(open_page, shared):
    source = f'src="{shared.url}" width=700 height=900'
    inner = open_page(f'<iframe sandbox="allow-scripts" {source}>').frames[-1]
    inner.locator("#outputs button").nth(3).click()
    assert inner.locator("#t-sum").inner_text().startswith("N24: ")
    inner.locator("#name").fill("N16")
    inner.locator("#name").press("Enter")  # forms do nothing in this frame
    assert inner.locator("#t-sum").inner_text().startswith("N16: ")
    inner.locator("#start-tour").click()
    inner.locator("#guess-value").fill("many")
    inner.locator("#guess-check").click()
    assert inner.locator("#tour-feedback").inner_text() == "Enter a number."


def test_bars_and_colors_have_one_scale(page, trained, mnist):
    sums = hidden_sums(trained.network, mnist.test.images[:1000])
    maximum = float(sums.max())
    assert f"{maximum:.1f}, the maximum over 1,000 test images" in page.inner_text(
        "#layer-1"
    )
    for index in (0, 50):
        page.evaluate("useTestImage", index)
        widths = page.evaluate("tiles.map(({ bar }) => parseFloat(bar.style.width))")
        image = mnist.test.images[page.evaluate("model.gallery")[index]][None]
        outputs = np.maximum(hidden_sums(trained.network, image)[0], 0)
        np.testing.assert_allclose(widths, 100 * outputs / maximum, atol=0.01)
    legends = page.locator(".legend", has_text="weight ≤")
    limit = np.quantile(np.abs(trained.network.layer_1.get_weights()[0]), 0.99)
    assert f"{limit:.2f}" in legends.first.inner_text() and legends.count() == 2


def test_before_training_an_ordinary_digit_is_not_out_of_distribution(page):
    conclusions = page.evaluate(
        """() => {
          change({ networkIndex: 0 });
          return model.gallery.map((_, index) => {
            Object.assign(state.shown, { image: testImage(index), finding: "" });
            return conclusion(currentResult()).text;
          });
        }"""
    )
    assert "This is a guess: before training, the weights are random." in conclusions[0]
    strange = [each for each in conclusions if "does not look like" in each]
    assert len(strange) <= 20  # 20 of 100; 25 are misclassified after training
