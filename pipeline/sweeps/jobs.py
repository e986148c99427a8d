"""The jobs of a sweep: the combinations of the values that it varies.

`driver.py` trains them; `outcomes.py` contains their results.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline import ConfigError
from pipeline.cli import HYPERPARAMETERS, Command, TrainConfig, run_name, validate
from pipeline.files import printable

if TYPE_CHECKING:
    from pipeline.sweeps.outcomes import Outcome


@dataclass(frozen=True)
class Job:
    """One training run of a sweep."""

    swept: dict[str, Any]  # the displayed values of the keys that the sweep varies
    values: dict[str, Any]  # of all keys, validated unless there are problems
    displayed: dict[str, Any]  # the same; a folder has the name of its data set
    problems: list[str]  # why it cannot be trained; empty if it can

    @classmethod
    def of(cls, values: dict[str, Any], swept: Iterable[str]) -> "Job":
        """Validate the values of a job."""
        problems, displayed = [], values
        try:
            values = values | validate(TrainConfig, values).model_dump()
            displayed = values | {"dataset": _dataset_name(values["dataset"])}
        except ConfigError as error:
            problems = str(error).split("\n")
        swept_values = {key: displayed[key] for key in swept}
        return cls(swept_values, values, displayed, problems)

    @property
    def name(self) -> str:
        """The name of its run, such as "hidden=40 seed=2 epochs=5"."""
        return run_name(self.displayed, named=self.swept)

    @property
    def short_name(self) -> str:
        """Its swept values, such as "hidden=40 seed=2"."""
        return short_name(self.swept)

    @property
    def folder(self) -> str:
        """The name of its folder, such as "hidden=40,seed=2"."""
        return folder_name(self.swept)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The values of the keys that determine its weights."""
        return {key: self.values[key] for key in HYPERPARAMETERS}

    @property
    def tags(self) -> dict[str, str]:
        """The keys that the sweep varies, as tags of its run."""
        return {key: str(value) for key, value in self.swept.items()}


def short_name(swept: Mapping[str, Any]) -> str:
    """Return swept values as text, such as "hidden=40 seed=2"."""
    return printable(" ".join(f"{key}={value}" for key, value in swept.items()))


def folder_name(swept: Mapping[str, Any]) -> str:
    """Return swept values as the name of a folder, such as "hidden=40,seed=2"."""
    name = ",".join(f"{key}={value}" for key, value in swept.items())
    safe = re.sub(r"[^\w=.,+-]", "_", name)[:100]
    if safe != name:
        safe += "-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return safe


@cache  # reads all files of a folder
def _dataset_name(dataset: str) -> str:
    """Return the name of a data set, which for a folder contains no path."""
    from pipeline import datasets

    return datasets.file_name(dataset)


@dataclass(frozen=True)
class Grid:
    """The plan of a sweep whose jobs are known; `Search` is the other plan."""

    jobs: Sequence[Job]

    def expected(self) -> Sequence[Job]:
        """Return jobs that resemble those that `suggest` will yield: none."""
        return ()

    def suggest(self) -> Iterator[Job]:
        """Yield more jobs, which depend on the outcomes so far: none."""
        return iter(())

    def add(self, outcome: "Outcome") -> None:
        """Use the outcome of a job for suggestions."""


def combine(command: Command) -> list[Job]:
    """Return a job for each combination of the swept values, without duplicates.

    For a search, each interval has one of its values.
    """
    swept = command.swept
    values = {**command.values, "run_name": None}  # the name of the sweep
    varied = {*swept, *command.intervals}
    keys = [key for key in HYPERPARAMETERS if key in varied] or ["seed"]
    rows = itertools.product(*(swept.get(key, [values[key]]) for key in keys))
    settings = [{**values, **dict(zip(keys, row, strict=True))} for row in rows]
    jobs = [Job.of(setting, keys) for setting in settings]
    return list({job.folder: job for job in jobs}.values())
