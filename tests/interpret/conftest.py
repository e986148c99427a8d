"""Analyses of two networks, and the interactive page of one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipeline import datasets
from pipeline.cli import defaults
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.core.margin import min_margin
from pipeline.core.network import network_from
from pipeline.datasets.registry import DEBIAN_FOLDER
from pipeline.interpret import ModelAnalysis
from pipeline.interpret.page import render_page
from pipeline.model import Metadata, load_trained_network, save_network

PAGE_TIMEOUT = 180_000  # milliseconds, for a busy machine
# The page tests use what the page's modules export as if it were global.
EXPOSE_MODULES = """
Promise.all([...document.querySelectorAll("[type='text/module']")]
  .map(({ id }) => import(id))).then((all) => { Object.assign(window, ...all); })
"""


@pytest.fixture(scope="package")
def clothes(mnist, tmp_path_factory):
    """The analysis of a network that was trained on 2,000 images for one epoch."""
    if not DEBIAN_FOLDER.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    whole = datasets.load("fashion_mnist", folder=mnist.file.path.parent)
    few = whole.train.pick(np.arange(2000)), whole.test.pick(np.arange(300))
    dataset = replace(whole, train=few[0], test=few[1])
    hyperparameters = Hyperparameters(**defaults() | {"epochs": 1})
    *_, last = train_network(dataset, hyperparameters)
    network = network_from(last.tensors)
    path = tmp_path_factory.mktemp("clothes") / "model.safetensors"
    metadata = Metadata(
        hyperparameters=hyperparameters,
        dataset="fashion_mnist",
        data_sha256=whole.file.sha256,
        min_margin=min_margin(network, dataset.train),
    )
    save_network(path, network, metadata)
    trained = load_trained_network(path)
    return ModelAnalysis(trained, dataset)


@pytest.fixture(scope="session")
def open_page(chromium, tmp_path_factory):
    """Return a function that opens a page of `inspect` or `export`, offline.

    The tests fail if a page has an error.
    """
    errors = []

    def open_(html, *, width=1300, height=900):
        path = tmp_path_factory.mktemp("report") / "report.html"
        path.write_text(html)
        size = {"width": width, "height": height}
        page = chromium.new_page(offline=True, viewport=size)
        page.set_default_timeout(PAGE_TIMEOUT)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.requests = []
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(path.as_uri())
        page.frames[-1].locator("#prediction:not(:empty)").wait_for()
        page.frames[-1].evaluate(EXPOSE_MODULES)
        return page

    yield open_
    assert errors == []


@pytest.fixture(scope="session")
def draw_on_page():
    """Return a function that draws strokes, as fractions of the board, on a page."""

    def draw(page, strokes):
        page.locator("#clear").click()
        box = page.locator("#board").bounding_box()
        for stroke in strokes:
            first, *others = [
                (box["x"] + x * box["width"], box["y"] + y * box["height"])
                for x, y in stroke
            ]
            page.mouse.move(*first)
            page.mouse.down()
            for position in others:
                page.mouse.move(*position)
            page.mouse.up()
        page.evaluate("new Promise(requestAnimationFrame)")  # the page classifies

    return draw


@pytest.fixture(scope="session")
def changed():
    """Return a function that copies an analysis and changes some measurements."""

    def change(analysis, **values):
        result = replace(analysis)  # without the measurements that were made
        vars(result).update(values)
        return result

    return change


@pytest.fixture(scope="package")
def analysis(trained, mnist, histories):
    return ModelAnalysis(trained, mnist, histories)


@pytest.fixture(scope="package")
def html(analysis):
    return render_page(analysis, name="hidden=20 seed=1")


@pytest.fixture(scope="package")
def shared(open_page, html):
    return open_page(html, width=1366, height=768)


@pytest.fixture
def page(shared):
    """The page as it opens: the final network, N11 and test image 0."""
    shared.evaluate(
        """Object.assign(state, { networkIndex: model.trainedIndex, off: new Set() });
           useTestImage(0);
           select(1, 0);"""
    )
    return shared


@pytest.fixture(scope="package")
def untrained(new_network, mnist, tmp_path_factory):
    """Return a function that analyzes a network without a history and a detector.

    `count` is how many training and test images it uses: a large network takes long.
    """

    @cache
    def analyze(hidden, count=None):
        path = tmp_path_factory.mktemp("untrained") / "model.safetensors"
        save_network(path, new_network(hidden))
        dataset = mnist
        if count:
            few = [part.pick(np.arange(count)) for part in (mnist.train, mnist.test)]
            dataset = replace(mnist, train=few[0], test=few[1])
        return ModelAnalysis(load_trained_network(path), dataset)

    return analyze
