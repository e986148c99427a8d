import numpy as np
import pytest
import torch

from pipeline import datasets
from pipeline.core.dataset import Split
from pipeline.core.margin import margin, min_margin
from pipeline.datasets.components import fit_components
from pipeline.evaluation import Predictions
from pipeline.images import ImageSet, PreprocessedImages
from pipeline.model import OodDetector


@pytest.fixture(scope="module")
def split(mnist):
    rows = np.arange(6000)
    return Split(mnist.train.pick(rows), mnist.test.pick(rows))


@pytest.fixture(scope="module")
def detector(trained, split):
    margin = min_margin(trained.network, split.train)
    return OodDetector(fit_components(split.train), margin)


def test_unsure_predictions_contain_more_than_their_share_of_the_errors(
    detector, trained, split
):
    probabilities = trained.network.predict(split.val.images)
    classes = probabilities.argmax(axis=1)
    wrong = classes != split.val.labels
    outside = detector.components.is_unfamiliar(split.val.images, classes)
    assert outside[wrong].mean() > 5 * outside[~wrong].mean()
    close = margin(probabilities) < detector.min_margin
    assert close.mean() < 0.1 and close[wrong].mean() > 0.3


def test_the_first_rule_that_applies_is_the_reason(detector):
    noise = np.random.default_rng(1).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    logits = torch.zeros(1, 10)  # all classes are equally probable: close
    assert detector.reasons(noise, logits) == ["unfamiliar"]


def test_an_unsure_prediction_has_its_reason(detector, few):
    seven = few.val.images[0]
    noise = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    images = np.stack([seven, seven, seven, noise, 0 * seven, seven])
    findings = ["", "", "several objects", "", "blank", "unusual"]
    probabilities = torch.full((6, 10), 1e-9)
    probabilities[:, 7] = 1
    probabilities[1, [4, 7, 9]] = torch.tensor([0.4, 0.5, 0.1])
    logits = probabilities.log()
    unsure = detector.reasons(images, logits)
    reasons = [found or why for found, why in zip(findings, unsure, strict=True)]
    assert reasons == [
        "",
        "small margin",
        "several objects",
        "unfamiliar",
        "blank",
        "unusual",
    ]
    source = ImageSet("six", "", [""] * 6, [None] * 6, images, "preprocessed")
    preprocessed = PreprocessedImages(source, images, findings, (), how="")
    spec = datasets.spec("fashion_mnist")
    predictions = Predictions(preprocessed, spec, logits, [*reasons, None])
    unfamiliar = "the image does not look like the sneaker images in the training data"
    assert [predictions.doubt(row) for row in range(6)] == [
        "",
        "coat is a close second (40.0%)",  # second to 7, the sneaker
        "there is more than one garment or object",
        unfamiliar,
        "the image is blank",
        "the strokes are unusual for a garment",
    ]
