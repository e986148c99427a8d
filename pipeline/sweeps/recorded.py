"""The training runs in the store that are results of jobs.

`RecordedSweep` has the earlier children of the same sweep. They count on any processor,
so that a sweep stays finished if its store is moved to another machine. `ReusableRuns`
has all other runs. They count only on a processor of the executor, because only there
would the job have the same results, and a new child of this sweep records them.

These are the questions about a recorded run. Each includes the previous question:

- Has the run ended? `is_final`: it is FINISHED or FAILED.
- Is it complete? `complete_runs`: it is FINISHED, and its files and metrics exist.
- Is it the result of a job of this sweep? `newest_trained`: the newest complete child.
- Can it be read? `read_training_run`: no file is damaged. Only `children` asks this, to
  reuse a run or to record the best network, because reading takes time.

A sweep is finished (`is_finished`) if its last process recorded outcomes of all jobs
and none had failed. Jobs can be missing again later, if files were lost.

This module runs in the main process. It uses the database of the store.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.base.metric_names import SECONDS
from pipeline.base.tags import (
    FINGERPRINT_TAG,
    KIND_TAG,
    PROCESSOR_TAG,
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
    complete_runs,
    newest_trained,
    tagged_runs,
)

Processors = Collection[str]  # names of processors


@dataclass(frozen=True)
class RecordedSweep:
    """The record of a sweep by earlier processes; empty if the sweep is new."""

    sweep_id: str  # see `sweep_id` in naming.py
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

    def outcome(self, job: Job) -> Outcome | None:
        """Return the outcome of a job that has a trained child."""
        child = self.trained.get(job.id)
        if child is None:
            return None
        metrics = dict(child.results)
        return Outcome(
            job,
            seconds=metrics.pop(SECONDS, math.nan),
            metrics=metrics,
            run_id=child.run_id,
            network_path=child.network_path,
            reused=REUSED_TAG in child.tags,
        )

    def failed_run(self, job: Job) -> str | None:
        """Return the id of a child that records this invalid job."""
        same = (c for c in self.children if c.tags.get(VALUES_TAG) == job.id)
        return next((child.run_id for child in same), None)


class ReusableRuns:
    """The finished runs, in any experiment, whose results jobs can reuse.

    On the processor that trained a run, the job would have the same results.
    """

    def __init__(self, store: Path | None) -> None:
        """Use the runs of `store`; with None, nothing is reused."""
        self._store = store
        self._runs: dict[str, list[RecordedRun]] = {}  # by fingerprint, newest first

    def find(self, jobs: Iterable[Job]) -> None:
        """Find the runs of all jobs at once, because a query per job takes longer."""
        new: dict[str, list[RecordedRun]] = {job.fingerprint: [] for job in jobs}
        self._runs |= new
        if self._store:
            found = tagged_runs(self._store, FINGERPRINT_TAG, new)
            for run in complete_runs(self._store, found):
                new[run.tags[FINGERPRINT_TAG]].append(run)

    @property
    def is_empty(self) -> bool:
        """Whether no run was found, on any processor."""
        return not any(self._runs.values())

    def runs(self, job: Job, processors: Processors) -> list[RecordedRun]:
        """Return the runs of a job that were trained on one of the processors.

        The newest run is first. The files of a run can be damaged.
        """
        if job.fingerprint not in self._runs:  # a search has suggested the job
            self.find([job])
        found = self._runs[job.fingerprint]
        return [run for run in found if run.tags.get(PROCESSOR_TAG) in processors]

    def without_run(self, jobs: Iterable[Job], processors: Processors) -> list[Job]:
        """Return the jobs without a run."""
        return [job for job in jobs if not self.runs(job, processors)]
