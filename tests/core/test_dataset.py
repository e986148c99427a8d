import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import UserError
from pipeline.core.dataset import DataFile, Dataset, LabeledImages


def test_data_sets_are_equal_only_to_themselves(mnist):
    split = mnist.split("exercise")
    for data, other in (
        (mnist, mnist.file.read()),
        (mnist.train, mnist.train.pick(slice(None))),
        (split, mnist.split("exercise")),
    ):
        assert data == data and data != other and len({data, other}) == 2


def test_a_data_file_that_was_replaced_after_its_verification_is_not_read(mnist):
    assert mnist.file.read().file == mnist.file
    with pytest.raises(UserError, match="replaced while this command was running"):
        replace(mnist.file, sha256="0" * 64).read()


def test_exercise_validates_on_test_images_and_holdout_on_500_of_each_class(mnist):
    exercise, holdout = mnist.split("exercise"), mnist.split("holdout")
    assert exercise.train is mnist.train and exercise.val is mnist.test
    assert np.bincount(holdout.val.labels).tolist() == [500] * 10
    for label in range(10):
        train, val, both = (
            part.images[part.labels == label]
            for part in (holdout.train, holdout.val, mnist.train)
        )
        np.testing.assert_array_equal(np.concatenate([train, val]), both)
    assert mnist.split("holdout") is holdout  # 43 MB, only once


@pytest.mark.parametrize(
    ("count", "size"), [(0, 0), (600, 600), (39_999, 39_999), (60_000, 20_000)]
)
def test_a_sample_has_all_images_or_evenly_spaced_ones(count, size):
    rows = np.arange(count)
    images = np.broadcast_to(rows[:, None, None], (count, 28, 28))
    sample = LabeledImages(images, rows.astype(np.uint8)).sample()
    assert len(sample) == len(sample.images) == size
    assert len({*np.diff(sample.images[:, 0, 0])}) <= 1


def test_holdout_of_too_few_images_is_rejected(few):
    rare = LabeledImages(few.train.images, np.zeros(600, np.uint8))
    rare.labels[:2] = 1
    data = Dataset(DataFile(Path("rare.safetensors"), ""), rare, few.val)
    with pytest.raises(UserError, match="got 2 of class 1"):
        data.split("holdout")
    small = Dataset(data.file, few.train.pick(slice(119)), few.val)
    with pytest.raises(UserError, match=r"at least 120 training images .*, got 119"):
        small.split("holdout")


def test_an_unknown_split_is_rejected(small_dataset):
    with pytest.raises(ValueError, match=r"split must be one of .*, got 'test'"):
        inspect.unwrap(Dataset.split)(small_dataset, "test")  # no type checks
