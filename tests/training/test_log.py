import numpy as np

from pipeline.training.log import tensor_statistics


def test_statistics_of_a_tensor():
    tensor = np.array([[3.0, 0.0], [-4.0, 0.0]], np.float32)
    statistics = tensor_statistics({"kernel": tensor})
    expected = {"norm": 5, "min": -4, "max": 3, "zeros": 0.5}
    assert statistics == {f"weights/kernel/{key}": x for key, x in expected.items()}
