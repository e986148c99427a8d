"""The names of the tags by which this project finds its runs; their kind and status."""

from enum import StrEnum

PROJECT_TAG = "version.digit-pipeline"  # of each run that this project records
KIND_TAG = "kind"  # a `Kind`
FINGERPRINT_TAG = "fingerprint"  # see `core.fingerprint`
DATA_TAG = "data.sha256"  # of the file of the data set
WEIGHTS_TAG = "weights.sha256"  # see `tensors_sha256`
PROCESSOR_TAG = "processor"  # that trained the network
HOST_TAG = "host"
PARENT_TAG = "mlflow.parentRunId"  # of a child of a sweep
SWEEP_TAG = "sweep"  # of a sweep and of its children: the `sweep_key`
REUSED_TAG = "reused_from"  # of a reused run: the id of the one that was trained
CHECKPOINT_TAG = "checkpoint"  # the id of the checkpoint
REPRODUCES_TAG = "reproduces"  # the id of the run that was trained again
REPRODUCED_TAG = "reproduced"  # whether that gave the same bytes: "true" or "false"
COPY_TAG = "copy.of"  # of a run or model on a server: the id of its original
ERROR_TAG = "error"  # of a failed run


class Kind(StrEnum):
    """What a run records."""

    TRAINING = "training"
    SWEEP = "sweep"
    EVALUATION = "evaluation"  # of a network without a run


class Status(StrEnum):
    """The status of a run, which is not a tag; other programs also use SCHEDULED."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"  # after an exception
    KILLED = "KILLED"  # after an interrupt, or by the system
