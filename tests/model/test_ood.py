import numpy as np
import pytest

from pipeline import datasets, unsure
from pipeline.core.dataset import Split
from pipeline.core.margin import margin, smallest_margin
from pipeline.datasets.components import fit_components
from pipeline.model import OodDetector


@pytest.fixture(scope="module")
def split(mnist):
    rows = np.arange(6000)
    return Split(mnist.train.pick(rows), mnist.test.pick(rows))


@pytest.fixture(scope="module")
def detector(trained, split):
    margin = smallest_margin(trained.network.predict(split.train.images).numpy())
    return OodDetector(fit_components(split.train), margin)


def test_unsure_answers_contain_more_than_their_share_of_the_errors(
    detector, trained, split
):
    probabilities = trained.network.predict(split.val.images).numpy()
    answers = probabilities.argmax(axis=1)
    wrong = answers != split.val.labels
    known = detector.components
    errors = known.reconstruction_error(split.val.images, answers)
    outside = errors > known.max_error
    assert outside[wrong].mean() > 5 * outside[~wrong].mean()
    close = margin(probabilities) < detector.min_margin
    assert close.mean() < 0.1 and close[wrong].mean() > 0.3


def test_a_doubt_names_its_reason(detector, few):
    seven = few.val.images[0]
    noise = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    images = np.stack([seven, seven, seven, noise, 0 * seven, seven])
    findings = ["", "", "several", "", "blank", "not drawn"]
    answers = np.zeros((6, 10), np.float32)
    answers[:, 7] = 1
    answers[1, [4, 7, 9]] = 0.4, 0.1, 0.5
    spec = datasets.spec("fashion_mnist")
    unlike = "the image does not look like the sneaker images it was trained on"
    assert detector.doubts(images, answers, findings, spec=spec) == [
        "",
        "coat is close (40.0%)",  # to 9, the ankle boot
        "there is more than one garment",
        unlike,
        "the image is blank",
        unlike,  # not drawn with a pen
    ]
    assert unsure.images_of("7") == "7s"
