import pytest
import torch

from pipeline.evaluation import statistics


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
