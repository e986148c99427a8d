"""The jobs of a sweep, which are the combinations of its values, and their outcomes.

Neither MLflow nor PyTorch is imported, so that the workers start first.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.base import files
from pipeline.base.metric_names import VAL_ACCURACY
from pipeline.base.params import TRAINING_KEYS, params_of
from pipeline.base.text import distinct_file_name, printable, short_repr
from pipeline.cli import (
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


@dataclass(frozen=True, repr=False)
class Job:
    """A combination of a sweep; it is trained unless it has an `error`."""

    values: Mapping[str, Any]  # by key; if there is an error, they are only displayed
    choices: Mapping[str, str]  # by group; those of equal combinations as "a,b"
    varied: Sequence[str]  # the groups and the settings that the sweep varies
    error: str = ""  # one line; empty if the values are valid
    data_file: DataFile | None = None  # with its images, if the values are valid

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all settings."""
        return f"<Job {self.short_name}>"

    @property
    def data(self) -> DataFile:
        """The file of its data set; the values must be valid."""
        assert self.data_file, self.error
        return self.data_file

    @cached_property
    def hyperparameters(self) -> Hyperparameters:
        """What determines its weights, besides the data; the values must be valid."""
        return Hyperparameters(**self.values)

    @cached_property
    def identity(self) -> str:
        """What distinguishes the jobs of a sweep.

        This is the fingerprint of the training run, which is the same for equal images
        with different names. Invalid values have no fingerprint, so this is a hash of
        the values, without the data set if it is the same for all jobs.
        """
        if self.error:
            values = {key: self.values.get(key) for key in TRAINING_KEYS}
            if "dataset" not in self.varied:
                del values["dataset"]
            return files.json_sha256(values)
        return fingerprint(self.hyperparameters, self.data.sha256)

    @property
    def params(self) -> dict[str, Any]:
        """The params of its run: its options, and its values, which can be invalid."""
        return {**self.choices, **params_of(self.values)}

    @property
    def varied_values(self) -> dict[str, Any]:
        """The options and values that the sweep varies, by group and by key."""
        both = {**self.values, **self.choices}
        return {name: both[name] for name in self.varied}

    @property
    def name(self) -> str:
        """The name of its run, such as "hidden=40 seed=2 epochs=5"."""
        groups = [name for name in self.varied if name in self.choices]
        choices = [f"{group}={self.choices[group]}" for group in groups]
        return " ".join([*choices, run_name(self.values, named=self.varied)])

    @property
    def short_name(self) -> str:
        """What the sweep varies, such as "hidden=40 seed=2"."""
        return short_name(self.varied_values)

    @property
    def parameter_count(self) -> int:
        """The number of parameters of its network; `hidden` must be valid."""
        return parameter_count(self.values["hidden"])

    @property
    def tags(self) -> dict[str, str]:
        """All options of groups, and the settings that the sweep varies."""
        values = {key: str(value) for key, value in self.varied_values.items()}
        return {**self.choices, **values}


