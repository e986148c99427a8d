"""The progress of a sweep in the terminal: a line for each result, and a bar."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from pipeline.base.progress import new_console, text_bar
from pipeline.base.text import WIDTH, printable, wrap
from pipeline.records.metric_names import VAL_ACCURACY
from pipeline.sweeps.jobs import Job, Outcome
from pipeline.sweeps.plan import Plan

MAX_INVALID = 20  # lines for invalid combinations, which all fail at once
MAX_NAME = 36  # characters of a name, so that a result fits in 80 columns


def time_left(
    times: Sequence[float], now: float, *, missing: int, workers: int
) -> float | None:
    """Return the seconds until the missing results have arrived, None if unknown.

    All workers can finish at the same time. The pace is therefore measured over
    complete rounds, in which each worker returns one result. For equal jobs, the
    estimate is then exact after each round.

    Args:
        times: When results have arrived, in seconds.
        now: The present time.
        missing: The number of results that have not arrived.
        workers: The number of results that are computed at a time.
    """
    rounds = times[::-workers]  # the last result, and the results whole rounds earlier
    if len(rounds) < 2:
        return None
    pace = (rounds[0] - rounds[-1]) / (len(rounds) - 1) / workers
    return max(0.0, rounds[0] + pace * missing - now)


class ProgressLines:
    """Prints the outcomes of a plan; `str` is the text of the bar."""

    def __init__(self, plan: Plan, *, to_train: int, workers: int) -> None:
        """Start with the jobs that have not ended; see `show_progress`."""
        console = new_console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.bar, self._plan, self._workers = text_bar(console), plan, workers
        names = [job.short_name for job in plan.with_stand_ins]
        self._width = min(MAX_NAME, max(map(len, names), default=0))
        self._failed, self._to_train = 0, to_train
        self._invalid = 0  # the number of invalid combinations so far
        self._all_invalid = sum(1 for job in plan.jobs if job.error)
        self._times = list[float]()  # when the results of training have arrived
        self._task = self.bar.add_task(
            "", total=plan.total, completed=plan.ended, text=self
        )

    def print_outcome(self, outcome: Outcome) -> None:
        """Print a line for a training run that finished or failed.

        The plan already contains the outcome. Of the invalid combinations, only the
        first `MAX_INVALID` have a line.
        """
        if not (outcome.job.error or outcome.reused):
            self._to_train -= 1
        if outcome.error:
            self._failed += 1
            text = f"failed: {outcome.error}"
        else:
            effort = "reused" if outcome.reused else f"{outcome.seconds:5.1f} s"
            text = f"{VAL_ACCURACY} {outcome.accuracy:6.2%} {effort:>7}"
            if not outcome.reused:
                self._times.append(time.monotonic())
        if outcome.job.error:
            self._invalid += 1
        if not outcome.job.error or self._invalid <= MAX_INVALID:
            self._print(outcome.job, f"{text}  ({self._count})")
        elif self._invalid == self._all_invalid:
            more = self._invalid - MAX_INVALID
            self.bar.console.print(f"and {more:,} more invalid  ({self._count})")
        self.bar.update(self._task, completed=self._plan.ended)

    @property
    def _count(self) -> str:
        return f"{self._plan.ended:,} of {self._plan.total:,}"

    def print_attempt(self, job: Job, reason: str) -> None:
        """Print why an attempt failed; the training run is tried again."""
        self._print(job, f"{reason}; trying again")

    def _print(self, job: Job, text: str) -> None:
        name, text = job.short_name, printable(text)
        self._width = max(self._width, min(MAX_NAME, len(name)))
        start = f"{name:{self._width}}" + ("  " if len(name) <= MAX_NAME else "\n  ")
        fits = len(start.split("\n")[-1]) + len(text) <= WIDTH
        line = start + text if fits else wrap(text, start=start)
        self.bar.console.print(line, markup=False)

    def __str__(self) -> str:
        """Return the counts and, after the first results, the time left."""
        # A run to be reused can be damaged, and a job of a search can reuse a run.
        left = min(max(0, self._to_train), self._plan.total - self._plan.ended)
        parts = [self._count, f"{min(self._workers, left)} running"]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        now, workers = time.monotonic(), self._workers
        seconds = time_left(self._times, now, missing=left, workers=workers)
        if seconds is not None:
            parts.append(f"about {timedelta(seconds=round(seconds))} left")
        return ", ".join(parts)


@contextmanager
def show_progress(
    plan: Plan, *, to_train: int, workers: int
) -> Iterator[ProgressLines]:
    """Print a line for each outcome that is added and, on a terminal, show a bar.

    Args:
        plan: The jobs and their outcomes.
        to_train: The number of jobs that are trained. All other jobs are invalid or
            reuse a run, which takes little time.
        workers: The number of jobs that are trained at the same time.
    """
    progress = ProgressLines(plan, to_train=to_train, workers=workers)
    with progress.bar:
        yield progress
