"""The fingerprint of a training run: a hash of what determines its results.

The results are the weights, the metrics, and the margin below which a prediction is
unsure. On the same type of processor, equal fingerprints mean byte-identical weights.
"""

from dataclasses import astuple

from pipeline.base.files import json_sha256
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.records.software import Software


def fingerprint(hyperparameters: Hyperparameters, data_sha256: str) -> str:
    """Return the fingerprint of a training run, 32 hexadecimal digits.

    The fingerprint depends on the hyperparameters, the sha256 of the data file and the
    `Software` of this process. It does not depend on the name of the data set.
    """
    software = astuple(Software.here())
    content = [hyperparameters.model_dump(), data_sha256, *software]
    return json_sha256(content)[:32]
