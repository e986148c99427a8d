"""Finds finished runs in the store whose results a sweep can reuse.

This module does not import MLflow or PyTorch, because it is used before workers start.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from pipeline.base.tags import FINGERPRINT_TAG, PROCESSOR_TAG
from pipeline.sweeps.jobs import Job
from pipeline.tracking import RecordedRun, complete_runs, tagged_runs

Processors = Collection[str]  # names of processors


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
        if not self._store:
            return
        fingerprints = [job.fingerprint for job in jobs]
        found = tagged_runs(self._store, FINGERPRINT_TAG, fingerprints)
        for run in complete_runs(self._store, found):
            self._runs.setdefault(run.tags[FINGERPRINT_TAG], []).append(run)

    @property
    def is_empty(self) -> bool:
        """Whether no run was found, on any processor."""
        return not self._runs

    def runs(self, job: Job, processors: Processors) -> list[RecordedRun]:
        """Return the runs of a job that were trained on one of the processors.

        The newest run is first. The files of a run can be damaged.
        """
        found = self._runs.get(job.fingerprint, ())
        return [run for run in found if run.tags.get(PROCESSOR_TAG) in processors]

    def without_run(self, jobs: Iterable[Job], processors: Processors) -> list[Job]:
        """Return the jobs without a run."""
        return [job for job in jobs if not self.runs(job, processors)]
