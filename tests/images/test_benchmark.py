"""The image benchmark, with few images and a network that is already trained."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from drawn_digits import KINDS, shifted, stretched

from pipeline.images.reading import gray_levels

FILE = Path(__file__).resolve().parent.parent / "benchmarks" / "images.py"


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(FILE))


def test_most_digits_of_each_kind_are_recognized(benchmark, trained, detector, mnist):
    models = [(trained.network, detector)]
    rng, drawn = np.random.default_rng(1), {}
    digits = mnist.test.pick(np.arange(2))
    for kind in KINDS:
        images = [kind(digit, rng) for digit in digits.images]
        drawn[kind.__name__] = [gray_levels(image) for image in images]
    drawn["shifted"] = [shifted(digit, rng) for digit in digits.images]
    drawn["stretched"] = [stretched(digit) for digit in digits.images]
    for name, images in drawn.items():
        findings, (predictions,) = benchmark["predict_all"](models, images)
        accuracy, *_ = benchmark["shares"](predictions, digits.labels)
        assert accuracy >= 0.5 and "" in findings, name
