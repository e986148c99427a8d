"""The plan of a sweep: the jobs and their outcomes; a search adds jobs."""

from collections.abc import Iterable, Iterator, Sequence

from pipeline.sweeps.jobs import Job, Outcome


class Plan:
    """The jobs of a sweep, and an outcome for each job that has ended.

    All jobs are known from the start. A `Search` is a plan that adds jobs: it overrides
    `stand_ins` and `suggest`, so that all callers treat both kinds of sweeps alike.
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
    def stand_ins(self) -> Sequence[Job]:
        """Jobs that no worker trains, one for each job that `suggest` will yield.

        They are similar, so that time, memory and disk space can be estimated.
        """
        return ()

    @property
    def remaining(self) -> list[Job]:
        """The jobs that this process still records; `stand_ins` if not known yet."""
        return [*self.missing, *self.stand_ins]

    @property
    def with_stand_ins(self) -> list[Job]:
        """The jobs that are known so far, and `stand_ins` for all others."""
        return [*self.jobs, *self.stand_ins]

    @property
    def total(self) -> int:
        """The number of jobs, including the jobs that `suggest` will yield."""
        return len(self.with_stand_ins)

    @property
    def varied(self) -> Sequence[str]:
        """`Command.varied`, the same in all jobs and stand-ins."""
        return self.with_stand_ins[0].varied

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
