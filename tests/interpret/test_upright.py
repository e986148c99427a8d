"""The page of a network for upright digits, in a real Chromium."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.dataset import DataFile, Dataset
from pipeline.datasets.upright import straighten
from pipeline.interpret import ModelAnalysis
from pipeline.interpret.page import render_page
from pipeline.model import load_trained_network, save_network

SLANTED_7 = [[(0.35, 0.2), (0.8, 0.2), (0.3, 0.85)]]


@pytest.fixture(scope="module")
def page(open_page, new_network, metadata_of, mnist, tmp_path_factory):
    """The page of an untrained network."""
    path = tmp_path_factory.mktemp("upright") / "model.safetensors"
    save_network(path, new_network(5), metadata_of(hidden=5, dataset="mnist_upright"))
    parts = (mnist.train.pick(slice(500)), mnist.test.pick(slice(200)))
    train, test = (replace(part, images=straighten(part.images)) for part in parts)
    file = DataFile(mnist.file.path.with_name("mnist_upright.safetensors"), "")
    dataset = Dataset(file, train, test)
    analysis = ModelAnalysis(load_trained_network(path), dataset)
    return open_page(render_page(analysis, name="upright"))


def test_the_page_straightens_images_as_python_does(page, mnist):
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (20, 28, 28), np.uint8)
    shapes = np.stack([np.zeros((28, 28)), np.eye(28), np.tri(28), np.ones((28, 28))])
    extremes = (255 * shapes).astype(np.uint8)
    images = np.concatenate([mnist.test.images[:50], noise, extremes])
    made = page.evaluate(
        "(images) => images.map((image) => [...straighten(new Uint8Array(image))])",
        images.reshape(len(images), -1).tolist(),
    )
    np.testing.assert_array_equal(made, straighten(images).reshape(len(images), -1))


def test_a_drawing_is_straightened_once_and_a_test_image_is_not(page, draw_on_page):
    draw_on_page(page, SLANTED_7)
    drawn = np.array([page.evaluate("[...state.shown.image]")], np.uint8)
    drawn = drawn.reshape(1, 28, 28)
    ordinary = page.evaluate(
        """() => {
          const { straightening } = model;
          model.straightening = null;
          const { image } = preprocessDrawing(state.shown.strokes);
          model.straightening = straightening;
          return [...image];
        }"""
    )
    ordinary = np.reshape(ordinary, (1, 28, 28)).astype(np.uint8)
    assert (drawn != ordinary).sum() > 50
    np.testing.assert_array_equal(drawn, straighten(ordinary))
    assert "sheared to the mean slant" in page.inner_text("#preprocessed")
    page.evaluate("useTestImage(0)")
    stored = page.evaluate("[...model.tensors.images.slice(0, 784)]")
    assert page.evaluate("[...state.shown.image]") == stored


def test_lines_start_at_the_drawn_strokes_before_they_are_sheared(page, draw_on_page):
    draw_on_page(page, SLANTED_7)
    ink = page.evaluate(
        """() => {
          select(1, 0);
          const board = $("board"), box = board.getBoundingClientRect();
          const origin = $("connections").getBoundingClientRect();
          const context = board.getContext("2d");
          // The pen is thinner here.
          const pixel = board.width / state.shown.transform.scale;
          const lines = [...document.querySelectorAll("#connections path")];
          return lines.map((line) => line.getPointAtLength(0))
            .map(({ x, y }) => [x + origin.left - box.left, y + origin.top - box.top])
            .filter(([x]) => x < box.width)
            .map((place) => place.map((each) => each / box.width * board.width))
            .map((place) => place.map((each) => each - pixel))
            .map((place) => Math.max(
              ...context.getImageData(...place, 2 * pixel, 2 * pixel).data
                .filter((_, i) => i % 4 === 0)));
        }"""
    )
    assert len(ink) > 20
    assert np.mean(np.array(ink) > 0) > 0.9
