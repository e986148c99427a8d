"""The outcome of each job of a sweep, and those that its children in MLflow record.

`children.py` records them. This module imports neither MLflow nor PyTorch, so that the
workers start first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.shapes import parameter_count
from pipeline.sweeps.jobs import Job
from pipeline.tracking import RecordedRun, child_results, children, tagged_runs
from pipeline.tracking.tags import (
    ERROR_TAG,
    FINGERPRINT_TAG,
    KIND_TAG,
    ORIGIN_TAG,
    SWEEP_TAG,
)


@dataclass(frozen=True)
class Outcome:
    """The result of a job, or the reason why it failed."""

    job: Job
    error: str = ""  # one line; empty if the job succeeded
    accuracy: float = 0.0  # on the validation images, in [0, 1]
    seconds: float = 0.0  # of all epochs together
    run_id: str | None = None  # of its run in MLflow
    reused: bool = False  # it was taken from an earlier run
    traceback: str = ""  # of an error in the program

    @property
    def parameters(self) -> int:
        """The number of parameters of its network."""
        return parameter_count(self.job.values["hidden"])


@dataclass(frozen=True)
class Earlier:
    """What earlier processes have recorded of a sweep."""

    run: RecordedRun | None  # of the sweep; None if it is new
    children: list[RecordedRun]  # of this project that ended, oldest first
    results: Mapping[str, tuple[float, float]]  # accuracy and seconds of each, by id

    @classmethod
    def nothing(cls) -> "Earlier":
        """Return the record of a sweep that is new."""
        return cls(None, [], {})

    @property
    def is_finished(self) -> bool:
        """Whether the last process finished the sweep."""
        return self.run is not None and self.run.status == "FINISHED"

    @classmethod
    def read(cls, store: Path, key: str) -> "Earlier":
        """Read the newest sweep with this key.

        Children from any processor are included; their tags name the processor.
        """
        runs = tagged_runs(store, SWEEP_TAG, [key])
        run = next((run for run in runs if run.tags[KIND_TAG] == "sweep"), None)
        if run is None:
            return cls.nothing()
        ended = [
            child
            for child in reversed(children(store, run.run_id))
            if child.status in ("FINISHED", "FAILED") and SWEEP_TAG in child.tags
        ]
        return cls(run, ended, child_results(store, run.run_id))

    def outcomes(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Return the outcomes of the jobs that have a finished child."""
        finished = {
            child.tags[FINGERPRINT_TAG]: child
            for child in self.children
            if child.status == "FINISHED"
        }
        found = []
        for job in jobs:
            if not job.problems and (child := finished.get(job.fingerprint)):
                accuracy, seconds = self.results[child.run_id]
                outcome = Outcome(
                    job,
                    accuracy=accuracy,
                    seconds=round(seconds, 3),
                    run_id=child.run_id,
                    reused=ORIGIN_TAG in child.tags,
                )
                found.append(outcome)
        return found

    def has_failed(self, job: Job, error: str) -> bool:
        """Return whether a child is a failure of this job with this error."""
        expected = {**job.tags, ERROR_TAG: error}.items()
        return any(expected <= child.tags.items() for child in self.children)
