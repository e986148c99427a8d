"""Trains the jobs of a sweep, and records them and the report under its run."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.call import say
from pipeline.execution.executor import Executor, Task
from pipeline.execution.interrupt import delayed_interrupt
from pipeline.paths import store_dir
from pipeline.process import RESUME
from pipeline.sweeps.children import Children, Reusable, find_reusable, read_first
from pipeline.sweeps.configurations import best_of
from pipeline.sweeps.estimate import check_space, describe_work, recorded_bytes
from pipeline.sweeps.jobs import Job, common_values
from pipeline.sweeps.outcomes import Earlier, Outcome
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.progress import show_progress
from pipeline.sweeps.report import Report
from pipeline.sweeps.text import print_report
from pipeline.terminal import status
from pipeline.tracking import OpenRun, open_tracker
from pipeline.tracking.tags import KIND_TAG, SWEEP_TAG
from pipeline.training.run import train_once


def train_sweep(
    plan: Plan,
    earlier: Earlier,
    executor: Executor,
    values: Mapping[str, Any],
    *,
    name: str,
    key: str,
    folder: Path,
    on_result: Callable[[Outcome], object] | None,
) -> OpenRun:
    """Train the jobs that are not trained; write, record and print the report.

    Args:
        plan: The jobs.
        earlier: What earlier processes have recorded of this sweep.
        executor: Its workers are running.
        values: Of all settings; those that the sweep varies are not used.
        name: The name of the run.
        key: The `sweep_key`.
        folder: For the table and the plot, and the networks if nothing is recorded.
        on_result: A function to call with each outcome.

    Returns:
        The run, which is closed.

    Raises:
        UserError: If jobs are invalid or failed; the others are trained first.
    """
    tracker = open_tracker(
        values["tracking"],
        store_dir(),
        server=values["server"],
        experiment=values["experiment_name"],
    )
    jobs = [*plan.jobs, *plan.expected()]
    with tracker.start_run(
        name=name,
        # Without swept values: as text (5,10), MLflow could not plot them.
        params=common_values(jobs),
        tags={KIND_TAG: "sweep", SWEEP_TAG: key},
        resume=earlier.run.run_id if earlier.run else None,
    ) as run:
        run.delete_unfinished_children()
        report = Report(run, folder, plan.outcomes, title=name)
        children = Children(run, key, folder, earlier)
        can_reuse = run.id is not None and not values["again"]
        _Training(plan, children, report, executor, can_reuse, on_result).run()
        with status("writing and recording the report"):
            report.finish()
        try:
            if best := best_of(plan.outcomes):
                with status("adding images and a program to the best network"):
                    children.record_best(best)
        finally:
            print_report(plan.outcomes, folder, run.viewing_hint())
        _raise_failures(plan.outcomes)
    return run


class _Training:
    """The training of the missing jobs of a plan."""

    def __init__(
        self,
        plan: Plan,
        children: Children,
        report: Report,
        executor: Executor,
        can_reuse: bool,
        on_result: Callable[[Outcome], object] | None,
    ) -> None:
        """Store the parts, and find the runs of the store that can be reused."""
        self._plan, self._children, self._report = plan, children, report
        self._executor, self._can_reuse = executor, can_reuse
        self._on_result = on_result
        valid = [job for job in plan.missing if not job.problems]
        self._reusable = self._find_reusable(valid)
        self._to_train = [j for j in valid if j.fingerprint not in self._reusable]

    def _find_reusable(self, jobs: Sequence[Job]) -> Reusable:
        return find_reusable(jobs, self._executor.processors) if self._can_reuse else {}

    def run(self) -> None:
        """Train the missing jobs, or copy runs of the store.

        Raises:
            UserError: If the disk has too little space.
            KeyboardInterrupt: After Ctrl-C; all results that had arrived are recorded.
        """
        plan, children, executor = self._plan, self._children, self._executor
        jobs = [*plan.jobs, *plan.expected()]
        count = len(self._to_train) + len(plan.expected())
        size = recorded_bytes([job for job in plan.missing if not job.problems])
        size += recorded_bytes(plan.expected())
        if count:
            say(describe_work(count, executor.workers, size))
        check_space(size, self._report.folder)
        with (
            show_progress(
                jobs, ended=len(plan.outcomes), workers=executor.workers
            ) as self._progress,
            delayed_interrupt(executor.stop) as self._interrupt,
        ):
            for result in executor.run(train_once, self._tasks()):
                job = plan.job(result.task.key)
                if not result.error:
                    self._add(children.record(job, result.value))
                elif result.final:
                    self._add(children.fail(job, result.error, result.traceback))
                else:
                    children.fail_attempt(job, result.error)
                    self._progress.add_attempt(job, result.error)
        ended = f"{len(plan.outcomes):,} of {len(jobs):,} training runs"
        self._interrupt.check(f"stopped after {ended}; {RESUME}")

    def _tasks(self) -> Iterator[Task]:
        """Yield the jobs to train; record the others, before a worker needs one."""
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
            self._reusable |= self._find_reusable([job])
            yield job

    def _outcome_without_training(self, job: Job) -> Outcome | None:
        """Record an invalid job, or one for which there is a run, as a child."""
        if job.problems:
            return self._children.fail(job, "; ".join(job.problems))
        training = read_first(self._reusable.get(job.fingerprint, []))
        return self._children.record(job, training) if training else None

    def _add(self, outcome: Outcome) -> None:
        self._plan.add(outcome)
        self._progress.add(outcome)
        self._report.update()
        if self._on_result:
            self._on_result(outcome)


def _raise_failures(outcomes: Sequence[Outcome]) -> None:
    """Raise a UserError with the jobs that failed, if any."""
    failed = [outcome for outcome in outcomes if outcome.error]
    if not failed:
        return
    if tracebacks := [outcome.traceback for outcome in failed if outcome.traceback]:
        say(tracebacks[0], file=sys.stderr)
    names = ", ".join(outcome.job.name for outcome in failed)
    raise UserError(f"{len(failed)} of {len(outcomes)} training runs failed: {names}")
