import shutil
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from pipeline import datasets
from pipeline.base.files import file_sha256
from pipeline.base.tensors import read_tensors, write_tensors
from pipeline.core.dataset import DataFile, Dataset, LabeledImages, Split
from pipeline.datasets import components
from pipeline.datasets.components import (
    COMPONENTS,
    OOD_QUANTILE,
    RATIO_QUANTILE,
    fit_components,
)


@pytest.fixture(scope="module")
def split(mnist):
    rows = np.arange(6000)
    return Split(mnist.train.pick(rows), mnist.test.pick(rows))


@pytest.fixture(scope="module")
def known(split):
    return fit_components(split.train)


@pytest.fixture
def digits(prepared_digits, tmp_path):
    """The file of a prepared data set, and the file of its components."""
    shutil.copytree(prepared_digits, tmp_path, dirs_exist_ok=True)
    files = "digits.safetensors", "digits-components.safetensors"
    return tuple(tmp_path / name for name in files)


def test_few_test_images_are_unlike_their_own_digit_and_most_are_unlike_another(
    known, split
):
    rows = [np.flatnonzero(split.train.labels == digit)[1::2] for digit in range(10)]
    # The threshold was fitted to these images.
    fitted = split.train.pick(np.concatenate(rows))
    fraction = known.is_unfamiliar(fitted.images, fitted.labels).mean()
    assert OOD_QUANTILE < fraction < OOD_QUANTILE + RATIO_QUANTILE
    images, labels = split.val.images, split.val.labels
    assert known.is_unfamiliar(images, labels).mean() < 0.09
    for step in (1, 4, 7):
        others = (labels + step) % 10
        assert known.is_unfamiliar(images, others).mean() > 0.9


def test_reconstruction_errors_agree_with_a_singular_value_decomposition(known, split):
    training = split.train.images[split.train.labels == 7][::2].reshape(-1, 784) / 255
    mean = training.mean(axis=0)
    axes = np.linalg.svd(training - mean, full_matrices=False)[2][:COMPONENTS]
    images = split.val.images[split.val.labels == 7][:20]
    pixels = images.reshape(-1, 784) / 255
    residuals = (pixels - mean) - (pixels - mean) @ axes.T @ axes
    expected = (residuals**2).sum(axis=1) / np.linalg.norm(pixels, axis=1)
    errors = known.reconstruction_errors(images)[:, 7]
    np.testing.assert_allclose(errors, expected, rtol=0.02)  # components have 8 bits


def test_many_images_need_little_memory(known, split):
    many = np.tile(split.val.images, (5, 1, 1))  # 30,000
    tracemalloc.start()
    known.reconstruction_errors(many)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30_000_000  # all images at once would take 180 MB


def test_both_splits_have_components_of_their_training_images(digits):
    data, path = digits
    dataset = datasets.load("digits", folder=data.parent)
    size = path.stat().st_size
    assert size < 810_000
    sha256 = dataset.file.sha256
    for how in ("exercise", "holdout"):
        stored = datasets.load_components(sha256, how, folder=data.parent)
        expected = fit_components(dataset.split(how).train)
        np.testing.assert_array_equal(stored.components, expected.components)
        np.testing.assert_array_equal(stored.means, expected.means)
        np.testing.assert_array_equal(stored.max_errors, expected.max_errors)
        assert stored.max_ratio == expected.max_ratio


def test_a_class_too_small_for_holdout_has_no_components_for_it(few, tmp_path):
    labels = np.zeros(600, np.uint8)
    labels[:2] = 1
    rare = LabeledImages(few.train.images, labels)
    file = DataFile(tmp_path / "rare.safetensors", "00ff")
    components.write_components(Dataset(file, rare, few.val))
    stored = components.read_components(file.path, data_sha256="00ff")
    assert [*stored] == ["exercise"]


def test_equal_images_give_equal_bytes_with_any_number_of_threads(digits, tmp_path):
    with threadpool_limits(2):
        counts = {pool["num_threads"] for pool in threadpool_info()}
        datasets.prepare("digits", folder=tmp_path / "threads")
    assert counts == {2}  # other tests use one thread
    for path in digits:
        assert (tmp_path / "threads" / path.name).read_bytes() == path.read_bytes()


def write_as_other_code(path):
    arrays, metadata = read_tensors(path)
    write_tensors(path, arrays, metadata | {"code": "0" * 64})


def write_another_value(path):
    arrays, metadata = read_tensors(path)
    arrays["holdout.max_ratio"] = np.array(0.5)
    write_tensors(path, arrays, metadata)


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "another value": write_another_value,
    "from other code": write_as_other_code,
    "of other data": lambda path: path.write_bytes(
        path.read_bytes().replace(b'data_sha256\\": \\"', b'data_sha256\\": \\"0')
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_components_that_do_not_fit_are_computed_again_and_nothing_else(digits, damage):
    (data, path), split = digits, "exercise"
    others = {p: p.stat().st_mtime_ns for p in data.parent.iterdir() if p != path}
    content, sha256 = path.read_bytes(), file_sha256(data)
    DAMAGES[damage](path)
    assert not path.exists() or path.read_bytes() != content
    if damage == "truncated":  # the stages `data` and `train` repair them too
        assert not datasets.prepare("digits", folder=data.parent).is_new
    else:
        assert datasets.load_components(sha256, split, folder=data.parent)
    assert path.read_bytes() == content
    assert others == {p: p.stat().st_mtime_ns for p in others}


def test_without_the_data_there_are_no_components(digits):
    data, _ = digits
    sha256 = file_sha256(data)
    for other in ("0" * 64, f"../{sha256}", "None"):
        assert datasets.load_components(other, "exercise", folder=data.parent) is None
    data.unlink()
    assert datasets.load_components(sha256, "exercise", folder=data.parent) is None
