"""The metadata in the file of a network that `homework` wrote for a student."""

import re

from pydantic import Field

from pipeline.model import Metadata
from pipeline.teaching.assignment import pytorch
from pipeline.training.training_run import TrainingRun


class HomeworkMetadata(Metadata):
    """Metadata with two more records; None if another command wrote the file."""

    # The version of PyTorch that trained the network, such as 2.13.0.
    torch: str | None = Field(default=None, pattern=re.compile(r"^[\w.]{1,40}\Z"))
    # The `tensors_sha256` when the file was written. It shows whether the weights were
    # edited; the hash of a network is always computed.
    weights_sha256: str | None = None

    @classmethod
    def of(cls, training: TrainingRun) -> "HomeworkMetadata":
        """Return the metadata of a network that was trained now."""
        sha256 = training.trained.weights_sha256
        return cls(**dict(training.metadata), torch=pytorch(), weights_sha256=sha256)
