"""Runs a sweep: many training runs under one parent run, with one report.

Its folder is outputs/sweeps/<digest of settings, data and code>-<random>/. After an
interruption of any kind, the same command continues in this folder.
"""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline import UserError
from pipeline.cli import HYPERPARAMETERS, Command
from pipeline.paths import store_dir
from pipeline.process import RESUME
from pipeline.sweeps.data import prepare_data
from pipeline.sweeps.estimate import Estimate, estimate
from pipeline.sweeps.executor import Executor, Task
from pipeline.sweeps.identity import (
    RESULTS,
    common_values,
    digest,
    is_finished,
    open_folder,
    read_plan,
    sweep_name,
)
from pipeline.sweeps.jobs import Grid, Job, combine
from pipeline.sweeps.outcomes import Outcome, ResultsFile
from pipeline.sweeps.progress import show_progress
from pipeline.sweeps.report import Report
from pipeline.sweeps.workers import new_executor, training_bytes
from pipeline.terminal import status, wrap

if TYPE_CHECKING:
    from pipeline.sweeps.record import SweepRecord
    from pipeline.sweeps.search import Search
    from pipeline.tracking import RecordedRun, Tracker

TRAINING = "pipeline.training.task"  # the module that workers import first


def run_sweep(command: Command) -> None:
    """Train the missing jobs of a sweep, then write, record and print its report.

    Raises:
        UserError: If jobs are invalid or failed; the others are trained first.
    """
    grid = combine(command)
    name = command.values["run_name"] or sweep_name(grid, command.intervals)
    print(wrap(f"sweep {name}"), flush=True)
    grid, data = prepare_data(grid)
    valid = [job for job in grid if not job.problems]
    values, identity = valid[0].values, digest(grid, data, command.intervals)
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder(identity, grid, command))
        plan, results = read_plan(folder, grid, command), ResultsFile(folder / RESULTS)
        workload, executor = [*plan.jobs, *plan.expected()], None
        if not is_finished(plan, folder):
            # The workers import PyTorch while this process imports MLflow.
            executor = stack.enter_context(_new_executor(values, workload))
        with status("loading PyTorch"):
            from pipeline.sweeps.record import SweepRecord
        tracker, lease = _open_tracker(values), f"sweeps/{folder.name}"
        finished = tracker.finished_run(lease=lease) if executor is None else None
        if finished:
            record = SweepRecord(finished, folder, data, results)
            record.restore(plan.jobs)
            if len(record.outcomes) == len(plan.jobs):
                _print_finished(record, plan.jobs, title=name)
                return
        if executor is None:  # runs were deleted in MLflow
            executor = stack.enter_context(_new_executor(values, workload))
        with tracker.start_run(
            name=name,
            # Without swept values: as text (5,10), MLflow could not plot them.
            params=common_values(valid),
            tags={"kind": "sweep", "sweep": folder.name},
            lease=lease,
        ) as run:
            record = SweepRecord(run, folder, data, results)
            record.restore(plan.jobs)
            report = Report(folder, run, title=name)
            _train(plan, record, report, executor, tracker)
            with status("writing and recording the report"):
                report.finish()
            try:
                with status("adding images and a program to the best network"):
                    record.add_details(plan.jobs)
            finally:
                report.print()
            _raise_failures(record)


def _train(
    plan: "Grid | Search",
    record: "SweepRecord",
    report: Report,
    executor: Executor,
    tracker: "Tracker",
) -> None:
    """Reuse finished training runs of the store, and train the others.

    Raises:
        KeyboardInterrupt: After Ctrl-C; all results that had arrived are recorded.
    """
    from pipeline.training import delayed_interrupt, train_setting

    jobs, more = plan.jobs, plan.expected()
    missing = [job for job in jobs if job.name not in record.outcomes]
    finished = _finished_runs([*missing, *more], executor, tracker)
    find = partial(record.find, finished=finished, processors=executor.processors)
    new = [job for job in missing if not job.problems and not find(job)]
    expected = _estimate([*new, *more], record, executor)
    names = [job.short_name for job in (*jobs, *more)]
    with (
        show_progress(
            expected, total=len(names), finished=len(jobs) - len(missing), names=names
        ) as progress,
        delayed_interrupt(executor.stop) as interrupt,
    ):

        def add(outcome: Outcome) -> None:
            progress.add(outcome)
            report.add(outcome)
            plan.add(outcome)

        for outcome in record.ordered(jobs):
            report.add(outcome)
            plan.add(outcome)
        training: dict[str, Job] = {}
        candidates = itertools.chain(missing, plan.suggest())
        pending = itertools.takewhile(lambda _: not interrupt.requested, candidates)
        tasks = _new_tasks(pending, record, find, add, training)
        results = executor.run(
            train_setting,
            {name: file.path for name, file in record.data.items()},
            # A suggestion depends on results; other jobs are known before any ends.
            tasks if more else [*tasks],
            ahead=not more,
        )
        for result in results:
            job = training[result.task.key]
            if not result.error:
                add(record.add(job, result.value))
            elif result.final:
                add(record.fail(job, result.error, result.traceback))
            else:
                record.fail_attempt(job, result.error)
                progress.add_attempt(job, result.error)
    count = f"{len(record.outcomes):,} of {len(names):,} training runs"
    interrupt.check(f"stopped after {count}; {RESUME}")


