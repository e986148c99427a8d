"""Suggests the values of a search with Optuna, and reports their mean accuracy to it.

It trains and records nothing. Optuna's journal is the only state of a search.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pipeline import UserError
from pipeline.cli import Interval
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.outcomes import Outcome

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

DIGITS = 4  # significant digits of a suggested value, which is in the name of a run
MAX_REPEATED = 20  # repeated suggestions in a row, before they become random
MAX_RANDOM = 1000  # repeated random suggestions in a row, before the search ends
SEEDS = 2**32  # the number of seeds that NumPy accepts


class Search:
    """The jobs of a search: all combinations for each suggestion.

    If one of its training runs fails, a suggestion stays open in the journal, like one
    that was interrupted: Optuna avoids its neighbourhood, and the next process of the
    search trains it again.
    """

    def __init__(
        self,
        path: Path,
        grid: Sequence[Job],
        intervals: Mapping[str, Interval],
        trials: int,
    ) -> None:
        """Start a search, or continue the one in a journal.

        Args:
            path: The journal; no other process writes to it.
            grid: The combinations that are trained for each suggestion.
            intervals: The numbers that are suggested, by key.
            trials: The number of suggestions, with those in the journal; no two of them
                are equal, so there are fewer if the intervals have fewer numbers.

        Raises:
            UserError: If a combination is invalid, because all suggestions would fail.
        """
        if problems := [problem for job in grid for problem in job.problems]:
            raise UserError("\n  ".join(["a search needs valid values", *problems]))
        self._grid, self._intervals = grid, intervals
        self._trials = min(trials, _size(intervals))
        self._suggestions: list[dict[str, Any]] = []
        self._jobs: dict[str, Job] = {}  # by name
        self._accuracies: dict[str, float] = {}  # by the name of the job
        self._open: dict[int, list[str]] = {}  # the jobs of each open suggestion
        self._space = {key: _distribution(each) for key, each in intervals.items()}
        self._study = _open_study(path)
        # With the same seed, a process would repeat the suggestions of the one before.
        seed = (grid[0].values["seed"] + len(self._study.trials)) % SEEDS
        self._samplers = _samplers(seed)
        for trial in self._study.trials:
            if trial.state.name in ("COMPLETE", "RUNNING"):
                self._add(trial, is_open=trial.state.name == "RUNNING")

    @property
    def jobs(self) -> list[Job]:
        """The jobs of the suggestions so far."""
        return [*self._jobs.values()]

    def expected(self) -> list[Job]:
        """Return jobs like those that will be suggested, for estimates.

        They have the ends of the intervals, for a rough mean and the exact maximum.
        """
        ends = [
            self._combine({key: getattr(x, end) for key, x in self._intervals.items()})
            for end in ("high", "low")
        ]
        rest = range(self._trials - len(self._suggestions))
        return [job for index in rest for job in ends[index % 2]]

    def suggest(self) -> Iterator[Job]:
        """Yield the jobs of new suggestions, each when its first job is needed."""
        repeated = 0
        while len(self._suggestions) < self._trials:
            self._study.sampler = self._samplers[repeated >= MAX_REPEATED]
            jobs = self._add(self._study.ask(self._space), is_open=True)
            repeated = 0 if jobs else repeated + 1
            yield from jobs
            if repeated > MAX_REPEATED + MAX_RANDOM:  # others are improbable
                print(f"no new values after {len(self._suggestions):,} suggestions")
                self._trials = len(self._suggestions)

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a job; report finished suggestions to Optuna."""
        if outcome.error:
            return
        self._accuracies[outcome.job.name] = outcome.accuracy
        for number, names in [*self._open.items()]:
            if self._accuracies.keys() >= {*names}:
                mean = fmean(self._accuracies[name] for name in names)
                self._study.tell(number, mean)
                del self._open[number]

    def _add(self, trial: "FrozenTrial | Trial", *, is_open: bool) -> list[Job]:
        """Add a suggestion and return its jobs.

        There are none if it is equal to an earlier one, or has no values because the
        process was killed; then Optuna forgets it.
        """
        from optuna.trial import TrialState

        values = {
            key: _round(value, self._intervals[key])
            for key, value in trial.params.items()
        }
        if values in self._suggestions or values.keys() != self._space.keys():
            if is_open:
                self._study.tell(trial.number, state=TrialState.FAIL)
            return []
        self._suggestions.append(values)
        jobs = {job.name: job for job in self._combine(values)}
        self._jobs.update(jobs)
        if is_open:
            self._open[trial.number] = [*jobs]
        return [*jobs.values()]

    def _combine(self, values: Mapping[str, Any]) -> list[Job]:
        return [Job.of({**job.values, **values}, job.swept) for job in self._grid]


def _open_study(path: Path) -> "Study":
    """Open the journal; first remove an incomplete line and a lock left by a kill."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
    Path(f"{path}.lock").unlink(missing_ok=True)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))),
        study_name="search",
        direction="maximize",
        load_if_exists=True,
    )


def _samplers(seed: int) -> "tuple[BaseSampler, BaseSampler]":
    """Return the sampler of the search, and one that rarely repeats values."""
    from optuna.samplers import RandomSampler, TPESampler

    return TPESampler(seed=seed, constant_liar=True), RandomSampler(seed)


def _size(intervals: Mapping[str, Interval]) -> int:
    """Return the number of different suggestions, with rounded floats."""
    return math.prod(_rank(x.high) - _rank(x.low) + 1 for x in intervals.values())


def _rank(value: int | float) -> int:
    """Return the position of a value, after rounding, among all rounded values > 0."""
    if isinstance(value, int):
        return value
    digits, exponent = f"{value:.{DIGITS - 1}e}".split("e")
    decade: int = 9 * 10 ** (DIGITS - 1)  # from 1.000 to 9.999, there are 9,000 values
    return decade * int(exponent) + int(digits.replace(".", ""))


def _distribution(interval: Interval) -> "BaseDistribution":
    from optuna.distributions import FloatDistribution, IntDistribution

    low, high, log = interval.low, interval.high, interval.log
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _round(value: int | float, interval: Interval) -> int | float:
    """Round a float to few digits, but not beyond the ends of its interval."""
    if isinstance(value, int):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), interval.low), interval.high)
