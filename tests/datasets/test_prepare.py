import shutil

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline import datasets
from pipeline.datasets.registry import DEBIAN_FOLDER, MNIST_FILES
from pipeline.evaluation import load_test_set


def test_digits_are_1500_and_297_upright_images_in_the_20_pixel_box(tmp_path):
    digits, original = datasets.load("digits", folder=tmp_path), load_digits()
    assert (len(digits.train), len(digits.test)) == (1500, 297)
    assert digits.test.labels.tolist() == original.target[1500:].tolist()
    border = np.ones((28, 28), bool)
    border[4:24, 4:24] = False
    assert not digits.train.images[:, border].any()
    assert digits.train.images.max() == 255
    # Averaged over the same areas, the enlarged images resemble the 8x8 originals.
    boxes = digits.train.images[:, 4:24, 4:24].reshape(1500, 4, 5, 4, 5).mean((2, 4))
    small = original.images[:1500].reshape(1500, 4, 2, 4, 2).mean((2, 4))
    assert np.corrcoef(boxes.ravel(), small.ravel())[0, 1] > 0.98


def test_the_file_of_mnist_has_the_same_bytes_in_any_folder(tmp_path, mnist):
    home = mnist.path.parent
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "MNIST" / "raw").symlink_to(MNIST_FILES.fetch(home))
    assert datasets.load("mnist", folder=tmp_path).sha256 == mnist.sha256


def test_a_damaged_file_or_summary_is_reported_and_created_again(tmp_path, capfd):
    path, is_new = datasets.prepare("digits", folder=tmp_path)
    assert is_new
    content = bytearray(path.read_bytes())
    content[100_000] ^= 1
    path.write_bytes(content)
    assert datasets.prepare("digits", folder=tmp_path) == (path, True)
    assert f"{path} has sha256" in capfd.readouterr().err
    assert path.with_name("digits.safetensors.bad").read_bytes() == content
    for damage in ("{", "{}", "[]", ""):
        path.with_suffix(".json").write_text(damage)
        assert datasets.prepare("digits", folder=tmp_path) == (path, True)
        assert f"{path.with_suffix('.json')} is damaged" in capfd.readouterr().err
    assert datasets.prepare("digits", folder=tmp_path) == (path, False)


def test_a_folder_keeps_its_division_and_is_named_by_its_content(
    idx_folder, tmp_path, few, write_idx
):
    data = datasets.load(str(idx_folder), folder=tmp_path)
    np.testing.assert_array_equal(data.train.images, few.train.images)
    np.testing.assert_array_equal(data.test.labels, few.val.labels)
    assert data.name.startswith("my_digits-")
    moved = shutil.copytree(idx_folder, tmp_path / "other" / "my digits")
    assert datasets.file_name(str(moved)) == data.name
    write_idx(idx_folder / "t10k-labels-idx1-ubyte", few.val.labels[::-1].copy())
    changed = datasets.load(str(idx_folder), folder=tmp_path)
    np.testing.assert_array_equal(changed.test.labels, few.val.labels[::-1])
    assert changed.name != data.name


def test_the_file_of_a_folder_is_found_by_its_hash_if_the_folder_changed(
    idx_folder, tmp_path, few, write_idx
):
    place = str(idx_folder)
    data = datasets.load(place, folder=tmp_path)
    write_idx(idx_folder / "t10k-labels-idx1-ubyte", few.val.labels[::-1].copy())

    def load(sha256):
        return datasets.load(place, folder=tmp_path, sha256=sha256)

    assert load(data.sha256).path == data.path
    with pytest.raises(ValueError, match="trained with 00ff: train it"):
        load("00ff")
    for path in idx_folder.iterdir():
        path.unlink()
    assert load(data.sha256).path == data.path
    idx_folder.rmdir()
    assert load(data.sha256).path == data.path
    with pytest.raises(FileNotFoundError, match="my digits' is neither a folder"):
        load("00ff")


def test_the_last_seventh_of_a_single_pair_are_the_test_images(
    idx_folder, tmp_path, few, write_idx
):
    for path in idx_folder.glob("t10k*"):
        path.unlink()
    data = datasets.load(str(idx_folder), folder=tmp_path)
    assert (len(data.train), len(data.test)) == (515, 85)  # 600 - 600 // 7
    write_idx(idx_folder / "train-images-idx3-ubyte", few.train.images[:6])
    write_idx(idx_folder / "train-labels-idx1-ubyte", few.train.labels[:6])
    with pytest.raises(ValueError, match="needs at least 7 images, has 6"):
        datasets.load(str(idx_folder), folder=tmp_path)


def test_invalid_data_sets_are_refused(idx_folder, tmp_path, few, write_idx):
    write_idx(idx_folder / "train-images-idx3-ubyte", few.train.images[:, :16, :16])
    with pytest.raises(ValueError, match="images of 16x16, not 28x28"):
        datasets.load(str(idx_folder), folder=tmp_path)
    assert not [*tmp_path.glob("my_digits*")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="must contain one pair of IDX files"):
        datasets.load(str(tmp_path / "empty"), folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="'minst' is neither a folder nor one"):
        datasets.load("minst", folder=tmp_path)


def test_fashion_mnist_of_a_debian_package_is_a_set_without_preprocessing(
    mnist, tmp_path
):
    if not DEBIAN_FOLDER.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    options = {"dataset": mnist, "split": "exercise", "prepare": None, "track": iter}
    test_set = load_test_set("fashion_mnist", folder=tmp_path, **options)
    data = datasets.load("fashion_mnist", folder=tmp_path)
    assert np.bincount(data.train.labels).tolist() == [6000] * 10
    np.testing.assert_array_equal(test_set.data.images, data.test.images)
