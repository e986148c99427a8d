import shutil

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline import datasets


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


def test_a_damaged_file_or_summary_is_reported_and_created_again(tmp_path, capfd):
    path, is_new = datasets.prepare("digits", folder=tmp_path)
    assert is_new
    content = path.read_bytes()
    damaged = content[:100_000] + b"?" + content[100_001:]
    path.write_bytes(damaged)
    assert datasets.prepare("digits", folder=tmp_path) == (path, True)
    assert f"{path} has sha256" in capfd.readouterr().err
    assert path.with_name("digits.safetensors.bad").read_bytes() == damaged
    assert path.read_bytes() == content
    for damage in ("{", "{}", "[]", ""):
        path.with_suffix(".json").write_text(damage)
        assert datasets.prepare("digits", folder=tmp_path) == (path, True)
        assert f"{path.with_suffix('.json')} is damaged" in capfd.readouterr().err
    assert datasets.prepare("digits", folder=tmp_path) == (path, False)


@pytest.fixture
def load(tmp_path):
    """A function that loads a data set, and prepares its file in `tmp_path`."""

    def read(name, **options):
        return datasets.load(str(name), folder=tmp_path, **options)

    return read


def test_a_folder_keeps_its_division_and_is_named_by_its_content(
    idx_folder, load, tmp_path, few, write_idx
):
    data = load(idx_folder)
    np.testing.assert_array_equal(data.train.images, few.train.images)
    np.testing.assert_array_equal(data.test.labels, few.val.labels)
    assert data.name.startswith("my_digits-")
    moved = shutil.copytree(idx_folder, tmp_path / "other" / "my digits")
    assert datasets.file_name(str(moved)) == data.name
    write_idx(idx_folder / "t10k-labels-idx1-ubyte", few.val.labels[::-1].copy())
    changed = load(idx_folder)
    np.testing.assert_array_equal(changed.test.labels, few.val.labels[::-1])
    assert changed.name != data.name
    # The file of the earlier content is found by its hash, even without the folder.
    assert load(idx_folder, sha256=data.sha256).path == data.path
    with pytest.raises(ValueError, match="trained with 00ff: train it"):
        load(idx_folder, sha256="00ff")
    shutil.rmtree(idx_folder)
    assert load(idx_folder, sha256=data.sha256).path == data.path
    with pytest.raises(FileNotFoundError, match="my digits' is neither a folder"):
        load(idx_folder, sha256="00ff")


def test_the_last_seventh_of_a_single_pair_are_the_test_images(
    idx_folder, load, few, write_idx
):
    for path in idx_folder.glob("t10k*"):
        path.unlink()
    data = load(idx_folder)
    assert (len(data.train), len(data.test)) == (515, 85)  # 600 - 600 // 7
    write_idx(idx_folder / "train-images-idx3-ubyte", few.train.images[:6])
    write_idx(idx_folder / "train-labels-idx1-ubyte", few.train.labels[:6])
    with pytest.raises(ValueError, match="needs at least 7 images, has 6"):
        load(idx_folder)


def test_invalid_data_sets_are_refused(idx_folder, load, tmp_path, few, write_idx):
    write_idx(idx_folder / "train-images-idx3-ubyte", few.train.images[:, :16, :16])
    with pytest.raises(ValueError, match="images of 16x16, not 28x28"):
        load(idx_folder)
    assert not [*tmp_path.glob("my_digits*")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="must contain one pair of IDX files"):
        load(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="'minst' is neither a folder nor one"):
        load("minst")
