"""The record of a sweep in the store, from which the same command continues.

This module does not import MLflow or PyTorch, so that the workers start first.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.base.metric_names import SECONDS
from pipeline.base.tags import (
    KIND_TAG,
    REUSED_TAG,
    SWEEP_TAG,
    VALUES_TAG,
    Kind,
    Status,
)
from pipeline.sweeps.jobs import Job, Outcome
from pipeline.tracking import (
    RecordedRun,
    children_of,
    newest_trained,
    tagged_runs,
)


@dataclass(frozen=True)
class RecordedSweep:
    """The record of a sweep by earlier processes; empty if the sweep is new."""

    sweep_id: str  # see `sweep_id` in listing.py
    run: RecordedRun | None = None
    children: Sequence[RecordedRun] = ()  # the children that ended, oldest first
    # The `newest_trained` child of each job, by its id.
    trained: Mapping[str | None, RecordedRun] = field(default_factory=dict)

    @classmethod
    def read(cls, store: Path, sweep_id: str) -> "RecordedSweep":
        """Read the newest sweep with this id.

        Children from any processor are included. A tag of a child names its processor.
        """
        runs = tagged_runs(store, SWEEP_TAG, [sweep_id])
        run = next((run for run in runs if run.tags.get(KIND_TAG) == Kind.SWEEP), None)
        if run is None:
            return cls(sweep_id)
        ended = [child for child in children_of(store, run.run_id) if child.is_final]
        return cls(sweep_id, run, ended, newest_trained(store, ended))

    @property
    def is_finished(self) -> bool:
        """Whether the last process finished the sweep."""
        return self.run is not None and self.run.status == Status.FINISHED

    def outcomes(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Return the outcomes of the jobs that have a trained child."""
        found = []
        for job in jobs:
            if child := self.trained.get(job.id):
                metrics = dict(child.results)
                seconds = metrics.pop(SECONDS, math.nan)
                outcome = Outcome(
                    job,
                    metrics=metrics,
                    seconds=seconds,
                    run_id=child.run_id,
                    network_path=child.network_path,
                    reused=REUSED_TAG in child.tags,
                )
                found.append(outcome)
        return found

    def failed_run(self, job: Job) -> str | None:
        """Return the id of a child that records this invalid job."""
        same = (c for c in self.children if c.tags.get(VALUES_TAG) == job.id)
        return next((child.run_id for child in same), None)
