"""A job of a sweep, which is a combination of values, and the outcome of a job."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pipeline.base import files
from pipeline.base.text import short_name, short_repr
from pipeline.core.dataset import DataFile
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.shapes import parameter_count
from pipeline.records.fingerprint import fingerprint
from pipeline.records.metric_names import VAL_ACCURACY
from pipeline.records.params import TRAINING_KEYS, params_of
from pipeline.training.run_names import run_name

MAX_REASONS = 3  # different errors in a message, and in a row of the table


@dataclass(frozen=True, repr=False)
class Job:
    """A combination of a sweep; it is trained unless it has an `error`."""

    values: Mapping[str, Any]  # by key; if there is an error, some values are invalid
    # By group, the options of all combinations with these values, such as small,wide.
    options: Mapping[str, str]
    varied: Sequence[str]  # `Command.varied`, the same in all jobs of a sweep
    error: str | None = None  # one line; None if the values are valid
    known_data_file: DataFile | None = None  # the file of the data set; None if unknown

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all settings."""
        return f"<Job {self.short_name}>"

    @property
    def data_file(self) -> DataFile:
        """The file of the data set; the values must be valid."""
        assert self.known_data_file, self.error
        return self.known_data_file

    @cached_property
    def hyperparameters(self) -> Hyperparameters:
        """The settings that determine the weights; the values must be valid."""
        return Hyperparameters(**self.values)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the training run; the values must be valid.

        Data sets with equal images and different names give the same fingerprint.
        """
        return fingerprint(self.hyperparameters, self.data_file.sha256)

    @cached_property
    def id(self) -> str:
        """The ID, which distinguishes the jobs of a sweep.

        The ID is the fingerprint if the values are valid. Otherwise, it is a hash of
        the values, with the hash of the images instead of the name of a known data set.
        """
        if not self.error:
            return self.fingerprint
        values = {key: self.values.get(key) for key in TRAINING_KEYS}
        if self.known_data_file:
            values["dataset"] = self.known_data_file.sha256
        return files.json_sha256(values)

    @property
    def params(self) -> dict[str, Any]:
        """The params of the run: the options, and the values, which can be invalid."""
        return params_of(self.values, self.options)

    @property
    def varied_values(self) -> dict[str, Any]:
        """The options and values that the sweep varies, by group and by key."""
        both = {**self.values, **self.options}
        return {name: both[name] for name in self.varied}

    @property
    def name(self) -> str:
        """The name of the run, such as "hidden=40 seed=2 epochs=5"."""
        groups = [name for name in self.varied if name in self.options]
        options = [f"{group}={self.options[group]}" for group in groups]
        return " ".join([*options, run_name(self.values, named=self.varied)])

    @property
    def short_name(self) -> str:
        """The varied values, such as "hidden=40 seed=2"."""
        return short_name(self.varied_values)

    @property
    def parameter_count(self) -> int:
        """The number of parameters of the network; `hidden` must be valid."""
        return parameter_count(self.values["hidden"])

    @property
    def tags(self) -> dict[str, str]:
        """All options of groups, and the settings that the sweep varies.

        People search for these tags, and can edit them, so no command reads them.
        """
        values = {key: str(value) for key, value in self.varied_values.items()}
        return {**self.options, **values}


@dataclass(frozen=True)
class TrainedOutcome:
    """The results of a job that was trained, by this process or earlier."""

    job: Job
    metrics: Mapping[str, float]  # the content of metrics.json
    seconds: float  # the time of all epochs
    run_id: str | None  # the ID of the MLflow run; None if not recorded
    network_path: Path  # the file of the network
    reused: bool = False  # whether the results are from an earlier run
    error = traceback = None

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all settings."""
        values = {**self.job.varied_values, "val_accuracy": self.accuracy}
        return short_repr(self, **values, run_id=self.run_id)

    @property
    def accuracy(self) -> float:
        """The accuracy on the validation images, in [0, 1]."""
        return self.metrics[VAL_ACCURACY]


@dataclass(frozen=True)
class FailedOutcome:
    """The reason why a job failed, instead of the results of a `TrainedOutcome`."""

    job: Job
    error: str  # one line
    run_id: str | None  # the ID of the MLflow run; None if not recorded
    traceback: str | None = None  # set for an error in the program
    metrics: ClassVar[Mapping[str, float]] = {}
    accuracy = seconds = network_path = None
    reused = False

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all settings."""
        values = {**self.job.varied_values, "error": self.error}
        return short_repr(self, **values, run_id=self.run_id)


Outcome = TrainedOutcome | FailedOutcome  # only the latter has an `error`
OnResult = Callable[[Outcome], object]


def failed_jobs(outcomes: Iterable[Outcome]) -> dict[str, list[Job]]:
    """Return the jobs that failed, by the error."""
    failed: dict[str, list[Job]] = {}
    for outcome in outcomes:
        if outcome.error:
            failed.setdefault(outcome.error, []).append(outcome.job)
    return failed


def all_options(options: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return all options of each group, such as "small,wide" for team."""
    found: dict[str, set[str]] = {}
    for each in options:
        for group, names in each.items():
            found.setdefault(group, set()).update(names.split(","))
    return {group: ",".join(sorted(names)) for group, names in found.items()}