def _new_tasks(
    jobs: Iterable[Job],
    record: "SweepRecord",
    find: Callable[[Job], "RecordedRun | None"],
    add: Callable[[Outcome], None],
    training: dict[str, Job],
) -> Iterator[Task]:
    """Yield the tasks of a sweep; add the outcomes of jobs that need no training.

    Args:
        jobs: The jobs, of which no two are equal.
        record: The record of the sweep.
        find: Returns a finished run with the result that a job would have, if any.
        add: Adds an outcome.
        training: Receives the job of each task, by name.
    """
    for job in jobs:
        if job.problems:
            add(record.fail(job, "; ".join(job.problems)))
        elif outcome := record.reuse(job, find(job)):
            add(outcome)
        else:
            training[job.name] = job
            arguments = {key: job.values[key] for key in HYPERPARAMETERS}
            yield Task(job.name, arguments.pop("dataset"), arguments)


def _finished_runs(
    jobs: Sequence[Job], executor: Executor, tracker: "Tracker"
) -> dict[str, "RecordedRun"]:
    """Return the finished training runs that jobs can reuse, by identity."""
    from pipeline.training import identity_prefix

    finished: dict[str, RecordedRun] = {}
    if jobs and not jobs[0].values["again"]:
        for processor in executor.processors:
            prefix = identity_prefix(processor=processor)
            finished |= tracker.finished_trainings(prefix)
    return finished


def _estimate(
    jobs: Sequence[Job], record: "SweepRecord", executor: Executor
) -> Estimate:
    """Print what the jobs need; raise a UserError if the disk is too small."""
    images = {name: file.train_images for name, file in record.data.items()}
    valid = [job for job in jobs if not job.problems]
    expected = estimate(valid, images, workers=executor.workers)
    if valid:
        print(expected)
    expected.check_space(record.folder)
    return expected


def _raise_failures(record: "SweepRecord") -> None:
    """Raise a UserError with the jobs that failed, if any."""
    failed = [outcome for outcome in record.outcomes.values() if outcome.error]
    if not failed:
        return
    if tracebacks := [outcome.traceback for outcome in failed if outcome.traceback]:
        print(tracebacks[0], file=sys.stderr)
    names = ", ".join(outcome.job.name for outcome in failed)
    count = len(record.outcomes)
    raise UserError(f"{len(failed)} of {count} training runs failed: {names}")


def _new_executor(values: Mapping[str, Any], jobs: Sequence[Job]) -> Executor:
    """Return the executor that the key `executor` names."""
    return new_executor(
        values["executor"],
        workers=values["workers"],
        tasks=sum(job.config is not None for job in jobs),
        task_bytes=training_bytes(jobs),
        modules=[TRAINING],
    )


def _open_tracker(values: Mapping[str, Any]) -> "Tracker":
    from pipeline import tracking

    return tracking.open_tracker(
        values["tracking"],
        store_dir(),
        server=values["server"],
        experiment=values["experiment_name"],
    )


def _print_finished(record: "SweepRecord", jobs: Sequence[Job], *, title: str) -> None:
    """Print the report of a finished sweep; write it again if it was deleted."""
    print("this sweep is finished; again=true trains it again")
    report = Report(record.folder, record.run, title=title)
    for outcome in record.ordered(jobs):
        report.add(outcome)
    if not (record.folder / "sweep.csv").exists():
        report.write()
    report.print()
