import numpy as np
import pytest

from pipeline.core.margin import min_margin


@pytest.mark.parametrize("count", [1, 2, 20, 1001])
def test_min_margin_is_a_quantile_between_the_two_nearest_margins(count):
    random = np.random.default_rng(count)
    probabilities = random.dirichlet(np.full(10, 0.01), size=count).astype(np.float32)
    second, first = np.sort(probabilities.astype(float), axis=1)[:, -2:].T
    quantile = np.interp(0.03 * (count - 1), range(count), sorted(first - second))
    expected = max(0.2, quantile)
    assert min_margin(probabilities) == pytest.approx(expected, abs=6e-5)
