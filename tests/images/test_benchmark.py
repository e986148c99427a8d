"""The image benchmark, with few images and a network that is already trained."""

import runpy
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parent.parent / "benchmarks" / "images.py"


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(FILE))


def test_most_digits_of_each_kind_are_recognized(benchmark, trained, mnist):
    models = [(trained.network, trained.detector)]
    rng, drawn = np.random.default_rng(1), {}
    digits = mnist.test.pick(np.arange(2))
    for kind in benchmark["KINDS"]:
        images = [kind(digit, rng) for digit in digits.images]
        drawn[kind.__name__] = [benchmark["gray_levels"](image) for image in images]
    for name in ("shifted", "stretched"):
        arguments = [rng] if name == "shifted" else []
        drawn[name] = [benchmark[name](image, *arguments) for image in digits.images]
    for name, images in drawn.items():
        findings, (predictions,) = benchmark["judge"](models, images)
        accuracy, *_ = benchmark["shares"](predictions, digits.labels)
        assert accuracy >= 0.5 and "" in findings, name
