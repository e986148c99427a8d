"""Finds finished runs in the store whose results a sweep can reuse."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from pipeline import UserError
from pipeline.base.tags import FINGERPRINT_TAG, PROCESSOR_TAG, WEIGHTS_TAG
from pipeline.sweeps.jobs import Job
from pipeline.tracking import RecordedRun, tagged_runs
from pipeline.training.training_run import TrainingRun


class ReusableRuns:
    """The finished runs, in any experiment, whose results jobs can reuse."""

    def __init__(self, store: Path, processors: Collection[str]) -> None:
        """Accept the runs of a store that were trained on one of the processors."""
        self._store, self._processors = store, processors
        self._runs: dict[str, list[RecordedRun]] = {}  # by fingerprint, newest first

    def find(self, jobs: Iterable[Job]) -> None:
        """Find the runs of jobs; all at once takes less time than one by one."""
        if not self._processors:
            return
        fingerprints = [job.identity for job in jobs]
        for run in tagged_runs(self._store, FINGERPRINT_TAG, fingerprints):
            has_processor = run.tags.get(PROCESSOR_TAG) in self._processors
            if run.is_trained and has_processor:
                self._runs.setdefault(run.tags[FINGERPRINT_TAG], []).append(run)

    def has(self, job: Job) -> bool:
        """Return whether a run was found; its files can be lost or damaged."""
        return job.identity in self._runs

    def read(self, job: Job) -> tuple[TrainingRun, RecordedRun] | None:
        """Read the newest run whose files are neither lost nor damaged."""
        for run in self._runs.get(job.identity, ()):
            with suppress(UserError):
                training = TrainingRun.read(run)
                if training.sha256 == run.tags.get(WEIGHTS_TAG):
                    return training, run
        return None
