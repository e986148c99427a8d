"""The plan of a sweep: the jobs and their outcomes; a search adds jobs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.results_folder import ResultsFolder
from pipeline.cli import CommonTrainConfig
from pipeline.sweeps.jobs import Job, OnResult, Outcome
from pipeline.sweeps.recorded import RecordedSweep, ReusableRuns
from pipeline.tracking import Tracker
from pipeline.training.size import sweep_bytes


class Plan:
    """The jobs of a sweep, and an outcome for each job that has ended.

    All jobs are known from the start. A `Search` is a plan that adds jobs: it overrides
    `remaining`, `examples` and `suggest`, so that all callers treat both kinds of
    sweeps alike.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        """Start without outcomes."""
        self._jobs = {job.id: job for job in jobs}
        self._outcomes: dict[str, Outcome] = {}  # by `Job.id`

    @property
    def jobs(self) -> list[Job]:
        """The jobs that are known so far."""
        return [*self._jobs.values()]

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes in the order of the jobs, which can end in a different order."""
        return [self._outcomes[key] for key in self._jobs if key in self._outcomes]

    @property
    def missing(self) -> list[Job]:
        """The jobs without an outcome."""
        return [job for key, job in self._jobs.items() if key not in self._outcomes]

    @property
    def trainable(self) -> list[Job]:
        """The missing jobs with valid values, which are trained or reuse a run."""
        return [job for job in self.missing if not job.error]

    @property
    def size(self) -> int:
        """The number of jobs, including the jobs that `suggest` will yield."""
        return len(self._jobs) + self.remaining

    @property
    def ended(self) -> int:
        """The number of jobs with an outcome."""
        return len(self._outcomes)

    @property
    def remaining(self) -> int:
        """The number of jobs that `suggest` will yield."""
        return 0

    def examples(self) -> Sequence[Job]:
        """Return, for estimates, a similar job for each job that `suggest` yields."""
        return ()

    def suggest(self) -> Iterator[Job]:
        """Yield more jobs, each when it is needed; they depend on earlier outcomes."""
        return iter(())

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a job."""
        self._outcomes[outcome.job.id] = outcome


@dataclass(frozen=True)
class SweepCall:
    """What a sweep is called with, and the state of the program at that time.

    `on_result` can change the environment, and the user can change the code.
    """

    cfg: CommonTrainConfig  # the settings that all jobs have in common
    tracker: Tracker  # has read the code, for all training runs
    results: ResultsFolder  # a folder of a call from Python gets table and plot
    on_result: OnResult  # is called with each outcome


@dataclass(frozen=True)
class Sweep:
    """An open sweep: its plan, and what earlier processes have recorded."""

    call: SweepCall
    name: str  # the name of the run
    folder: Path  # for table and plot; for networks too, if nothing is recorded
    plan: Plan  # gets each outcome while the sweep runs
    recorded: RecordedSweep
    reusable: ReusableRuns

    @property
    def is_finished(self) -> bool:
        """Whether an earlier process finished this sweep, and no job is missing."""
        return self.recorded.is_finished and self.plan.ended == self.plan.size

    @property
    def disk_space(self) -> int:
        """The bytes of the results of all jobs that are not recorded yet."""
        plan, diff = self.plan, self.call.tracker.read_code().diff
        return sweep_bytes(
            (job.hyperparameters for job in (*plan.trainable, *plan.examples())),
            patch_bytes=len(diff.encode(errors="surrogateescape")),
        )
