import numpy as np
import pytest
import torch

from pipeline import datasets, evaluation
from pipeline.datasets import LabelledImages
from pipeline.evaluation import describe_result, statistics
from pipeline.evaluation.output import mistakes, plot_mistakes


def test_the_wilson_interval_agrees_with_a_published_value():
    # Brown, Cai, DasGupta (2001), Interval estimation for a binomial proportion: 5 of
    # 10 lie between 0.2366 and 0.7634.
    low, high = statistics.wilson_interval(5, 10)
    assert (low, high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert statistics.wilson_interval(17, 17)[1] == pytest.approx(1)


def test_calibration_error_is_the_mean_distance_between_confidence_and_accuracy():
    # Eight predictions with 0.9, six of them correct; two with 0.5, one correct.
    probabilities = torch.zeros(10, 10)
    probabilities[:8, 0], probabilities[8:, 0] = 0.9, 0.5
    labels = torch.tensor([0] * 6 + [1] * 2 + [0, 1])
    bins = statistics.reliability(probabilities, labels)
    assert [each.count for each in bins] == [2, 8]
    expected = 0.8 * abs(0.75 - 0.9) + 0.2 * abs(0.5 - 0.5)
    assert statistics.expected_calibration_error(bins) == pytest.approx(expected)


def evaluated(labels, predictions, confidence):
    """Return a result for images whose grey levels are their row numbers."""
    n = len(labels)
    images = np.full((n, 28, 28), np.arange(n, dtype=np.uint8)[:, None, None])
    test_set = evaluation.TestSet(
        name="few",
        data=LabelledImages(images, np.array(labels, np.uint8)),
        class_names="0123456789",
        files=[f"{row}\n.png" for row in range(n)],
        description="",
        digit_counts=np.ones(n, np.int64),
        drawn=np.ones(n, bool),
    )
    spec, sure = datasets.spec("fashion_mnist"), [None] * n
    return evaluation.EvaluationResult(
        test_set, spec, predictions, confidence, sure=sure, bins=[], metrics={}
    )


def test_mistakes_are_the_most_confident_wrong_predictions_first():
    # The first prediction is right; of the others, 3 and 1 are the most confident.
    result = evaluated([0, 1, 2, 3, 4], [0, 9, 9, 8, 9], [0.99, 0.8, 0.5, 0.9, 0.6])
    first, second, *others = mistakes(result).items()
    assert first[0] == "bag: 90.0%\nlabel: 3\n3\ufffd.png"  # named by both data sets
    assert first[1][0, 0] == 3
    assert second[0].startswith("ankle boot: 80.0%\nlabel: 1\n")
    assert len(others) == 2
    assert plot_mistakes(evaluated([0], [0], [1.0])).height < 50  # only a title


def test_the_worst_classes_and_the_most_frequent_confusions_are_described():
    labels = [0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4]
    answers = [0, 9, 9, 1, 8, 2, 3, 3, 3, 2, 5]
    text, note, *details = describe_result(evaluated(labels, answers, [1.0] * 11))
    assert text == "few: 6 of 11 images are classified correctly"
    assert note.startswith("the classes of this set differ from those of the network")
    assert details == [
        # 3 (75%) is the fourth; 2 has no error, and other classes have no images.
        "worst classes: 4 (0.0% of 1), 0 (33.3% of 3), 1 (50.0% of 2)",
        "most frequent confusions: 0 as ankle boot (2), 1 as bag (1), "
        "3 as pullover (1)",
    ]
    assert len(describe_result(evaluated([0, 0], [0, 0], [1.0] * 2))) == 2
