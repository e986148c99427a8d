import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import ConfigError, UserError, datasets
from pipeline.evaluation import find_image, preprocess_for
from pipeline.evaluation.inputs import find_images, images_from_array
from pipeline.evaluation.test_sets import find_test_set
from pipeline.images import preprocess_images


def test_indices_select_test_images_or_are_rejected_with_the_key(mnist):
    single = find_image("3", mnist)
    listed = find_images("3,0, 12", lambda: mnist)
    rows = [3, 0, 12]
    assert listed.files == [f"mnist test image {row}" for row in rows]
    assert single.files == listed.files[:1] and single.labels == listed.labels[:1]
    np.testing.assert_array_equal(listed.labels, mnist.test.labels[rows])
    preprocessed = preprocess_images(listed, as_mnist=False)
    np.testing.assert_array_equal(preprocessed.images, mnist.test.images[rows])
    for index in ("-1", "10000", "1000000000"):
        with pytest.raises(UserError, match=r"^image must be 0 to 9999, .* or a file"):
            find_image(index, mnist)
        with pytest.raises(UserError, match=r"^images must be 0 to 9999, .* folder"):
            find_images(f"0,{index}", lambda: mnist)


def test_an_unknown_user_is_rejected_with_the_key(mnist):
    path = "~nobody-here/a.png"
    with pytest.raises(ConfigError, match=f"^image must have a user name .* {path}$"):
        find_image(path, mnist)
    with pytest.raises(ConfigError, match=f"^images must have a user name .* {path}$"):
        find_images(path, lambda: mnist)


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (5, 28, 28)])
def test_an_array_is_one_image_or_several_in_the_form_of_mnist(mnist, shape):
    pixels = mnist.test.images[:5][::-1][: shape[0] if len(shape) == 3 else 1]
    preprocessed = preprocess_images(
        images_from_array(pixels.reshape(shape)), as_mnist=False
    )
    np.testing.assert_array_equal(preprocessed.images, pixels)
    assert (
        preprocessed.source.files[0] == "image 0"
        and preprocessed.source.labels[0] is None
    )
    preprocessed.images[0] = 0  # a copy
    assert pixels[0].any()


def test_the_remedy_for_an_array_makes_the_images_of_the_network(mnist):
    images = mnist.test.images[:5]
    tensor = torch.from_numpy(images / 255).requires_grad_()
    for wrong in (
        np.float32(images / 255),
        np.float64(images),
        images - np.float32(1e-4) * (images > 0),
        images.astype(np.int64),
        images.astype(np.uint16),
        images.reshape(-1, 784),
        images[:, None] / 255,
        images[0] / 255,
        tensor,
        tensor[:, None],
        torch.from_numpy(images.astype(np.int64)),
    ):
        with pytest.raises(ConfigError, match=r"^images must be .*, got .*: ") as error:
            images_from_array(wrong)
        remedy = str(error.value).partition(": pass ")[2]
        found = eval(remedy, {"images": wrong, "np": np, "torch": torch})
        np.testing.assert_array_equal(found, images[: len(found)])
    for wrong, remedy in {
        "empty": (np.zeros((0, 5)), "there is no image"),
        "photograph": (np.zeros((300, 400), np.uint8), "resize the image"),
        "text": (np.full((1, 28, 28), "5"), "pass an array of numbers"),
        "sparse": (tensor.to_sparse(), "pass an array of numbers"),
        "not finite": (np.full((1, 28, 28), np.nan), "scale them to 0 to 255"),
    }.values():
        with pytest.raises(ConfigError, match=f"got .*: {remedy}"):
            images_from_array(wrong)


@pytest.mark.parametrize(
    ("network", "steps"), [("mnist", 6), ("fashion_mnist", 1)], ids=["mnist", "fashion"]
)
def test_a_file_is_preprocessed_or_only_resized(mnist, tmp_path, network, steps):
    spec, path = datasets.spec(network), tmp_path / "a.png"
    for level, is_blank in ((0, True), (255, False)):
        pixels = np.zeros((56, 56), np.uint8)
        pixels[8:48, 26:32] = level
        Image.fromarray(pixels).save(path)
        source = find_image(str(path), mnist)
        preprocessed = preprocess_images(
            source, as_mnist=spec.preprocessed_as_mnist, keep_steps=1
        )
        assert (preprocessed.findings[0] == "blank") == is_blank
    assert len(preprocessed.steps[0]) == steps


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_image_of_one_color_is_blank_with_any_preprocessing(tmp_path, mnist, level):
    pixels, path = np.full((28, 28), level, np.uint8), tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    file, array = find_image(str(path), mnist), images_from_array(pixels)
    for source in (file, array):
        for as_mnist in (False, True):
            assert [*preprocess_images(source, as_mnist=as_mnist).findings] == ["blank"]


def test_both_commands_read_the_label_in_the_name_of_a_file(mnist, tmp_path):
    path = tmp_path / "7_a.png"
    Image.fromarray(255 - mnist.test.images[0]).save(path)
    single, listed = find_image(str(path), mnist), find_images(str(path), lambda: mnist)
    assert single.labels == listed.labels == [7] and single.files == listed.files
    texts = {"mnist": "preprocessed as in MNIST", "fashion_mnist": "resized to 28x28"}
    for name, how in texts.items():
        assert preprocess_for(datasets.spec(name), single).how == how
    with pytest.raises(UserError, match="image must be a file, got the folder "):
        find_image(str(tmp_path), mnist)


