from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import Dataset, LabelledImages, summary


def test_the_description_has_the_known_statistics_of_mnist(mnist):
    described = mnist.describe()
    # 0.1307 and 0.3081 are the constants of PyTorch's MNIST example.
    assert described["pixels"]["mean"] == pytest.approx(0.1307, abs=5e-5)
    assert described["pixels"]["std"] == pytest.approx(0.3081, abs=5e-5)
    # The label counts are those of Yann LeCun's files.
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert described["train"] == {"images": 60_000, "per_class": train}
    assert described["test"] == {"images": 10_000, "per_class": test}
    unused = described["never_lit"]
    used = mnist.train.images.reshape(-1, 784).any(axis=0)
    assert len(unused) == 67 and not used[unused].any() and used.sum() == 784 - 67
    assert summary(mnist.path) == {**described, "origin": {}}


def test_means_are_the_mean_images_of_the_classes(few):
    data = Dataset(Path("few.safetensors"), "", few.train, few.val)
    for label, mean in data.means().items():
        images = few.train.images[few.train.labels == label].astype(np.float64)
        assert np.abs(images.mean(axis=0) - mean).max() <= 0.5  # rounded


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


def test_holdout_of_too_few_images_is_refused(few):
    rare = LabelledImages(few.train.images, np.zeros(600, np.uint8))
    rare.labels[:2] = 1
    data = Dataset(Path("rare.safetensors"), "", rare, few.val)
    with pytest.raises(ValueError, match="rare has 2 of class 1"):
        data.split("holdout")
