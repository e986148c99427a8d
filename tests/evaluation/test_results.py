from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline import datasets, evaluation
from pipeline.core.dataset import LabelledImages
from pipeline.evaluation import statistics
from pipeline.evaluation.output import mistakes, plot_mistakes
from pipeline.evaluation.results import EvaluationResult
from pipeline.evaluation.text import describe_result


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


def test_the_worst_classes_confusions_and_mistakes_are_described():
    labels = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4], np.uint8)
    answers = [0, 9, 9, 1, 8, 2, 3, 3, 3, 2, 5]
    confidence = [0.99, 0.5, 0.6, 0.99, 0.9, 0.99, 0.99, 0.99, 0.99, 0.8, 0.7]
    test_set = evaluation.TestSet(
        name="few",
        data=LabelledImages(np.zeros((11, 28, 28), np.uint8), labels),
        class_names="0123456789",
        files=[f"{row}\n.png" for row in range(11)],
        description="",
        digit_counts=np.ones(11, np.int64),
        drawn=np.ones(11, bool),
        problems=[],
    )
    spec, sure = datasets.spec("fashion_mnist"), [None] * 11
    result = EvaluationResult(
        test_set, spec, answers, confidence, sure=sure, bins=[], metrics={}
    )
    text, note, *details = describe_result(result)
    assert text == "few: 6 of 11 images are classified correctly"
    assert note.startswith("the classes of this set differ from those of the network")
    assert details == [
        # 3 (75%) is the fourth; 2 has no error, and other classes have no images.
        "worst classes: 4 (0.0% of 1), 0 (33.3% of 3), 1 (50.0% of 2)",
        "most frequent confusions: 0 as ankle boot (2), 1 as bag (1), "
        "3 as pullover (1)",
    ]
    first, second, *others = mistakes(result)  # the most confident ones first
    assert first == "bag: 90.0%\nlabel: 1\n4\ufffd.png"  # named by both data sets
    assert second.startswith("pullover: 80.0%\nlabel: 3\n") and len(others) == 3
    right = replace(result, predictions=labels.tolist())
    assert len(describe_result(right)) == 2
    assert plot_mistakes(right).height < 50  # only a title
