"""The jobs of a search: Optuna suggests values, and gets their mean accuracy.

Optuna's study is only in memory. A continued search rebuilds the study from the
children of the sweep's run.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Context, Decimal
from statistics import fmean
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from pipeline.cli import Interval
from pipeline.sweeps.jobs import Job, Outcome
from pipeline.sweeps.plan import Plan

DIGITS = 4  # significant digits of a suggested value, which names of runs contain
# Repeated suggestions in a row, before suggestions become random; after as many
# repeated random suggestions, values are taken from a list.
MAX_REPEATED = 20
SEEDS = 2**32  # the number of seeds that NumPy accepts


class Search(Plan):
    """The jobs of a search. A trial has a job for each combination of the grid.

    A trial is open until all of its jobs have an accuracy. Then Optuna gets the mean.
    When a search is continued, a trial is known if a child records one of its jobs. If
    other jobs of the trial are missing, because a job was interrupted, failed or
    deleted, these jobs are trained before there are new trials. If all jobs of a trial
    were deleted, Optuna does not know the trial, and may suggest the same values again.
    """

    def __init__(
        self,
        grid: Sequence[Job],
        intervals: Mapping[str, Interval],
        trials: int,
        recorded: Iterable[Mapping[str, str]] = (),
    ) -> None:
        """Start a search, or continue an earlier search.

        Args:
            grid: The combinations of the other keys, trained for each trial.
            intervals: The numbers that are suggested, by key.
            trials: The number of trials, including earlier trials. No two trials have
                equal values, so small intervals can have fewer trials.
            recorded: The params of the recorded children, oldest first.
        """
        super().__init__([])
        self._grid = grid
        self._intervals = intervals
        # Each interval has as many values as the trials can need.
        self._values = [
            [*itertools.islice(_values(each), trials)] for each in intervals.values()
        ]
        self._trials = min(trials, math.prod(map(len, self._values)))
        self._suggestions: set[tuple[Any, ...]] = set()  # a value for each interval
        self._open: dict[int, list[Job]] = {}  # the jobs of each open trial
        self._trials_by_job: dict[str, int] = {}  # by `Job.id`
        self._space = {key: _distribution(each) for key, each in intervals.items()}
        self.study = _new_study()
        for params in recorded:
            self._add_trial(
                {key: type(x.low)(params[key]) for key, x in intervals.items()}
            )
        # A command can ask for fewer trials than are recorded.
        self._trials = max(self._trials, len(self._suggestions))
        # With a fixed seed, each process would repeat earlier suggestions.
        seed = (self._grid[0].values["seed"] + len(self._suggestions)) % SEEDS
        # The random sampler rarely repeats values.
        self._samplers = TPESampler(seed=seed, constant_liar=True), RandomSampler(seed)

    @property
    def stand_ins(self) -> Sequence[Job]:
        """Jobs with the bounds of the intervals, as many as `suggest` will yield.

        From these stand-ins, the mean time and size can be estimated roughly, and the
        maximum exactly.
        """
        ends = [
            self._combine({k: x.high for k, x in self._intervals.items()}),
            self._combine({k: x.low for k, x in self._intervals.items()}),
        ]
        rest = range(self._trials - len(self._suggestions))
        return [job for index in rest for job in ends[index % 2]]

    def suggest(self) -> Iterator[Job]:
        """Yield the jobs of new trials; start a trial when its first job is needed."""
        repeated = 0
        while len(self._suggestions) < self._trials:
            if repeated < 2 * MAX_REPEATED:
                values = self._ask(self._samplers[repeated // MAX_REPEATED])
            else:
                values = self._untried()
            jobs = self._add_trial(values)
            repeated = 0 if jobs else repeated + 1
            yield from jobs

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a job; report finished trials to Optuna.

        A trial with a failed job stays open, so that Optuna avoids similar values. A
        worker gets its next job before its result is added, so that the worker does not
        wait.
        """
        super().add(outcome)
        number = self._trials_by_job[outcome.job.id]
        jobs = self._open.get(number, [])
        ended = [self._outcomes[job.id] for job in jobs if job.id in self._outcomes]
        accuracies = [each.accuracy for each in ended if each.accuracy is not None]
        if jobs and len(accuracies) == len(jobs):
            self.study.tell(number, fmean(accuracies))
            del self._open[number]

    def _ask(self, sampler: BaseSampler) -> dict[str, Any]:
        """Return a value for each interval that Optuna suggests, with few digits.

        Optuna cannot round the values of a trial. Therefore, its trial fails, which
        means that Optuna ignores it, and `_add_trial` adds a trial with these values.
        """
        self.study.sampler = sampler
        exact = self.study.ask(self._space)
        self.study.tell(exact, state=TrialState.FAIL)
        return {k: _round(exact.params[k], x) for k, x in self._intervals.items()}

    def _untried(self) -> dict[str, Any]:
        """Return values that no trial has, even if sampling rarely finds them."""
        possible = itertools.product(*self._values)
        untried = next(each for each in possible if each not in self._suggestions)
        return dict(zip(self._intervals, untried, strict=True))

    def _add_trial(self, values: Mapping[str, Any]) -> list[Job]:
        """Add an open trial, and return its jobs; return [] if the values are not new.

        Args:
            values: A value for each interval, suggested now or recorded earlier.
        """
        suggestion = tuple(values.values())
        if suggestion in self._suggestions:
            return []
        self._suggestions.add(suggestion)
        trial = create_trial(
            state=TrialState.RUNNING, params={**values}, distributions=self._space
        )
        self.study.add_trial(trial)
        number = len(self.study.get_trials(deepcopy=False)) - 1
        jobs = self._combine(values)
        self._jobs.update({job.id: job for job in jobs})
        self._open[number] = jobs
        self._trials_by_job |= {job.id: number for job in jobs}
        return jobs

    def _combine(self, values: Mapping[str, Any]) -> list[Job]:
        return [replace(job, values={**job.values, **values}) for job in self._grid]


def _new_study() -> optuna.Study:
    """Return a new study, without the line that Optuna prints about a new study."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction="maximize")
    finally:  # the calling program may use Optuna too
        optuna.logging.set_verbosity(verbosity)


def _values(interval: Interval) -> Iterator[int | float]:
    """Yield all values that `_round` returns for an interval, the highest first."""
    low, high = interval.low, interval.high
    if isinstance(low, int) and isinstance(high, int):
        yield from range(high, low - 1, -1)
        return
    few_digits, exact = Context(prec=DIGITS), Decimal(str(high))
    # A bound with more digits is returned instead of a number outside the interval.
    while (value := float(exact)) > low:
        if _round(value, interval) == value:
            yield value
        exact = exact.next_minus(few_digits)
    if _round(low, interval) == low:
        yield low


def _distribution(interval: Interval) -> BaseDistribution:
    low, high, log = interval.low, interval.high, interval.log
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _round(value: int | float, interval: Interval) -> int | float:
    """Round a float to few digits, but not beyond the bounds of its interval."""
    if isinstance(value, int):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), interval.low), interval.high)