@dataclass(frozen=True)
class Outcome:
    """The result of a job, or the reason why it failed."""

    job: Job
    error: str = ""  # one line; empty if the job succeeded
    # The content of metrics.json; empty if it failed.
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = math.nan  # the time of all epochs; NaN if it failed
    run_id: str | None = None  # the id of its MLflow run, even if it failed
    network: Path | None = None  # its file; None if the job failed
    reused: bool = False  # taken from an earlier run
    traceback: str = ""  # set for an error in the program

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all settings."""
        result: dict[str, Any] = {"val_accuracy": self.accuracy}
        if self.error:
            result = {"error": self.error}
        return short_repr(self, **self.job.varied_values, **result, run_id=self.run_id)

    @property
    def accuracy(self) -> float:
        """The accuracy on the validation images, in [0, 1]; NaN if it failed."""
        return self.metrics.get(VAL_ACCURACY, math.nan)


OnResult = Callable[[Outcome], object]


def short_name(values: Mapping[str, Any]) -> str:
    """Return varied values as text, such as "hidden=40 seed=2"."""
    return printable(" ".join(f"{key}={value}" for key, value in values.items()))


def folder_name(values: Mapping[str, Any]) -> str:
    """Return varied values as the name of a folder, such as "hidden=40,seed=2"."""
    name = ",".join(f"{key}={value}" for key, value in values.items())
    return distinct_file_name(name, allowed="=.,+")


def list_jobs(
    command: Command[TrainConfig], prepare: Callable[[str], DataFile]
) -> list[Job]:
    """Return a job for each combination of the values.

    Combinations with equal images and hyperparameters are one job, with the options of
    all. A group without an option has the option null. A saved sweep, an option of the
    group `experiment`, only lists combinations, so it does not distinguish jobs.

    For a search, each interval has one of its values.

    Args:
        command: The command of the sweep.
        prepare: Returns the file of a data set; imports a folder with images. Data sets
            with the same images are one, under the first of their names.

    Raises:
        UserError, OSError: If a data set is not available: the id of the sweep depends
            on its hash.
    """
    combinations = command.combinations
    groups = [
        group
        for group in all_choices(each.options for each in combinations)
        if len({each.options.get(group) for each in combinations}) > 1
    ]
    named = [group for group in groups if group != "experiment"]
    varied = [*named, *(command.varied or ["seed"])]
    data = _prepare_each(
        {each.values["dataset"] for each in combinations if not each.error}, prepare
    )
    jobs = []
    for each in combinations:
        # `run_name` names the sweep.
        values = {**each.values, "run_name": None}
        if file := data.get(values["dataset"]):
            values["dataset"] = file.name
        choices = {**dict.fromkeys(groups, "null"), **each.options}
        if each.error:
            error = "; ".join(each.error.problems)
            jobs.append(Job(values, choices, varied, error))
        else:
            jobs.append(Job(values, choices, varied, data_file=file))
    return _merge_equal(jobs)


def _prepare_each(
    names: Iterable[str], prepare: Callable[[str], DataFile]
) -> dict[str, DataFile]:
    """Return the file of each data set, which is one for equal images."""
    data: dict[str, DataFile] = {}
    images: dict[str, DataFile] = {}  # by sha256
    for name in sorted(names):
        file = prepare(name)
        data[name] = images.setdefault(file.sha256, file)
    return data


def _merge_equal(jobs: Iterable[Job]) -> list[Job]:
    """Return one job of those with the same identity, with the options of all."""
    equal: dict[str, list[Job]] = {}
    for job in jobs:
        equal.setdefault(job.identity, []).append(job)
    return [
        replace(same[0], choices=all_choices(job.choices for job in same))
        if len(same) > 1
        else same[0]
        for same in equal.values()
    ]


def sweep_id(
    jobs: Sequence[Job],
    intervals: Mapping[str, Interval],
    *,
    experiment: str | None,
    again: bool,
) -> str:
    """Return the id of a sweep, 16 hexadecimal digits that depend on no order.

    It is a hash of the identities of the jobs, their options of groups, which are tags
    of the run, the intervals of a search, the experiment (None if nothing is recorded),
    and whether all is trained again.
    """
    content = [
        sorted(job.identity for job in jobs),
        sorted(all_choices(job.choices for job in jobs).items()),
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
    an interval appears as "hidden=4..128". If some combinations of the values are not
    trained, their number follows, such as "hidden=5,10 lr=0.01,0.1 (3 combinations)".
    """
    varied, product = dict[str, str](), 1
    for name in jobs[0].varied:
        values = dict.fromkeys(str(job.varied_values[name]) for job in jobs)
        product *= len(values)
        texts = [*dict.fromkeys(",".join(values).split(","))]  # of equal jobs: a,b
        shown = texts if len(texts) <= MAX_NAMED else [*texts[:2], "…", texts[-1]]
        varied[name] = ",".join(shown)
    for key, interval in (intervals or {}).items():
        varied[key] = f"{interval.low}..{interval.high}"
    valid = next(job for job in jobs if not job.error)
    default_values = committed_defaults()
    others = {
        key: valid.values[key]
        for key in TRAINING_KEYS
        if key not in varied and valid.values[key] != default_values[key]
    }
    number = f" ({len(jobs):,} combinations)" if len(jobs) < product else ""
    return short_name({**varied, **others}) + number


def all_choices(choices: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return all options of each group, such as "small,wide" for team."""
    found: dict[str, set[str]] = {}
    for each in choices:
        for group, names in each.items():
            found.setdefault(group, set()).update(names.split(","))
    return {group: ",".join(sorted(names)) for group, names in found.items()}
