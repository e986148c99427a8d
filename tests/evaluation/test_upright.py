"""A network trained on upright digits gets images that were straightened once."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline import datasets
from pipeline.core.dataset import DataFile, Dataset, LabeledImages
from pipeline.datasets.upright import straighten
from pipeline.evaluation import find_image, preprocess_for
from pipeline.evaluation.inputs import find_images, images_from_array
from pipeline.evaluation.test_sets import find_test_set

MNIST, UPRIGHT = datasets.spec("mnist"), datasets.spec("mnist_upright")


@pytest.fixture(scope="module")
def upright(mnist):
    """The first test images of `mnist_upright`, next to the file of `mnist`."""
    few = mnist.test.pick(slice(1000))
    test = LabeledImages(straighten(few.images), few.labels)
    path = mnist.file.path.with_name("mnist_upright.safetensors")
    return Dataset(DataFile(path, "other images"), train=test, test=test)


@pytest.mark.parametrize("name", [None, "mnist_upright"])
def test_the_networks_own_test_images_do_not_change(upright, name):
    source = find_test_set(name, dataset=upright, split="exercise")
    preprocessed = preprocess_for(UPRIGHT, source)
    np.testing.assert_array_equal(preprocessed.images, upright.test.images)
    assert preprocessed.how == "not preprocessed"


def test_the_networks_own_image_selected_by_index_does_not_change(upright):
    for source in (find_image("3", upright), find_images("3", lambda: upright)):
        preprocessed = preprocess_for(UPRIGHT, source)
        np.testing.assert_array_equal(preprocessed.images, upright.test.images[3:4])


def test_the_test_images_of_another_data_set_are_straightened(upright):
    source = find_test_set("mnist", dataset=upright, split="exercise")
    preprocessed = preprocess_for(UPRIGHT, source.pick(range(1000), problems=()))
    np.testing.assert_array_equal(preprocessed.images, upright.test.images)
    assert preprocessed.how == "not preprocessed, straightened"


def test_an_array_is_straightened(mnist, upright):
    source = images_from_array(mnist.test.images[:5])
    preprocessed = preprocess_for(UPRIGHT, source)
    np.testing.assert_array_equal(preprocessed.images, upright.test.images[:5])


@pytest.mark.parametrize("as_mnist", [None, True, False])
def test_a_file_is_straightened_after_all_other_steps(mnist, tmp_path, as_mnist):
    path = tmp_path / "9.png"
    Image.fromarray(mnist.test.images[7]).resize((56, 56)).save(path)
    source = find_image(str(path), mnist)
    options = {"as_mnist": as_mnist, "keep_steps": 1}
    plain = preprocess_for(MNIST, source, **options)
    preprocessed = preprocess_for(UPRIGHT, source, **options)
    np.testing.assert_array_equal(preprocessed.images, straighten(plain.images))
    assert (preprocessed.images != plain.images).any()
    assert [*preprocessed.steps[0]] == [*plain.steps[0], "upright"]
    np.testing.assert_array_equal(
        preprocessed.steps[0]["upright"], preprocessed.images[0]
    )


def test_an_ordinary_network_gets_upright_images_as_they_are_stored(upright):
    source = find_test_set("mnist_upright", dataset=upright, split="exercise")
    preprocessed = preprocess_for(MNIST, replace(source, kind="preprocessed"))
    np.testing.assert_array_equal(preprocessed.images, upright.test.images)
