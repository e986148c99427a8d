"""The data that other packages pass to a run.

Runs in the main process and in the recorder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.records.tags import Status

Params = Mapping[str, Any]  # see `records.params`; MLflow stores them as text
Tags = Mapping[str, str]
Metrics = Mapping[str, float | int]


def final_status(error: BaseException) -> tuple[Status, str | None]:
    """Return the status of a run after an error, and the error; None if KILLED."""
    if isinstance(error, Exception):
        return Status.FAILED, f"{type(error).__name__}: {error}"
    return Status.KILLED, None


@dataclass(frozen=True)
class RunStart:
    """The data that is recorded when a run is opened."""

    name: str
    params: Params
    tags: Tags  # including the `provenance.tags` of the process that trains
    time: int  # in milliseconds since 1970; of a training run: the time of epoch 0
    diff: str = ""  # the diff of the `CodeState` of this process
    resume: str | None = None  # the run that is opened again; None for a new run


class StepMetrics(NamedTuple):
    """Metrics with the step and the time that MLflow stores, such as those of an epoch.

    An `Epoch` also has the network's tensors. A `MetricPoint` is one of the values, as
    read from the database.
    """

    step: int  # the number of the epoch, if the metrics belong to an epoch
    time: int  # in milliseconds since 1970
    metrics: Metrics


class ModelData(NamedTuple):
    """The data of an MLflow model: a network, and metrics that its run already has."""

    network: Path  # the file of the network
    exported: Path  # the same network as a program, for `mlflow.pytorch.load_model`
    points: Sequence[StepMetrics]
    dataset: str  # the name of the data set with which the metrics were measured
    data_sha256: str  # the hash of this data set
