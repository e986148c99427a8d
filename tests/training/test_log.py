import subprocess
import sys

import numpy as np

from pipeline import paths
from pipeline.training.log import tensor_statistics


def test_statistics_of_a_tensor():
    tensor = np.array([[3.0, 0.0], [-4.0, 0.0]], np.float32)
    statistics = tensor_statistics({"kernel": tensor})
    expected = {"norm": 5, "min": -4, "max": 3, "zeros": 0.5}
    assert statistics == {f"weights/kernel/{key}": x for key, x in expected.items()}


def test_the_process_that_records_does_not_import_pytorch():
    modules = "pipeline.training.log, pipeline.tracking.mlflow_tracker"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=paths.ROOT)
