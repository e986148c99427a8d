import numpy as np
import pytest

from pipeline import datasets, familiar
from pipeline.loop import train


@pytest.fixture(scope="module")
def split(mnist):
    rows = np.arange(6000)
    return datasets.Split(mnist.train.pick(rows), mnist.test.pick(rows))


@pytest.fixture(scope="module")
def network(split):
    return train(split, hidden=20, epochs=5, batch_size=32, lr=0.001, seed=1)[0]


@pytest.fixture(scope="module")
def known(network, split):
    return familiar.learn(network, split.train.images)


def test_few_digits_are_unlike_the_training_pictures(known, split):
    assert known.unlike(split.train.images).mean() == pytest.approx(0.03, abs=0.001)
    assert known.unlike(split.val.images).mean() < 0.08  # components of 6,000 pictures


def test_pictures_without_a_digit_are_unlike_any(known, few):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (100, 28, 28)).astype(np.uint8)
    shuffled = rng.permuted(few.val.images.reshape(300, 784), axis=1)
    assert known.unlike(noise).all()
    assert known.unlike(shuffled.reshape(300, 28, 28)).all()
    assert known.unlike(np.zeros((1, 28, 28), np.uint8)).all()


def test_close_answers_hold_more_than_their_share_of_the_mistakes(
    known, network, split
):
    answers = network.predict(split.val.images).numpy()
    wrong = answers.argmax(axis=1) != split.val.labels
    close = known.close(answers)
    assert close.mean() < 0.1
    assert close[wrong].mean() > 0.3


def test_unexplained_agrees_with_least_squares(known, few):
    pixels = few.val.images[:5].reshape(5, 784) / 255
    basis = known.components.astype(np.float64)
    centred = pixels - known.mean
    weights = np.linalg.lstsq(basis.T, centred.T)[0]
    rest = centred - (basis.T @ weights).T
    expected = np.linalg.norm(rest, axis=1) / np.linalg.norm(pixels, axis=1)
    found = familiar.unexplained(
        few.val.images[:5], mean=known.mean, components=known.components
    )
    np.testing.assert_allclose(found, expected, rtol=0.01)


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
        (7, False, "unlike any digit seen"),
        (7, False, "blank"),
        (7, False, "unlike any digit seen"),
    ]


def test_it_is_kept_in_a_small_file_of_the_same_bytes(tmp_path, known, network, split):
    path = tmp_path / "familiar.safetensors"
    first = familiar.save(path, known, network="a hash")
    assert path.stat().st_size < 300_000
    again = familiar.learn(network, split.train.images)
    assert familiar.save(path, again, network="a hash") == first
    read = familiar.load(path, network="a hash")
    images = split.val.images[:100]
    np.testing.assert_array_equal(read.unlike(images), known.unlike(images))
    assert read.least_margin == known.least_margin


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing: python -m pipeline\.train"):
        familiar.load(tmp_path / "familiar.safetensors", network="a hash")


def test_what_is_familiar_to_another_network_judges_none(tmp_path, known):
    path = tmp_path / "familiar.safetensors"
    familiar.save(path, known, network="a hash")
    with pytest.raises(ValueError, match="belongs to another network"):
        familiar.load(path, network="another hash")
