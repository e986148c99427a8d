"""The jobs of a sweep, which are the combinations of its values, and their outcomes.

Neither MLflow nor PyTorch is imported, so that the workers start first.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import datasets
from pipeline.base import files
from pipeline.base.metric_names import VAL_ACCURACY
from pipeline.base.text import as_file_name, printable, short_repr
from pipeline.cli import (
    TRAINING_KEYS,
    Combination,
    Command,
    Interval,
    TrainConfig,
    committed_defaults,
    run_name,
)
from pipeline.core.fingerprint import fingerprint
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.shapes import parameter_count
from pipeline.datasets import DataFile

MAX_NAMED = 8  # values of a key in the name of a sweep


@dataclass(frozen=True)
class Job(Combination[TrainConfig]):
    """A combination that a sweep trains unless it is invalid; see `ValidJob`."""

    varied: Sequence[str] = ()  # the settings that the sweep varies
    groups: Sequence[str] = ()  # the groups that it varies

    def with_data(self, data: DataFile) -> "ValidJob":
        """Return this job, which is valid, with the name of its data set."""
        assert self.config
        # The name of a run is that of the sweep.
        update = {"dataset": data.name, "run_name": None}
        config = self.config.model_copy(update=update)
        values = {**self.values, **update}
        fields = {**vars(self), "values": values, "config": config}
        return ValidJob(**fields, data=data)

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all settings."""
        return f"<Job {self.short_name}>"

    @property
    def swept(self) -> dict[str, Any]:
        """The choices and values that the sweep varies, by group and by key."""
        choices = {group: self.choices[group] for group in self.groups}
        return choices | {key: self.values[key] for key in self.varied}

    @property
    def name(self) -> str:
        """The name of its run, such as "hidden=40 seed=2 epochs=5"."""
        choices = [f"{group}={self.choices[group]}" for group in self.groups]
        return " ".join([*choices, run_name(self.values, named=self.varied)])

    @property
    def short_name(self) -> str:
        """What the sweep varies, such as "hidden=40 seed=2"."""
        return short_name(self.swept)

    @property
    def key(self) -> str:
        """What distinguishes the jobs of a sweep: a hash of its varied settings."""
        return files.json_sha256({key: self.values[key] for key in self.varied})

    @property
    def parameter_count(self) -> int:
        """The number of parameters of its network; `hidden` must be valid."""
        return parameter_count(self.values["hidden"])

    @property
    def tags(self) -> dict[str, str]:
        """All choices of groups, and the settings that the sweep varies."""
        return {**self.choices, **{key: str(x) for key, x in self.swept.items()}}


@dataclass(frozen=True, repr=False)  # `Job` defines __repr__
class ValidJob(Job):
    """A job that can be trained, because its data set is prepared."""

    config: TrainConfig = field(kw_only=True)
    data: DataFile = field(kw_only=True)

    @property
    def hyperparameters(self) -> Hyperparameters:
        """What determines its weights, besides the data."""
        return self.config.hyperparameters()

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of its training run."""
        return fingerprint(self.hyperparameters, self.data.sha256)

    @property
    def key(self) -> str:
        """The fingerprint: equal images can have several names of data sets."""
        return self.fingerprint


@dataclass(frozen=True)
class Outcome:
    """The result of a job, or the reason why it failed."""

    job: Job
    error: str = ""  # one line; empty if the job succeeded
    # The content of metrics.json; empty if it failed.
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = math.nan  # the time of all epochs; NaN if it failed
    run_id: str | None = None  # the id of its MLflow run, also if it failed
    network: Path | None = None  # its file; None if the job failed
    reused: bool = False  # taken from an earlier run
    traceback: str = ""  # set for an error in the program

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all settings."""
        result: dict[str, Any] = {"val_accuracy": self.accuracy}
        if self.error:
            result = {"error": self.error}
        return short_repr(self, **self.job.swept, **result, run_id=self.run_id)

    @property
    def accuracy(self) -> float:
        """The accuracy on the validation images, in [0, 1]; NaN if it failed."""
        return self.metrics.get(VAL_ACCURACY, math.nan)


OnResult = Callable[[Outcome], object]


def short_name(swept: Mapping[str, Any]) -> str:
    """Return swept values as text, such as "hidden=40 seed=2"."""
    return printable(" ".join(f"{key}={value}" for key, value in swept.items()))


def folder_name(swept: Mapping[str, Any]) -> str:
    """Return swept values as the name of a folder, such as "hidden=40,seed=2"."""
    name = ",".join(f"{key}={value}" for key, value in swept.items())
    safe = as_file_name(name, allowed="=.,+")
    if safe != name:
        safe += "-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return safe


