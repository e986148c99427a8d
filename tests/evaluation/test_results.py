import numpy as np

from pipeline import datasets, evaluation
from pipeline.datasets import LabelledImages


def test_mistakes_are_the_most_confident_wrong_predictions_first():
    spec, n = datasets.spec("fashion_mnist"), 5
    images = np.arange(n, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    test_set = evaluation.TestSet(
        name="few",
        data=LabelledImages(images, np.array([0, 1, 2, 3, 4], np.uint8)),
        class_names="0123456789",
        files=[f"{row}\n.png" for row in range(n)],
        description="",
        digit_counts=np.ones(n, np.int64),
        drawn=np.ones(n, bool),
    )
    # The first prediction is right; of the others, 3 and 1 are the most confident.
    predictions, confidence = [0, 9, 9, 8, 9], [0.99, 0.8, 0.5, 0.9, 0.6]
    result = evaluation.EvaluationResult(
        test_set, spec, predictions, confidence, sure=[None] * n, bins=[], metrics={}
    )
    first, second = result.mistakes(2)
    assert (first["file"], second["file"]) == ("3\ufffd.png", "1\ufffd.png")
    assert (first["label"], first["answer"]) == ("3", "bag")
    assert first["confidence"] == 0.9 and first["picture"].getpixel((0, 0)) == 3
    wrong = [row["confidence"] for row in result.mistakes(10)]
    assert wrong == [0.9, 0.8, 0.6, 0.5]
