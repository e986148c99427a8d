import tracemalloc

import numpy as np
import pytest

from pipeline import datasets
from pipeline.model import ood, storage
from pipeline.training.loop import train


@pytest.fixture(scope="module")
def split(mnist):
    rows = np.arange(6000)
    return datasets.Split(mnist.train.pick(rows), mnist.test.pick(rows))


@pytest.fixture(scope="module")
def network(split):
    return train(split, hidden=20, epochs=5, batch_size=32, lr=0.001, seed=1)[0]


@pytest.fixture(scope="module")
def known(network, split):
    return ood.fit_detector(network, split.train.images, split.train.labels)


def answers_of(network, images):
    return network.predict(images).numpy().argmax(axis=1)


def test_few_pictures_are_unlike_their_own_digit(known, split):
    own = [np.flatnonzero(split.train.labels == digit)[1::2] for digit in range(10)]
    others = split.train.pick(np.concatenate(own))  # those that shaped the threshold
    strange = known.out_of_distribution(others.images, others.labels)
    assert strange.mean() == pytest.approx(ood.OOD_QUANTILE, abs=0.001)
    assert known.out_of_distribution(split.val.images, split.val.labels).mean() < 0.06


def test_a_picture_is_unlike_the_other_digits(known, split):
    for step in range(1, 10):
        others = (split.val.labels + step) % 10
        assert known.out_of_distribution(split.val.images, others).mean() > 0.4


def test_what_is_misread_is_often_unlike_what_it_is_called(known, network, split):
    answers = answers_of(network, split.val.images)
    wrong = answers != split.val.labels
    strange = known.out_of_distribution(split.val.images, answers)
    assert strange[wrong].mean() > 5 * strange[~wrong].mean()


def test_pictures_without_a_digit_are_unlike_any(known, network, few):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (100, 28, 28)).astype(np.uint8)
    shuffled = rng.permuted(few.val.images.reshape(300, 784), axis=1)
    blank = np.zeros((10, 28, 28), np.uint8)
    for images in (noise, shuffled.reshape(300, 28, 28)):
        assert known.out_of_distribution(images, answers_of(network, images)).all()
    assert known.out_of_distribution(blank, np.arange(10)).all()


def test_close_answers_hold_more_than_their_share_of_the_mistakes(
    known, network, split
):
    answers = network.predict(split.val.images).numpy()
    wrong = answers.argmax(axis=1) != split.val.labels
    close = known.is_close(answers)
    assert close.mean() < 0.1
    assert close[wrong].mean() > 0.3


def test_unexplained_agrees_with_least_squares(known, few):
    images, labels = few.val.images[:20], few.val.labels[:20]
    found = ood.reconstruction_error(
        images, labels, means=known.means, components=known.components
    )
    for image, label, strange in zip(images, labels, found, strict=True):
        pixels = image.reshape(784) / 255
        basis = known.components[label].astype(float).T
        centred = pixels - known.means[label] / 255
        left = centred - basis @ np.linalg.lstsq(basis, centred)[0]
        expected = np.linalg.norm(left) ** 2 / np.linalg.norm(pixels)
        assert strange == pytest.approx(expected, rel=0.02)  # 8 bits are not quite


def test_components_are_those_of_a_singular_value_decomposition(split):
    sevens = split.train.images[split.train.labels == 7]
    mean, found = ood.principal_components(sevens)
    pixels = sevens.reshape(-1, 784).astype(float)
    np.testing.assert_array_equal(mean, pixels.mean(axis=0).round())
    axes = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)[2]
    unit = found / np.linalg.norm(found.astype(float), axis=1, keepdims=True)
    assert np.abs((unit[:20] * axes[:20]).sum(axis=1)).min() > 0.999
    assert np.abs(found).max(axis=1).tolist() == [127] * ood.COMPONENTS


def test_of_few_pictures_there_are_few_components(split):
    for count, few in ((0, 0), (1, 0), (3, 2)):
        _, found = ood.principal_components(split.train.images[:count])
        assert found.any(axis=1).sum() == few


