"""The jobs of a sweep: every combination of the values that it varies.

They are only described and validated here; `launch.py` trains them.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.cli.config import find_problems, run_name, validate
from pipeline.cli.schema import HYPERPARAMETERS, StageConfig


@dataclass(frozen=True)
class Job:
    """One training of a sweep."""

    swept: dict[str, Any]  # the keys that the sweep varies
    values: dict[str, Any]  # all options, validated unless there are problems
    problems: list[str]  # why it cannot be trained; empty if it can

    @classmethod
    def of(
        cls, schema: type[StageConfig], values: dict[str, Any], swept: Iterable[str]
    ) -> "Job":
        """Validate the values of a job, and tell which of them the sweep varies."""
        problems = find_problems(schema, values)
        if not problems:
            values = validate(schema, values).model_dump()
        return cls({key: values[key] for key in swept}, values, problems)

    @property
    def name(self) -> str:
        """The name of its run, such as "hidden=40 seed=2"."""
        return run_name(self.values, named=self.swept)

    @property
    def folder(self) -> str:
        """The name of its folder, such as "hidden=40,seed=2"."""
        name = ",".join(f"{key}={value}" for key, value in self.swept.items())
        safe = re.sub(r"[^\w=.,+-]", "_", name)[:100]
        if safe != name:
            safe += "-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
        return safe

    @property
    def tags(self) -> dict[str, str]:
        """The keys that the sweep varies, as tags of its run."""
        return {key: str(value) for key, value in self.swept.items()}


def combine(
    schema: type[StageConfig],
    values: Mapping[str, Any],
    swept: Mapping[str, list[Any]],
) -> list[Job]:
    """Return a job for each combination of the swept values, without duplicates."""
    keys = [key for key in HYPERPARAMETERS if key in swept] or ["seed"]
    rows = itertools.product(*(swept.get(key, [values[key]]) for key in keys))
    jobs = [
        Job.of(schema, {**values, **dict(zip(keys, row, strict=True))}, keys)
        for row in rows
    ]
    return list({job.folder: job for job in jobs}.values())
