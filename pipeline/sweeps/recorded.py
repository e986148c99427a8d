"""The training runs in the store that are results of jobs.

`RecordedSweep` contains the earlier children of the same sweep. They are used
on any processor, so that a sweep stays finished if its store is moved to another
machine. `ReusableRuns` contains all other runs. They are used only on a processor of
the executor, because only there would the job have the same results, and a new child of
this sweep records them.

These are the questions about a recorded run. Each includes the previous question:

- Is it final? `is_final`: it is FINISHED or FAILED. A run that is KILLED has ended too,
  but its process did not complete it.
- Is it complete? `complete_runs`: it is FINISHED, its files exist, and those with its
  metrics can be read.
- Is it the result of a job of this sweep? `RecordedSweep.complete`: the newest
  complete child.
- Can it be read? `read_training_run`: no file is damaged. Only `children` asks this, to
  reuse a run or to record the best network, because reading the weights takes time.

Whether a run has a network is another question: `find_training_run` accepts any status,
so that a user can look at a network whose run failed or was killed.

A sweep is finished (`is_finished`) if its last process recorded outcomes of all jobs
and none had failed. Jobs can be missing again later, if files were lost.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline import UserError
from pipeline.records.file_names import METRICS_FILE, RUN_FILE, TRAINING_FILES
from pipeline.records.run_files import read_metrics, read_run_file
from pipeline.records.tags import (
    FINGERPRINT_TAG,
    KIND_TAG,
    PARENT_TAG,
    PROCESSOR_TAG,
    REUSED_TAG,
    SWEEP_TAG,
    VALUES_TAG,
    Kind,
    Status,
)
from pipeline.sweeps.jobs import Job, TrainedOutcome
from pipeline.tracking import (
    RecordedRun,
    Tracker,
    children_of,
    find_run,
    tagged_runs,
)

Processors = Collection[str]  # names of processors


class CompleteRun(NamedTuple):
    """A training run that is complete, with the content of its files."""

    run: RecordedRun
    metrics: Mapping[str, float]  # in metrics.json
    seconds: float  # the time of all epochs, in run.json


@dataclass(frozen=True)
class RecordedSweep:
    """The record of a sweep by earlier processes; empty if the sweep is new."""

    sweep_key: str  # see `sweep_key` in naming.py
    run: RecordedRun | None = None
    children: Sequence[RecordedRun] = ()  # the final children, oldest first
    # The newest complete child of each job, by `Job.id`. A job can have several
    # children, because a job with a lost file is trained again.
    complete: Mapping[str | None, CompleteRun] = field(default_factory=dict)

    @classmethod
    def read(cls, tracker: Tracker, sweep_key: str, *, again: bool) -> "RecordedSweep":
        """Read the newest sweep with this key; with `again`, only if not finished.

        Children from any processor are included. A tag of each contains its processor.
        """
        run = _first_sweep(tracker.tagged_runs(SWEEP_TAG, [sweep_key]))
        if run is None or (again and run.status == Status.FINISHED):
            return cls(sweep_key)
        return cls._of(sweep_key, run, tracker.store)

    @classmethod
    def find(
        cls, text: str, *, store: Path, server: str | None = None
    ) -> "RecordedSweep":
        """Find a recorded sweep with a trained run of each job that finished.

        `text` selects the run of the sweep; see `find_run`. It can also be the key of
        the sweep, which is the name of its folder.

        Raises:
            UserError: If there is not exactly one such run, if the run is not a sweep
                or has no finished training run, or if files of a training run are lost.
        """
        keyed = _first_sweep(tagged_runs(store, SWEEP_TAG, [text]))
        run = keyed or find_run(text, store=store, server=server)
        if parent := run.tags.get(PARENT_TAG):
            raise UserError(
                f"run {run.label} is part of a sweep: "
                f"enter the ID of the sweep's run, {parent}"
            )
        if run.tags.get(KIND_TAG) != Kind.SWEEP:
            raise UserError(
                f"run {run.label} is not a sweep: "
                "enter the ID of a sweep's run, which train -m printed"
            )
        sweep = cls._of(run.tags.get(SWEEP_TAG, ""), run, store)
        finished = (x for x in sweep.children if x.status == Status.FINISHED)
        lost = [x.run_id for x in finished if job_id(x) not in sweep.complete]
        remedy = "run the sweep again"
        if lost:
            raise UserError(f"files of runs {', '.join(lost)} are lost: {remedy}")
        if not sweep.complete:
            raise UserError(f"run {run.label} has no finished training run: {remedy}")
        return sweep

    @classmethod
    def _of(cls, sweep_key: str, run: RecordedRun, store: Path) -> "RecordedSweep":
        children = [x for x in children_of(store, run.run_id) if x.is_final]
        complete = {job_id(each.run): each for each in complete_runs(children)}
        return cls(sweep_key, run, children, complete)

    @property
    def is_finished(self) -> bool:
        """Whether the last process finished the sweep."""
        return self.run is not None and self.run.status == Status.FINISHED

    def outcome(self, job: Job) -> TrainedOutcome | None:
        """Return the outcome of a job that has a trained child."""
        complete = self.complete.get(job.id)
        if complete is None:
            return None
        child, metrics, seconds = complete
        reused = REUSED_TAG in child.tags
        return TrainedOutcome(
            job, metrics, seconds, child.run_id, child.network_path, reused
        )

    def failed_run(self, job: Job) -> str | None:
        """Return the ID of a child that records this invalid job."""
        same = (child for child in self.children if job_id(child) == job.id)
        return next((child.run_id for child in same), None)


class ReusableRuns:
    """The finished runs, in any MLflow experiment, whose results jobs can reuse.

    On the processor that trained a run, the job would have the same results.
    """

    def __init__(self, tracker: Tracker, *, is_used: bool) -> None:
        """Use the runs in the store; without `is_used`, nothing is reused."""
        self._tracker, self._is_used = tracker, is_used
        self._runs: dict[str, list[RecordedRun]] = {}  # by fingerprint, newest first

    def find(self, jobs: Iterable[Job]) -> None:
        """Find the runs of all jobs at once, because a query per job takes longer."""
        new: dict[str, list[RecordedRun]] = {job.fingerprint: [] for job in jobs}
        self._runs |= new
        if self._is_used:
            found = self._tracker.tagged_runs(FINGERPRINT_TAG, new)
            for each in complete_runs(found):
                new[each.run.tags[FINGERPRINT_TAG]].append(each.run)

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


def _first_sweep(runs: Iterable[RecordedRun]) -> RecordedRun | None:
    """Return the first run that is a sweep, not a child of a sweep."""
    return next((run for run in runs if run.tags.get(KIND_TAG) == Kind.SWEEP), None)


def job_id(child: RecordedRun) -> str | None:
    """Return the `Job.id` of a child's job; None if an error prevented a valid job."""
    return child.tags.get(FINGERPRINT_TAG) or child.tags.get(VALUES_TAG)


def complete_runs(runs: Iterable[RecordedRun]) -> Iterator[CompleteRun]:
    """Yield the training runs that are complete.

    A training run is complete, and the result of a job, if it is FINISHED, its files
    exist, and the files with its metrics and seconds are not damaged. The job of any
    other run is trained again. The weights are not read, because that takes time: a
    caller that finds them damaged later trains the job again.
    """
    for run in runs:
        folder = run.network_path.parent
        is_whole = all((folder / name).is_file() for name in TRAINING_FILES)
        if run.status != Status.FINISHED or not is_whole:
            continue
        try:
            metrics = read_metrics(folder / METRICS_FILE)
            seconds = sum(read_run_file(folder / RUN_FILE).seconds)
        except UserError:  # damaged
            continue
        yield CompleteRun(run, metrics, seconds)
