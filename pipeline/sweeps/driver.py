"""Runs a sweep: many training runs under one parent run, with one report.

Its folder is outputs/sweeps/<digest of settings, data and code>-<random>/. After an
interruption of any kind, the same command continues in this folder.
"""

import hashlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pipeline import UserError, files
from pipeline.cli import HYPERPARAMETERS, Command, committed_defaults
from pipeline.files import printable
from pipeline.paths import store_dir
from pipeline.process import RESUME
from pipeline.sweeps.data import DataFile, prepare_data
from pipeline.sweeps.estimate import Estimate, estimate
from pipeline.sweeps.executor import Executor, Task
from pipeline.sweeps.jobs import Grid, Job, combine
from pipeline.sweeps.outcomes import Outcome, ResultsFile
from pipeline.sweeps.progress import show_progress
from pipeline.sweeps.report import Report
from pipeline.sweeps.workers import choose_workers
from pipeline.terminal import status, wrap

if TYPE_CHECKING:
    from pipeline.sweeps.record import SweepRecord
    from pipeline.sweeps.search import Search
    from pipeline.tracking import RecordedRun, Tracker

MAX_VALUES = 8  # of a key in the name of a sweep
RESULTS, SEARCH = "results.jsonl", "search.log"  # in the folder of a sweep
TRAINING = "pipeline.training.task"  # the module that workers import first


def run_sweep(command: Command) -> None:
    """Train the missing jobs of a sweep, then write, record and print its report.

    Raises:
        UserError: If jobs are invalid or failed; the others are trained first.
    """
    grid = combine(command)
    name = command.values["run_name"] or sweep_name(grid, command)
    print(wrap(f"sweep {name}"), flush=True)
    grid, data = prepare_data(grid)
    valid = [job for job in grid if not job.problems]
    values, digest = valid[0].values, _digest(grid, data, command)
    with ExitStack() as stack:
        folder = stack.enter_context(_open_folder(digest, grid, command))
        plan, results = _read_plan(folder, grid, command), ResultsFile(folder / RESULTS)
        workload, executor = [*plan.jobs, *plan.expected()], None
        if not _is_finished(plan, folder):
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
            params=_common_values(valid),
            tags={"kind": "sweep", "sweep": folder.name},
            lease=lease,
        ) as run:
            record = SweepRecord(run, folder, data, results)
            record.restore(plan.jobs)
            report = Report(folder, run, title=name)
            _train(plan, record, report, executor, tracker)
            with status("writing and recording the report"):
                report.finish()
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
    from pipeline.training import train_setting

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
        _stopping(executor) as is_stopped,
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
        pending = itertools.takewhile(lambda _: not is_stopped(), candidates)
        tasks = _new_tasks(pending, record, find, add, training)
        results = executor.run(
            train_setting,
            {name: file.path for name, file in record.data.items()},
            # A suggestion depends on results; other jobs are known before any ends.
            tasks if more else [*tasks],
            ahead=0 if more else executor.workers,
        )
        for result in () if is_stopped() else results:
            job = training[result.task.key]
            if not result.error:
                add(record.add(job, result.value))
            elif result.final:
                add(record.fail(job, result.error, result.traceback))
            else:
                record.fail_attempt(job, result.error)
                progress.add_attempt(job, result.error)
    if is_stopped():
        count = f"{len(record.outcomes)} of {len(names)} training runs"
        raise KeyboardInterrupt(f"stopped after {count}; {RESUME}")


def _new_tasks(
    jobs: Iterable[Job],
    record: "SweepRecord",
    find: Callable[[Job], "RecordedRun | None"],
    add: Callable[[Outcome], None],
    training: dict[str, Job],
) -> Iterator[Task]:
    """Yield the tasks of a sweep; add the outcomes of jobs that need no training.

    Args:
        jobs: The jobs; those of a search can be equal to earlier ones.
        record: What is known of the sweep.
        find: Returns a finished run that equals the training of a job, if any.
        add: Adds an outcome.
        training: Gets the job of each task, by name.
    """
    for job in jobs:
        if job.problems:
            add(record.fail(job, "; ".join(job.problems)))
        elif job.name in record.outcomes:
            add(record.outcomes[job.name])
        elif outcome := record.reuse(job, find(job)):
            add(outcome)
        elif job.name not in training:
            training[job.name] = job
            arguments = {key: job.values[key] for key in HYPERPARAMETERS}
            yield Task(job.name, arguments.pop("dataset"), arguments)


