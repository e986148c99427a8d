import numpy as np
import pytest

from pipeline.core.margin import min_margin


@pytest.mark.parametrize("count", [1, 2, 20, 1001])
def test_min_margin_is_a_quantile_as_numpy_defines_it(count):
    random = np.random.default_rng(count)
    probabilities = random.dirichlet(np.full(10, 0.01), size=count).astype(np.float32)
    second, first = np.sort(probabilities.astype(float), axis=1)[:, -2:].T
    expected = max(0.2, np.quantile(first - second, 0.03))
    assert min_margin(probabilities) == pytest.approx(expected, abs=6e-5)
