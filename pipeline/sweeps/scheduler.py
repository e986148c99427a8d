"""Trains the missing jobs of a sweep in the workers of an executor."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from pipeline import UserError
from pipeline.base.errors import AGAIN, RESUME
from pipeline.base.printing import say
from pipeline.base.terminal import counted
from pipeline.base.text import format_bytes
from pipeline.execution.executor import Executor, Task, TaskResult
from pipeline.execution.interrupt import Interrupt, delayed_interrupt
from pipeline.sweeps.children import Children
from pipeline.sweeps.jobs import Job, OnResult, Outcome
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.progress import Progress, show_progress
from pipeline.sweeps.reuse import Processors, ReusableRuns
from pipeline.sweeps.start import SweepStart
from pipeline.tracking import RecordedRun
from pipeline.training.training_run import (
    TrainingRun,
    compute_training_run,
    read_training_run,
)


def run_missing_jobs(
    start: SweepStart, children: Children, executor: Executor, on_outcome: OnResult
) -> None:
    """Train the missing jobs of a plan, or reuse runs of the store.

    `on_outcome` is called with each new outcome, after the outcome was added to the
    plan.

    Raises:
        KeyboardInterrupt: After Ctrl-C. All results that had arrived are recorded.
    """
    plan, reusable = start.plan, start.reusable
    workers, processors = executor.workers, executor.processors
    to_train = len(reusable.without_run(plan.trainable, processors)) + plan.remaining
    stopping = "stopping and recording the results that have arrived"
    _announce(plan, start.disk_space, to_train=to_train, workers=workers)
    with (
        show_progress(plan, to_train=to_train, workers=workers) as progress,
        delayed_interrupt(stopping, executor.stop) as interrupt,
    ):
        scheduler = Scheduler(
            plan, children, reusable, processors, progress, on_outcome
        )
        for result in executor.run(compute_training_run, scheduler.tasks(interrupt)):
            scheduler.record(result)
    done = f"{plan.ended:,} of {plan.size:,} training runs"
    # Without tracking, the same command starts from the beginning.
    interrupt.check(f"stopped after {done}: {RESUME if start.experiment else AGAIN}")


def _announce(plan: Plan, size: int, *, to_train: int, workers: int) -> None:
    """Print the number of training runs, and the disk space for all results.

    `size` is in bytes. `to_train` is the number of jobs that reuse no run. The results
    of reused runs are recorded too.
    """
    if to_train:
        runs = counted(to_train, "training run")
        at_a_time = f", {workers} at a time" if workers > 1 else ""
        reused = len(plan.trainable) + plan.remaining - to_train
        others = f" (including {counted(reused, 'reused run')})" if reused else ""
        say(f"{runs}{at_a_time}: {format_bytes(size)} of disk space{others}")


def _read(run: RecordedRun) -> TrainingRun | None:
    """Read a run; None if its files are damaged."""
    with suppress(UserError):
        return read_training_run(run)
    return None


@dataclass(frozen=True)
class Scheduler:
    """Gives jobs to workers, and adds their outcomes to the plan."""

    plan: Plan
    children: Children
    reusable: ReusableRuns
    processors: Processors  # the processors of the workers
    progress: Progress
    on_outcome: OnResult

    def tasks(self, interrupt: Interrupt) -> Iterator[Task]:
        """Yield a task for each job to train, when a worker needs one.

        Earlier jobs that need no training get their outcomes first, because the next
        suggestion of a search depends on these outcomes. After an interrupt, there are
        no more tasks.
        """
        for job in itertools.chain(self.plan.missing, self._suggested()):
            # `executor.stop` takes effect only at the next yield. Thousands of reused
            # jobs can be recorded before the next yield.
            if interrupt.requested:
                return
            if outcome := self._without_training(job):
                self._add(outcome)
            else:
                arguments = {"hyperparameters": job.hyperparameters}
                yield Task(job.id, job.data, arguments)

    def _without_training(self, job: Job) -> Outcome | None:
        """Record a job that is invalid, or whose results can be reused."""
        if job.error:
            return self.children.fail(job, job.error)
        for run in self.reusable.runs(job, self.processors):
            if training := _read(run):
                return self.children.record(job, training, reused=run)
        return None

    def _suggested(self) -> Iterator[Job]:
        for job in self.plan.suggest():
            self.reusable.find([job])
            yield job

    def record(self, result: TaskResult) -> None:
        """Record the result of a worker, or the loss of the worker, as a child."""
        job, children = self.plan.job(result.task.name), self.children
        if not result.error:
            outcome = children.record(job, result.value, machine=result.machine)
            self._add(outcome)
        elif result.final:
            self._add(children.fail(job, result.error, result.traceback))
        else:
            children.fail_attempt(job, result.error)
            self.progress.add_attempt(job, result.error)

    def _add(self, outcome: Outcome) -> None:
        self.plan.add(outcome)
        self.progress.add(outcome)
        self.on_outcome(outcome)
