import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import datasets
from pipeline.evaluation import load_test_set, read_input, read_inputs


def test_indices_select_test_images_or_are_refused_with_the_key(mnist):
    single = read_input("3", mnist, prepare=True)
    _, listed = read_inputs("3,0, 12", lambda: mnist, prepare=True)
    for row, image in zip((3, 3, 0, 12), (single, *listed), strict=True):
        assert image.name == f"mnist test image {row}"
        assert image.label == mnist.test.labels[row]
        np.testing.assert_array_equal(image.prepared.image, mnist.test.images[row])
    for index in ("-1", "10000"):
        with pytest.raises(ValueError, match=r"^image must be 0 to 9999, .* or a file"):
            read_input(index, mnist, prepare=True)
        with pytest.raises(ValueError, match=r"^images must be 0 to 9999, .* folder"):
            read_inputs(f"0,{index}", lambda: mnist, prepare=True)


@pytest.mark.parametrize(
    ("network", "steps"), [("mnist", 6), ("fashion_mnist", 1)], ids=["mnist", "fashion"]
)
def test_a_file_is_preprocessed_or_only_resized(mnist, tmp_path, network, steps):
    spec, path = datasets.spec(network), tmp_path / "a.png"
    for level, is_blank in ((0, True), (255, False)):
        pixels = np.zeros((56, 56), np.uint8)
        pixels[8:48, 26:32] = level
        Image.fromarray(pixels).save(path)
        image = read_input(str(path), mnist, prepare=spec.prepared_as_mnist)
        assert image.prepared.is_blank == is_blank
        assert ("it is blank" in image.describe(spec)) == is_blank
    assert len(image.prepared.steps) == steps


@pytest.fixture
def load(mnist):
    """A function that reads a set for a network that was trained on MNIST."""
    return lambda name, split="exercise": load_test_set(
        name, dataset=mnist, split=split
    )


def test_the_validation_images_of_the_training_are_the_default(load, mnist):
    test_set = load(None)
    assert test_set.name == "mnist"
    np.testing.assert_array_equal(test_set.data.images, mnist.test.images)
    holdout = load(None, split="holdout")
    assert holdout.name == "mnist-holdout" and len(holdout.files) == 5000


def test_idx_files_of_another_size_are_preprocessed(load, tmp_path, mnist, write_idx):
    small = [Image.fromarray(i).resize((16, 16)) for i in mnist.test.images[:20]]
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    write_idx(path, np.stack([np.asarray(image) for image in small]))
    path.write_bytes(gzip.compress(path.read_bytes()))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", mnist.test.labels[:20])
    test_set = load(str(tmp_path))
    assert "16x16 pixels, preprocessed as in MNIST" in test_set.description
    np.testing.assert_array_equal(test_set.data.labels, mnist.test.labels[:20])
    # Each image fills the box of 20 pixels, instead of 28.
    heights = [np.ptp(np.nonzero(image)[0]) + 1 for image in test_set.data.images]
    assert set(heights) <= {19, 20}


def test_idx_files_that_are_not_one_test_set_are_refused(load, tmp_path, write_idx):
    images = np.zeros((100_001, 1, 1), np.uint8)
    write_idx(tmp_path / "a-images-idx3-ubyte", images)
    with pytest.raises(ValueError, match="needs its labels-idx1-ubyte file in"):
        load(str(tmp_path))
    write_idx(tmp_path / "a-labels-idx1-ubyte", images.ravel())
    with pytest.raises(ValueError, match="has 100,001 images; the limit is 100,000"):
        load(str(tmp_path))
    write_idx(tmp_path / "b-images-idx3-ubyte", images)
    write_idx(tmp_path / "b-labels-idx1-ubyte", images.ravel())
    with pytest.raises(ValueError, match="contains several test sets: a-images"):
        load(str(tmp_path))


def test_images_that_cannot_be_used_are_reported(load, tmp_path):
    for name in ("1.png", "2.png", "none.png"):
        Image.new("L", (20, 20), 255).save(tmp_path / name)
    (tmp_path / os.fsdecode(b"3\xff\n.png")).write_bytes(b"a three")
    test_set = load(str(tmp_path))
    assert test_set.files == ["1.png", "2.png"]
    damaged, unlabelled = sorted(test_set.problems)
    assert "3\ufffd\ufffd.png is damaged or not an image" in damaged
    assert "none.png has no label; give it a name such as 7_a.png" in unlabelled
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").unlink()
    with pytest.raises(ValueError, match="no readable images"):
        load(str(tmp_path))


@pytest.mark.usefixtures("other_user")
def test_a_folder_that_cannot_be_read_is_named(load):
    Path("closed").mkdir(mode=0)
    with pytest.raises(ValueError, match=r"^closed cannot be read: Permission denied$"):
        load("closed")
