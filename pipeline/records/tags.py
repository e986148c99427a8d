"""The tags of runs, and the values of a run's kind and status."""

from collections.abc import Iterable
from enum import StrEnum

PROJECT_TAG = "version.digit-pipeline"  # set on each run that this project records
KIND_TAG = "kind"  # a `Kind`
FINGERPRINT_TAG = "fingerprint"  # see `records.fingerprint`
VALUES_TAG = "values.sha256"  # the `Job.id` of a job with invalid values
DATA_TAG = "data.sha256"  # the SHA-256 hash of the file of the data set
WEIGHTS_TAG = "weights.sha256"  # see `tensors_sha256`
PROCESSOR_TAG = "processor"  # the processor that trained the network
HOST_TAG = "host"
PARENT_TAG = "mlflow.parentRunId"  # set on a child of a sweep
SWEEP_TAG = "sweep"  # the `sweep_key`; also of the children
SWEPT_TAG = "swept"  # the groups and settings that a sweep varies: "team,hidden,seed"
REUSED_TAG = "reused_from"  # the ID of the trained run that was reused
CHECKPOINT_TAG = "checkpoint"  # the ID of the checkpoint
REPRODUCES_TAG = "reproduces"  # the ID of the run that was trained again
REPRODUCED_TAG = "reproduced"  # "true" if the weights are byte-identical, or "false"
COPY_TAG = "copy.of"  # the ID of the original of a run or model
COPIED_TAG = "copy.sha256"  # a hash of the complete copy; see `copies.sender`
ERROR_TAG = "error"  # why a run failed
MAX_TAG_LENGTH = 8000  # characters; MLflow truncates a longer text
NOTE_TAG = "mlflow.note.content"  # the description of a run or an experiment
# The links and results of the description. MLflow's pages hide tags with this prefix.
ENTRIES_TAG = "mlflow.note.entries"
# The tags that contain IDs of runs. In a copy, these are the IDs of copies.
RUN_TAGS = (PARENT_TAG, REUSED_TAG, REPRODUCES_TAG)  # tags with a single ID
ID_TAGS = frozenset({*RUN_TAGS, NOTE_TAG, ENTRIES_TAG})
COMMIT_TAG = "git.commit"
DIFF_TAG = "git.diff"  # the SHA-256 hash of code.diff, or "none"
MLFLOW_COMMIT_TAG = "mlflow.source.git.commit"  # the commit, as MLflow records it
PYTHON_TAG = "version.python"
TORCH_TAG = "version.torch"
COMMAND_TAG = "command"
USER_TAG = "mlflow.user"
SOURCE_NAME_TAG = "mlflow.source.name"
SOURCE_TYPE_TAG = "mlflow.source.type"
DVC_TAG = "dvc.experiment"  # the name of the DVC experiment
# The tags of `tracking.provenance`. A config group may be named "git" or "version".
PROVENANCE_TAGS = (COMMAND_TAG, DVC_TAG, HOST_TAG, PROCESSOR_TAG, USER_TAG)
PROVENANCE_PREFIXES = ("git.", "version.", "mlflow.source.")
# The tags of this project that not every start of a run sets.
OPTIONAL_TAGS = (ERROR_TAG, DIFF_TAG, MLFLOW_COMMIT_TAG, DVC_TAG)


class Kind(StrEnum):
    """The kind of a run."""

    TRAINING = "training"
    SWEEP = "sweep"
    EVALUATION = "evaluation"  # for a network whose training run is not recorded


class Status(StrEnum):
    """The status of a run, which is not a tag."""

    SCHEDULED = "SCHEDULED"  # set only by other programs
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"  # after an error, or with failed children
    KILLED = "KILLED"  # after an interrupt, or by the system


OPEN = (Status.RUNNING, Status.SCHEDULED)  # the statuses of a run that has not ended


def outdated(before: Iterable[str], now: Iterable[str]) -> set[str]:
    """Return the tags of earlier starts of a run that its last start does not set."""
    return {*before} & {*OPTIONAL_TAGS} - {*now}
