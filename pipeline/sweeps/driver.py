"""Runs a sweep: many training runs under one parent run, with one report.

Its folder is outputs/sweeps/<digest of settings, data and code>-<random>/. After an
interruption of any kind, the same command continues in this folder.
"""

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pipeline import UserError
from pipeline.cli import Command
from pipeline.paths import store_dir
from pipeline.process import RESUME
from pipeline.sweeps.data import prepare_data
from pipeline.sweeps.estimate import Estimate, estimate
from pipeline.sweeps.executor import Executor, Task
from pipeline.sweeps.identity import (
    common_values,
    digest,
    open_folder,
    read_plan,
    sweep_name,
    untrained,
)
from pipeline.sweeps.jobs import Grid, Job, combine
from pipeline.sweeps.outcomes import Outcome
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
        plan, results = read_plan(folder, grid, command)
        executor = None
        if workload := untrained(plan, results):
            # The workers import PyTorch while this process imports MLflow.
            executor = stack.enter_context(_new_executor(values, workload))
        with status("loading PyTorch"):
            from pipeline.sweeps.record import SweepRecord
        tracker, lease = _open_tracker(values), f"sweeps/{folder.name}"
        if not executor and (finished := tracker.finished_run(lease=lease)):
            record = SweepRecord(finished, folder, data, results)
            if not (missing := record.restore(plan.jobs)):
                print("this sweep is finished; again=true trains it again")
                Report(record, title=name).print()
                return
            # Runs were deleted in MLflow.
            executor = stack.enter_context(_new_executor(values, missing))
        with tracker.start_run(
            name=name,
            # Without swept values: as text (5,10), MLflow could not plot them.
            params=common_values(valid),
            tags={"kind": "sweep", "sweep": folder.name},
            lease=lease,
        ) as run:
            record = SweepRecord(run, folder, data, results)
            missing = record.restore(plan.jobs)
            if not executor:  # all valid jobs are trained, unless runs were deleted
                executor = stack.enter_context(_new_executor(values, missing))
            report = Report(record, title=name)
            _train(plan, missing, record, report, executor, tracker)
            with status("writing and recording the report"):
                report.finish()
            try:
                if report.best:
                    with status("adding images and a program to the best network"):
                        record.add_details(report.best)
            finally:
                report.print()
            _raise_failures(record)


def _train(
    plan: "Grid | Search",
    missing: Sequence[Job],
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

    for outcome in record.outcomes.values():
        plan.add(outcome)
    more = plan.expected()
    jobs = [*plan.jobs, *more]
    record.reusable = _reusable_runs([*missing, *more], executor, tracker)
    expected = _estimate(missing, more, record, executor)
    training: dict[str, Job] = {}
    with (
        show_progress(expected, jobs, finished=len(record.outcomes)) as progress,
        delayed_interrupt(executor.stop) as interrupt,
    ):

        def add(outcome: Outcome) -> None:
            progress.add(outcome)
            report.update()
            plan.add(outcome)

        def tasks() -> Iterator[Task]:
            for job in itertools.chain(missing, plan.suggest()):
                if interrupt.requested:
                    return
                if job.problems:
                    add(record.fail(job, "; ".join(job.problems)))
                elif outcome := record.reuse(job):
                    add(outcome)
                else:
                    training[job.name] = job
                    arguments = job.hyperparameters
                    data = record.data[arguments.pop("dataset")]
                    yield Task(job.name, data.path, arguments)

        for result in executor.run(train_setting, tasks()):
            job = training[result.task.key]
            if not result.error:
                add(record.add(job, result.value))
            elif result.final:
                add(record.fail(job, result.error, result.traceback))
            else:
                record.fail_attempt(job, result.error)
                progress.add_attempt(job, result.error)
    count = f"{len(record.outcomes):,} of {len(jobs):,} training runs"
    interrupt.check(f"stopped after {count}; {RESUME}")


def _reusable_runs(
    jobs: Sequence[Job], executor: Executor, tracker: "Tracker"
) -> dict[str, "RecordedRun"]:
    """Return the finished training runs that jobs can reuse; see `SweepRecord`."""
    from pipeline.training import identity_prefix

    reusable: dict[str, RecordedRun] = {}
    if jobs and not jobs[0].values["again"]:
        for prefix in map(identity_prefix, executor.processors):
            runs = tracker.finished_trainings(prefix)
            reusable |= {key.removeprefix(prefix): run for key, run in runs.items()}
    return reusable


def _estimate(
    missing: Sequence[Job],
    more: Sequence[Job],
    record: "SweepRecord",
    executor: Executor,
) -> Estimate:
    """Print what the jobs need; raise a UserError if the disk is too small.

    `more` are in the place of suggestions, which probably are not trained yet.
    """
    images = {name: file.train_images for name, file in record.data.items()}
    valid = [job for job in missing if not job.problems]
    trained = [*(job for job in valid if not record.find(job)), *more]
    expected = estimate(trained, [*valid, *more], images, workers=executor.workers)
    if trained:
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
    valid = [job for job in jobs if not job.problems]
    return new_executor(
        values["executor"],
        workers=values["workers"],
        tasks=len(valid),
        task_bytes=training_bytes(valid),
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