def combine(command: Command[TrainConfig]) -> list[Job]:
    """Return a job for each combination of the swept values.

    Combinations that are equal in all settings are one job, with the choices of all. A
    group without a choice has the choice null. A saved sweep, the choice of the group
    `experiment`, only lists combinations, so it does not distinguish jobs.

    For a search, each interval has one of its values.
    """
    combinations = command.combinations
    groups = [
        group
        for group in all_choices(combinations)
        if len({each.choices.get(group) for each in combinations}) > 1
    ]
    varied = command.varied or ["seed"]
    named = [group for group in groups if group != "experiment"]
    jobs = []
    for each in combinations:
        choices = {**dict.fromkeys(groups, "null"), **each.choices}
        fields = {**vars(each), "choices": choices}
        jobs.append(Job(**fields, varied=varied, groups=named))
    return _merge_equal(jobs)


def _merge_equal(jobs: Iterable[Job]) -> list[Job]:
    """Return one job of those with the same key, with the choices of all."""
    equal: dict[str, list[Job]] = {}
    for job in jobs:
        equal.setdefault(job.key, []).append(job)
    return [
        replace(first, choices=all_choices([first, *others])) if others else first
        for first, *others in equal.values()
    ]


def prepare_data(jobs: Sequence[Job], folder: Path) -> list[Job]:
    """Import folders with images, and download other data sets if necessary.

    Args:
        jobs: The jobs; the data set in their values can be a folder.
        folder: The folder of all data sets.

    Returns:
        The jobs; those without problems are a `ValidJob`. Data sets with the same
        images are one, under the first of their names, which can make jobs equal; these
        are one, too.

    Raises:
        UserError, OSError: If a data set is not available: the id of the sweep depends
            on its hash.
    """
    prepared: dict[str, DataFile] = {}
    images: dict[str, DataFile] = {}  # by sha256
    for value in sorted({job.values["dataset"] for job in jobs if not job.problems}):
        data = datasets.prepare(value, folder=folder)
        prepared[value] = images.setdefault(data.sha256, data)
    checked = [
        job if job.problems else job.with_data(prepared[job.values["dataset"]])
        for job in jobs
    ]
    return _merge_equal(checked)


def sweep_id(
    jobs: Sequence[Job],
    intervals: Mapping[str, Interval],
    *,
    experiment: str | None,
    again: bool,
) -> str:
    """Return what identifies a sweep, 16 hexadecimal digits.

    It is a hash of the fingerprints of the valid jobs, the values of the others, their
    choices of groups, which are tags of the run, the intervals of a search, the
    experiment (None if nothing is recorded), and whether all is trained again.
    """
    content = [
        sorted(job.key for job in jobs),
        sorted(all_choices(jobs).items()),
        sorted([key, x.low, x.high, x.log] for key, x in intervals.items()),
        experiment,
        again,
    ]
    return files.json_sha256(content)[:16]


def sweep_name(
    jobs: Sequence[Job], intervals: Mapping[str, Interval] | None = None
) -> str:
    """Return the name of a sweep, such as "hidden=5,10 seed=1,2,3 epochs=5".

    If a key has more than `MAX_NAMED` values, only the first two and the last appear;
    an interval appears as "hidden=4..128".
    """
    first, choices = jobs[0], all_choices(jobs)
    texts = {group: choices[group].split(",") for group in first.groups}
    for key in first.varied:
        texts[key] = [*dict.fromkeys(str(job.values[key]) for job in jobs)]
    swept = {
        key: ",".join(x if len(x) <= MAX_NAMED else [*x[:2], "…", x[-1]])
        for key, x in texts.items()
    }
    for key, interval in (intervals or {}).items():
        swept[key] = f"{interval.low}..{interval.high}"
    valid = next(job for job in jobs if not job.problems)
    default_values = committed_defaults()
    others = {
        key: valid.values[key]
        for key in TRAINING_KEYS
        if key not in swept and valid.values[key] != default_values[key]
    }
    return short_name({**swept, **others})


def all_choices(combinations: Iterable[Combination[TrainConfig]]) -> dict[str, str]:
    """Return all choices of each group, such as "small,wide" for team."""
    found: dict[str, dict[str, None]] = {}
    for each in combinations:
        for group, names in each.choices.items():
            found.setdefault(group, {}).update(dict.fromkeys(names.split(",")))
    return {group: ",".join(names) for group, names in found.items()}