def _finished_runs(
    jobs: Sequence[Job], executor: Executor, tracker: "Tracker"
) -> dict[str, "RecordedRun"]:
    """Return the runs of the store that can make training unnecessary, by identity."""
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
    tracked = record.run.id is not None
    expected = estimate(valid, images, workers=executor.workers, tracked=tracked)
    print(expected)
    expected.check_space(record.folder)
    return expected


@contextmanager
def _stopping(executor: Executor) -> Iterator[Callable[[], bool]]:
    """After Ctrl-C, let the executor stop; a second Ctrl-C stops at once.

    Yields:
        A function that returns whether Ctrl-C was pressed.
    """
    pressed: list[bool] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt(f"stopped; {RESUME}")
        pressed.append(True)
        executor.stop()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, previous)


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
    if values["executor"] == "ray":
        from pipeline.sweeps.cluster import RayExecutor

        return RayExecutor()
    from pipeline.sweeps.local import LocalExecutor

    return LocalExecutor(choose_workers(values["workers"], jobs), modules=[TRAINING])


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


def sweep_name(jobs: Sequence[Job], command: Command) -> str:
    """Return the options of a sweep, such as "hidden=5,10 seed=1,2,3 epochs=5".

    If a key has more than `MAX_VALUES` values, only the first two and the last appear;
    an interval appears as "hidden=4..128".
    """
    swept = {}
    for key in jobs[0].swept:
        values = list(dict.fromkeys(job.tags[key] for job in jobs))
        if len(values) > MAX_VALUES:
            values = [*values[:2], "…", values[-1]]
        swept[key] = ",".join(values)
    for key, interval in command.intervals.items():
        swept[key] = f"{interval.low}..{interval.high}"
    default_values = committed_defaults()
    others = {k: v for k, v in _common_values(jobs).items() if v != default_values[k]}
    return printable(" ".join(f"{k}={v}" for k, v in {**swept, **others}.items()))


def _common_values(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the displayed hyperparameters that all jobs have in common."""
    job = next(job for job in jobs if not job.problems)
    return {key: job.displayed[key] for key in HYPERPARAMETERS if key not in job.swept}


def _digest(jobs: Sequence[Job], data: Mapping[str, DataFile], command: Command) -> str:
    """Return a digest that identifies a sweep: settings, data, code and PyTorch."""
    from pipeline.tracking import provenance, sources

    keys = (*HYPERPARAMETERS, "tracking", "again")
    settings = sorted(str([job.values[key] for key in keys]) for job in jobs)
    intervals = sorted(map(str, command.intervals.items()))
    hashes = {name: file.sha256 for name, file in data.items()}
    versions = [sources.training_hashes(), provenance.version("torch")]
    identity = [list(jobs[0].swept), settings, intervals, hashes, versions]
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@contextmanager
def _open_folder(digest: str, grid: Sequence[Job], command: Command) -> Iterator[Path]:
    """Lock the folder of a sweep: the latest with this digest, or a new one.

    If the jobs are to be trained again, a finished sweep is not continued.
    """
    sweeps = store_dir() / "sweeps"
    waiting = "waiting for another process, which is running the same sweep"
    with files.lock(sweeps / f".{digest}.lock", waiting=waiting):
        existing = sorted(sweeps.glob(f"{digest}-*"), key=os.path.getmtime)
        folder = existing[-1] if existing else None
        if folder and command.values["again"]:
            plan = _read_plan(folder, grid, command)
            folder = None if _is_finished(plan, folder) else folder
        folder = folder or sweeps / f"{digest}-{uuid4().hex[:4]}"
        with files.lock(folder / "lock", waiting=waiting):
            yield folder


def _read_plan(folder: Path, grid: Sequence[Job], command: Command) -> "Grid | Search":
    """Return the plan of a sweep; that of a search depends on its journal."""
    if not command.intervals:
        return Grid(grid)
    from pipeline.sweeps.search import Search

    trials = command.values["trials"]
    return Search(folder / SEARCH, grid, command.intervals, trials)


def _is_finished(plan: "Grid | Search", folder: Path) -> bool:
    """Return whether all jobs are trained."""
    results = ResultsFile(folder / RESULTS)
    valid = [job for job in plan.jobs if not job.problems]
    return results.contains(valid) and not plan.expected()
