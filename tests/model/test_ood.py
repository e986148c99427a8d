import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipeline import datasets
from pipeline.model import ood


@pytest.fixture(scope="module")
def split(mnist):
    rows = np.arange(6000)
    return datasets.Split(mnist.train.pick(rows), mnist.test.pick(rows))


@pytest.fixture(scope="module")
def detector(trained, split):
    images, labels = split.train.images, split.train.labels
    margin = ood.smallest_margin(trained.network, images)
    return replace(ood.fit_components(images, labels), min_margin=margin)


def rejected(detector, images, classes):
    return detector.reconstruction_error(images, classes) > detector.max_error


def test_few_images_are_rejected_as_their_own_digit_and_many_as_another(
    detector, split
):
    rows = [np.flatnonzero(split.train.labels == digit)[1::2] for digit in range(10)]
    fitted = split.train.pick(np.concatenate(rows))  # to which the threshold was fitted
    fraction = rejected(detector, fitted.images, fitted.labels).mean()
    assert fraction == pytest.approx(ood.OOD_QUANTILE, abs=0.001)
    images, labels = split.val.images, split.val.labels
    assert rejected(detector, images, labels).mean() < 0.06
    for step in range(1, 10):
        others = (labels + step) % 10
        assert rejected(detector, images, others).mean() > 0.4


def test_unsure_answers_contain_more_than_their_share_of_the_errors(
    detector, trained, split
):
    probabilities = trained.network.predict(split.val.images).numpy()
    answers = probabilities.argmax(axis=1)
    wrong = answers != split.val.labels
    outside = rejected(detector, split.val.images, answers)
    assert outside[wrong].mean() > 5 * outside[~wrong].mean()
    close = ood.margin(probabilities) < detector.min_margin
    assert close.mean() < 0.1 and close[wrong].mean() > 0.3


def test_reconstruction_errors_agree_with_a_singular_value_decomposition(
    detector, split
):
    training = split.train.images[split.train.labels == 7][::2].reshape(-1, 784) / 255
    mean = training.mean(axis=0)
    axes = np.linalg.svd(training - mean, full_matrices=False)[2][: ood.COMPONENTS]
    images = split.val.images[split.val.labels == 7][:20]
    pixels = images.reshape(-1, 784) / 255
    residuals = (pixels - mean) - (pixels - mean) @ axes.T @ axes
    expected = (residuals**2).sum(axis=1) / np.linalg.norm(pixels, axis=1)
    errors = detector.reconstruction_error(images, np.full(len(images), 7))
    np.testing.assert_allclose(errors, expected, rtol=0.02)  # components have 8 bits


def test_many_images_need_little_memory(detector, split):
    many = np.tile(split.val.images, (5, 1, 1))  # 30,000
    tracemalloc.start()
    detector.reconstruction_error(many, np.zeros(len(many), int))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30_000_000  # at once they would take 180 MB


def test_a_doubt_names_its_reason(detector, few):
    seven = few.val.images[0]
    noise = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    images = np.stack([seven, seven, seven, noise, 0 * seven, seven])
    counts, drawn = np.array([1, 1, 2, 1, 0, 1]), np.arange(6) < 5
    answers = np.zeros((6, 10), np.float32)
    answers[:, 7] = 1
    answers[1, [4, 7, 9]] = 0.4, 0.1, 0.5
    spec = datasets.spec("fashion_mnist")
    unlike = "the image does not look like the sneaker images it was trained on"
    assert detector.doubts(images, answers, counts, drawn, spec=spec) == [
        "",
        "coat is close (40.0%)",  # to 9, the ankle boot
        "there is more than one garment",
        unlike,
        "the image is blank",
        unlike,  # not drawn with a pen
    ]
    assert ood.images_of("7") == "7s"
