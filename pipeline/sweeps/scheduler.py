"""Trains the missing jobs of a sweep in the workers of an executor."""

import itertools
from collections.abc import Iterator

from pipeline.call import say
from pipeline.execution.executor import Executor, Result, Task
from pipeline.execution.interrupt import delayed_interrupt
from pipeline.process import RESUME
from pipeline.sweeps.children import Children
from pipeline.sweeps.estimate import check_space, describe_work, recorded_bytes
from pipeline.sweeps.jobs import Job, OnResult, Outcome
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.progress import show_progress
from pipeline.sweeps.reuse import ReusableRuns
from pipeline.training.run import train_once


class Scheduler:
    """Gives jobs to workers, and adds what becomes of them to the plan."""

    def __init__(
        self,
        plan: Plan,
        children: Children,
        reusable: ReusableRuns,
        executor: Executor,
        on_outcome: OnResult,
    ) -> None:
        """Store the parts; `on_outcome` is called with each new outcome."""
        self._plan, self._children, self._reusable = plan, children, reusable
        self._executor, self._on_outcome = executor, on_outcome

    def run(self) -> None:
        """Train the missing jobs, or copy runs of the store.

        Raises:
            UserError: If the disk has too little space.
            KeyboardInterrupt: After Ctrl-C; all results that had arrived are recorded.
        """
        plan, executor = self._plan, self._executor
        jobs, ended = [*plan.missing, *plan.expected()], len(plan.outcomes)
        self._announce()
        with (
            show_progress(
                jobs, ended=ended, workers=executor.workers
            ) as self._progress,
            delayed_interrupt(executor.stop) as self._interrupt,
        ):
            for result in executor.run(train_once, self._tasks()):
                self._record(plan.job(result.task.key), result)
        done = f"{len(plan.outcomes):,} of {ended + len(jobs):,} training runs"
        self._interrupt.check(f"stopped after {done}; {RESUME}")

    def _announce(self) -> None:
        """Print how much is to be trained; check that the disk has space for it."""
        plan = self._plan
        valid = [job for job in plan.missing if not job.problems]
        self._reusable.find(valid)
        to_train = [job for job in valid if not self._reusable.has(job)]
        size = recorded_bytes(valid) + recorded_bytes(plan.expected())
        if count := len(to_train) + len(plan.expected()):
            say(describe_work(count, self._executor.workers, size))
        check_space(size, self._children.folder)

    def _tasks(self) -> Iterator[Task]:
        """Yield a task for each job to train, when a worker needs one.

        The jobs before it that need no training get their outcomes first, because the
        next suggestion of a search depends on them.
        """
        for job in itertools.chain(self._plan.missing, self._suggested()):
            if self._interrupt.requested:
                return
            if outcome := self._outcome_without_training(job):
                self._add(outcome)
            else:
                assert job.data
                arguments = {"hyperparameters": job.hyperparameters}
                yield Task(job.key, job.data.path, arguments)

    def _suggested(self) -> Iterator[Job]:
        for job in self._plan.suggest():
            self._reusable.find([job])
            yield job

    def _outcome_without_training(self, job: Job) -> Outcome | None:
        """Record an invalid job, or one for which there is a run, as a child."""
        if job.problems:
            return self._children.fail(job, "; ".join(job.problems))
        training = self._reusable.read(job)
        return self._children.record(job, training) if training else None

    def _record(self, job: Job, result: Result) -> None:
        """Record what a worker has sent, or that it was lost, as a child."""
        children = self._children
        if not result.error:
            self._add(children.record(job, result.value))
        elif result.final:
            self._add(children.fail(job, result.error, result.traceback))
        else:
            children.fail_attempt(job, result.error)
            self._progress.add_attempt(job, result.error)

    def _add(self, outcome: Outcome) -> None:
        self._plan.add(outcome)
        self._progress.add(outcome)
        self._on_outcome(outcome)
