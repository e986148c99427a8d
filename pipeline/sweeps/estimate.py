"""The time that training runs need."""

from collections.abc import Sequence
from pathlib import Path

from pipeline import datasets
from pipeline.sweeps.jobs import Job, Outcome

# The time of an image and of a step, in units of what a parameter adds to a step.
# Measured with 5 to 320 hidden neurons and batches of 8 to 512 images.
IMAGE, STEP = 500, 11_000


class TimeLeft:
    """Estimates how long the rest of a sweep takes, from the results that have arrived.

    The relative times of training runs follow from their numbers of epochs, images,
    steps and parameters. The factor comes from the times that the workers measured, so
    it does not contain their start. If results arrive more slowly than that, because
    they wait for the process that records them, their pace is used.
    """

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        """Start an estimate for jobs of which `workers` are trained at a time."""
        paths = {job.data.path for job in jobs if not job.error}
        self._images: dict[Path, int] = {
            path: datasets.summary(path).train.images for path in paths
        }
        self._workers, self._left = workers, sum(map(self._work, jobs))
        self._trained = 0  # jobs that the workers trained
        self._work_trained = self._seconds = 0.0
        self._first = self._work_since_first = self._end = 0.0

    def add(self, outcome: Outcome, now: float) -> None:
        """Add an outcome at the time `now`, in seconds."""
        work = self._work(outcome.job)
        self._left = max(0.0, self._left - work)
        if outcome.error or outcome.reused:
            return
        if self._trained:
            self._work_since_first += work
        else:
            self._first = now
        self._trained += 1
        self._work_trained += work
        self._seconds += outcome.seconds
        pace = self._seconds / self._work_trained / self._workers
        if self._trained > self._workers:
            pace = max(pace, (now - self._first) / self._work_since_first)
        self._end = now + pace * self._left

    def seconds(self, now: float) -> float | None:
        """Return the time left at the time `now`; None before the first result."""
        return max(0.0, self._end - now) if self._trained else None

    def _work(self, job: Job) -> float:
        """Return the expected time of a training run, in any unit; 0 if invalid."""
        if job.error:
            return 0.0
        step = STEP + job.parameter_count
        image: float = IMAGE + step / job.hyperparameters.batch_size
        return job.hyperparameters.epochs * self._images[job.data.path] * image
