"""Trains the missing jobs of a sweep in the workers of an executor."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import RESUME
from pipeline.base.printing import say
from pipeline.base.terminal import counted
from pipeline.execution.executor import Executor, Result, Task
from pipeline.execution.interrupt import Interrupt, delayed_interrupt
from pipeline.sweeps.children import Children
from pipeline.sweeps.estimate import check_space, format_bytes, recorded_bytes
from pipeline.sweeps.jobs import Job, OnResult, Outcome
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.progress import Progress, show_progress
from pipeline.sweeps.reuse import ReusableRuns
from pipeline.training.training_run import compute_training_run


def run_missing_jobs(
    plan: Plan,
    children: Children,
    reusable: ReusableRuns,
    executor: Executor,
    on_outcome: OnResult,
) -> None:
    """Train the missing jobs of a plan, or reuse runs of the store.

    `on_outcome` is called with each new outcome, which is then in the plan.

    Raises:
        UserError: If the disk has too little space.
        KeyboardInterrupt: After Ctrl-C; all results that had arrived are recorded.
    """
    jobs, ended = [*plan.missing, *plan.expected()], len(plan.outcomes)
    workers = executor.workers
    networks_folder = children.run.artifacts or children.folder
    _announce(plan, reusable, networks_folder, workers=workers)
    with (
        show_progress(jobs, ended=ended, workers=workers) as progress,
        delayed_interrupt(executor.stop) as interrupt,
    ):
        scheduler = Scheduler(plan, children, reusable, progress, on_outcome)
        for result in executor.run(compute_training_run, scheduler.tasks(interrupt)):
            scheduler.record(result)
    done = f"{len(plan.outcomes):,} of {ended + len(jobs):,} training runs"
    interrupt.check(f"stopped after {done}: {RESUME}")


def _announce(
    plan: Plan, reusable: ReusableRuns, folder: Path, *, workers: int
) -> None:
    """Print how much is to be trained; check that the disk has space for it."""
    reusable.find(plan.untrained)
    to_train = [job for job in plan.untrained if not reusable.has(job)]
    size = recorded_bytes([*plan.untrained, *plan.expected()])
    if count := len(to_train) + len(plan.expected()):
        runs = counted(count, "training run")
        at_a_time = f", {workers} at a time" if workers > 1 else ""
        say(f"{runs}{at_a_time}: {format_bytes(size)} of disk space")
    check_space(size, folder)


@dataclass(frozen=True)
class Scheduler:
    """Gives jobs to workers, and adds their outcomes to the plan."""

    plan: Plan
    children: Children
    reusable: ReusableRuns
    progress: Progress
    on_outcome: OnResult

    def tasks(self, interrupt: Interrupt) -> Iterator[Task]:
        """Yield a task for each job to train, when a worker needs one.

        The jobs before it that need no training get their outcomes first, because the
        next suggestion of a search depends on them. After an interrupt, there are none.
        """
        for job in itertools.chain(self.plan.missing, self._suggested()):
            if interrupt.requested:
                return
            if outcome := self._without_training(job):
                self._add(outcome)
            else:
                arguments = {"hyperparameters": job.hyperparameters}
                yield Task(job.identity, job.data.path, arguments)

    def _without_training(self, job: Job) -> Outcome | None:
        """Record a job that is invalid, or whose results can be reused."""
        if job.error:
            return self.children.fail(job, job.error)
        reused = self.reusable.read(job)
        return self.children.record(job, *reused) if reused else None

    def _suggested(self) -> Iterator[Job]:
        for job in self.plan.suggest():
            self.reusable.find([job])
            yield job

    def record(self, result: Result) -> None:
        """Record what a worker has sent, or that it was lost, as a child."""
        job, children = self.plan.job(result.task.identity), self.children
        if not result.error:
            self._add(children.record(job, result.value))
        elif result.final:
            self._add(children.fail(job, result.error, result.traceback))
        else:
            children.fail_attempt(job, result.error)
            self.progress.add_attempt(job, result.error)

    def _add(self, outcome: Outcome) -> None:
        self.plan.add(outcome)
        self.progress.add(outcome)
        self.on_outcome(outcome)
