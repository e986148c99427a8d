"""The plan of a sweep: the jobs and their outcomes; a search adds jobs."""

from collections.abc import Iterable, Iterator, Sequence

from pipeline.sweeps.jobs import Job, Outcome


class Plan:
    """The jobs of a sweep, and an outcome for each job that has ended.

    All jobs are known from the start. A `Search` is a plan that adds jobs: it overrides
    `upcoming` and `suggest`, so that all callers treat both kinds of sweeps alike.
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
        """The jobs with valid values that have no outcome."""
        jobs = self._jobs.items()
        return [job for key, job in jobs if key not in self._outcomes and not job.error]

    @property
    def upcoming(self) -> Sequence[Job]:
        """For each job that `suggest` will yield, a similar job, for estimates."""
        return ()

    @property
    def remaining(self) -> list[Job]:
        """The jobs that this process still records, with those in `upcoming`."""
        return [*self.missing, *self.upcoming]

    @property
    def all_jobs(self) -> list[Job]:
        """All jobs, with those that stand for the jobs that `suggest` will yield."""
        return [*self.jobs, *self.upcoming]

    @property
    def total(self) -> int:
        """The number of jobs, including the jobs that `suggest` will yield."""
        return len(self.all_jobs)

    @property
    def varied(self) -> Sequence[str]:
        """`Command.varied`, the same in all jobs."""
        return self.all_jobs[0].varied

    @property
    def ended(self) -> int:
        """The number of jobs with an outcome."""
        return len(self._outcomes)

    def suggest(self) -> Iterator[Job]:
        """Yield more jobs, each when it is needed; they depend on earlier outcomes."""
        return iter(())

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a job."""
        self._outcomes[outcome.job.id] = outcome