def test_the_order_of_the_pictures_hardly_matters(known, network, split):
    own = [np.flatnonzero(split.train.labels == digit)[:500] for digit in range(10)]
    cyclic = split.train.pick(np.stack(own, axis=1).ravel())  # 0, 1, ... 9, 0, 1, ...
    assert cyclic.labels[:12].tolist() == [*range(10), 0, 1]
    found = ood.fit_detector(network, cyclic.images, cyclic.labels)
    assert found.components.any(axis=2).all()
    assert found.max_error == pytest.approx(known.max_error, rel=0.1)


def test_many_pictures_are_judged_in_little_memory(known, split):
    many = np.tile(split.val.images, (5, 1, 1))  # 30,000
    tracemalloc.start()
    known.out_of_distribution(many, np.zeros(len(many), int))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30_000_000  # at once they would take 180 MB


def test_a_handful_of_pictures_and_blank_ones_can_be_learned(network, split):
    for images in (split.train.images[:1], 0 * split.train.images[:40]):
        found = ood.fit_detector(network, images, split.train.labels[: len(images)])
        assert np.isfinite([found.max_error, found.min_margin]).all()


def test_reasons_are_given_in_words(known, few):
    sevens = np.stack([few.val.images[0]] * 4 + [0 * few.val.images[0]] * 2)
    sevens[5] = sevens[0]  # what a pen can't have made
    sevens[3] = np.random.default_rng(1).integers(0, 256, (28, 28))
    answers = np.zeros((6, 10), np.float32)
    answers[:, 7] = 1
    answers[1, [4, 7, 9]] = 0.4, 0.1, 0.5
    verdicts = known.judge(
        sevens, answers, np.array([1, 1, 2, 1, 0, 1]), np.arange(6) < 5
    )
    assert [(said.digit, said.sure, said.reason) for said in verdicts] == [
        (7, True, ""),
        (9, False, "close between 9 and 4"),
        (7, False, "more than one digit"),
        (7, False, "the image does not look like the 7s in the training data"),
        (7, False, "blank"),
        (7, False, "the image does not look like the 7s in the training data"),
    ]


def test_it_is_kept_in_a_small_file_of_the_same_bytes(tmp_path, known, network, split):
    path = tmp_path / "familiar.safetensors"
    first = ood.save_detector(path, known, network="a hash")
    assert path.stat().st_size < 410_000
    again = ood.fit_detector(network, split.train.images, split.train.labels)
    assert ood.save_detector(path, again, network="a hash") == first
    read = ood.load_detector(path, network="a hash")
    some = split.val.images[:100], split.val.labels[:100]
    np.testing.assert_array_equal(
        read.out_of_distribution(*some), known.out_of_distribution(*some)
    )
    assert read.min_margin == known.min_margin


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing: python -m pipeline\.train"):
        ood.load_detector(tmp_path / "familiar.safetensors", network="a hash")


def test_what_is_familiar_to_another_network_judges_none(tmp_path, known):
    path = tmp_path / "familiar.safetensors"
    ood.save_detector(path, known, network="a hash")
    with pytest.raises(ValueError, match="belongs to another network"):
        ood.load_detector(path, network="another hash")


def test_a_file_of_an_earlier_version_says_what_to_do(tmp_path):
    path = tmp_path / "familiar.safetensors"
    arrays = {"mean": np.zeros(784, np.float16)}
    storage.write_tensors(path, arrays, {"network": "a hash"})
    with pytest.raises(
        ValueError, match=r"no 'means'.*: python -m pipeline\.train makes"
    ):
        ood.load_detector(path, network="a hash")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("most_unexplained", -1),
        ("most_unexplained", 10**400),
        ("least_margin", float("nan")),
        ("k", 0),
    ],
)
def test_what_is_no_threshold_or_component_is_refused(tmp_path, known, key, value):
    path = tmp_path / "familiar.safetensors"
    thresholds = {"most_unexplained": 1.5, "least_margin": 0.3, "network": "a hash"}
    axes = known.components[:, : 0 if key == "k" else None]
    arrays = {"means": known.means, "components": axes}
    storage.write_tensors(path, arrays, {**thresholds, key: value})
    with pytest.raises(ValueError, match=r"familiar\.safetensors is damaged: "):
        ood.load_detector(path, network="a hash")
