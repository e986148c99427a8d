"""Straightening: slant, position, extremes, bytes that do not depend on a processor."""

import hashlib

import numpy as np
import pytest

from pipeline.datasets.upright import MEAN_SLANT, ONE, straighten


def slants(images):
    """Return the slant of each image, from its floating-point moments."""
    levels, position = images.astype(float), np.arange(28) - 13.5
    mass = levels.sum(axis=(1, 2))
    x = np.einsum("nyx,x->n", levels, position) / mass
    y = np.einsum("nyx,y->n", levels, position) / mass
    xy = np.einsum("nyx,y,x->n", levels, position, position) / mass - x * y
    yy = np.einsum("nyx,y->n", levels, position**2) / mass - y**2
    return xy / yy


def test_the_constant_is_the_mean_slant_of_the_training_images(mnist):
    assert slants(mnist.train.images).mean() * ONE == pytest.approx(MEAN_SLANT, abs=0.5)


def test_straightened_images_have_the_mean_slant(mnist):
    before = slants(mnist.test.images)
    after = slants(straighten(mnist.test.images))
    assert before.std() > 0.25
    assert np.abs(np.median(after - MEAN_SLANT / ONE)) < 0.001
    # Digits whose ink would leave the image, or with a slant above 45 degrees, differ.
    assert (np.abs(after - MEAN_SLANT / ONE) < 0.005).mean() > 0.99


def test_straightening_moves_ink_only_within_its_row(mnist):
    images = mnist.test.images
    rows = images.sum(axis=2, dtype=int)
    moved = straighten(images).sum(axis=2, dtype=int)
    assert (np.abs(rows - moved) <= 14).mean() > 0.999  # rounding, and ink at a border


def test_images_that_were_straightened_hardly_change_again(mnist):
    once = straighten(mnist.test.images)
    twice = straighten(once).astype(int)
    assert np.quantile(np.abs(twice - once), 0.999) <= 1


@pytest.mark.parametrize("rows", [[], [0], [13], [27]])
def test_blank_images_and_single_rows_do_not_change(rows):
    image = np.zeros((1, 28, 28), np.uint8)
    image[:, rows, 3:20] = 200
    assert np.array_equal(straighten(image), image)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_diagonal_of_45_degrees_becomes_almost_vertical(flipped):
    diagonal = np.eye(28, dtype=np.uint8)[None] * 255
    diagonal = diagonal[:, :, ::-1] if flipped else diagonal
    straight = straighten(diagonal)
    columns = np.flatnonzero(straight.any(axis=(0, 1)))
    assert np.ptp(columns) <= 4
    assert straight.sum() == diagonal.sum()


def test_the_bytes_are_those_of_earlier_versions_and_other_processors(mnist):
    random = np.random.default_rng(0).integers(0, 256, (500, 28, 28), np.uint8)
    images = np.concatenate([mnist.test.images[:500], random])
    # Written out, because the hash of the data set is a part of fingerprints.
    digest = hashlib.sha256(straighten(images).tobytes()).hexdigest()
    assert digest == (
        "2cbba7d55943c898e811a55c6010b3be87f5b56ac5d137527ca5371e1e079e9c"
    )


def test_no_images_give_no_images():
    assert straighten(np.zeros((0, 28, 28), np.uint8)).shape == (0, 28, 28)