def test_a_path_that_is_too_long_is_reported_in_one_line(mnist, tmp_path):
    path = tmp_path / ("a" * 300)
    for source in (find_image(str(path), mnist), find_images(str(path), lambda: mnist)):
        with pytest.raises(UserError, match=r"/a+ cannot be read: File name too long$"):
            preprocess_images(source, as_mnist=True)


def test_only_the_steps_of_the_first_images_are_kept(tmp_path):
    for row in range(3):
        Image.new("L", (20, 20), 255).save(tmp_path / f"{row}.png")
    source = find_images(str(tmp_path), lambda: None)
    assert len(preprocess_images(source, as_mnist=True, keep_steps=2).steps) == 2
    assert not preprocess_images(source, as_mnist=True).steps


@pytest.fixture
def load(mnist):
    """Return a function that reads a set for a network that was trained on MNIST."""

    def load(name, split="exercise"):
        source = find_test_set(name, dataset=mnist, split=split)
        return preprocess_for(datasets.spec("mnist"), source)

    return load


def test_the_validation_images_of_the_training_run_are_the_default(load, mnist):
    test_set = load(None)
    assert test_set.source.name == "mnist"
    assert test_set.source.files[3] == find_image("3", mnist).files[0]
    np.testing.assert_array_equal(test_set.images, mnist.test.images)
    holdout = load(None, split="holdout")
    assert holdout.source.name == "mnist-holdout" and len(holdout.images) == 5000


def test_idx_files_of_another_size_are_preprocessed(load, tmp_path, mnist, write_idx):
    small = [Image.fromarray(i).resize((16, 16)) for i in mnist.test.images[:20]]
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    write_idx(path, np.stack([np.asarray(image) for image in small]))
    path.write_bytes(gzip.compress(path.read_bytes()))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", mnist.test.labels[:20])
    test_set = load(str(tmp_path))
    assert "16x16 pixels; preprocessed as in MNIST" in test_set.description
    np.testing.assert_array_equal(test_set.source.labels, mnist.test.labels[:20])
    # Each image fills the box of 20 pixels, instead of 28.
    heights = [np.ptp(np.nonzero(image)[0]) + 1 for image in test_set.images]
    assert set(heights) <= {19, 20}


def test_idx_files_that_are_not_one_test_set_are_rejected(load, tmp_path, write_idx):
    images = np.zeros((100_001, 1, 1), np.uint8)
    write_idx(tmp_path / "a-images-idx3-ubyte", images)
    with pytest.raises(UserError, match="must have its labels-idx1-ubyte file in"):
        load(str(tmp_path))
    write_idx(tmp_path / "a-labels-idx1-ubyte", images.ravel())
    with pytest.raises(UserError, match="at most 100,000 images, got 100,001"):
        load(str(tmp_path))
    write_idx(tmp_path / "b-images-idx3-ubyte", images)
    write_idx(tmp_path / "b-labels-idx1-ubyte", images.ravel())
    with pytest.raises(UserError, match="must contain one test set, got a-images"):
        load(str(tmp_path))


def test_images_that_cannot_be_used_are_reported(load, tmp_path):
    for name in ("1.png", "2.png", "none.png"):
        Image.new("L", (20, 20), 255).save(tmp_path / name)
    (tmp_path / os.fsdecode(b"3\xff\n.png")).write_bytes(b"a three")
    test_set = load(str(tmp_path))
    assert test_set.source.files == ["1.png", "2.png"]
    damaged, unlabeled = sorted(test_set.source.problems)
    assert "3\ufffd\ufffd.png is damaged or not an image" in damaged
    assert "none.png has no label: give the image a name such as" in unlabeled
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").unlink()
    with pytest.raises(UserError, match="no readable images"):
        load(str(tmp_path))
    for path in tmp_path.glob("3*"):
        path.unlink()
    with pytest.raises(UserError, match="has no image with a label: give the images"):
        load(str(tmp_path))


def test_images_without_a_label_are_skipped_and_counted_and_bad_labels_reported(
    load, tmp_path
):
    (tmp_path / "3").mkdir()
    for name in ("3/a.png", "5.png", "6.png"):
        Image.new("L", (20, 10)).save(tmp_path / name)
    source = load(str(tmp_path)).source
    assert source.labels == [3] and not source.problems
    assert source.description.endswith("(2 other images without a label are skipped)")
    (tmp_path / "labels.csv").write_text("file,label\n5.png,5\n3/a.png,?\n")
    source = load(str(tmp_path)).source
    assert source.labels == [5]
    assert source.description.endswith("(1 other image without a label is skipped)")
    (problem,) = source.problems
    assert problem.endswith("line 3: the label must be 0 to 9, got '?'")
    (tmp_path / "labels.csv").write_text("file,label\n5.png,five\n")
    with pytest.raises(UserError, match=r"no image with a label.*\n.* got 'five'$"):
        load(str(tmp_path))


@pytest.mark.usefixtures("other_user")
def test_a_folder_that_cannot_be_read_is_reported(load):
    Path("closed").mkdir(mode=0)
    with pytest.raises(UserError, match=r"^closed cannot be read: Permission denied$"):
        load("closed")
