"""Runs a sweep: many training runs under one parent run, with one report.

Its folder is outputs/sweeps/<digest of settings, data and code>-<random>/. After an
interruption of any kind, the same command continues in this folder.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from pipeline.sweeps.jobs import Job, combine
from pipeline.sweeps.outcomes import Outcome, ResultsFile
from pipeline.sweeps.progress import show_progress
from pipeline.sweeps.report import Report
from pipeline.sweeps.workers import choose_workers
from pipeline.terminal import status, wrap

if TYPE_CHECKING:
    from pipeline.sweeps.record import SweepRecord
    from pipeline.tracking import RecordedRun, Tracker

MAX_VALUES = 8  # of a key in the name of a sweep
RESULTS = "results.jsonl"  # in the folder of a sweep
TRAINING = "pipeline.training.task"  # the module that workers import first


def run_sweep(command: Command) -> None:
    """Train the missing jobs of a sweep, then write, record and print its report.

    Raises:
        UserError: If jobs are invalid or failed; the others are trained first.
    """
    jobs = combine(command)
    name = command.values["run_name"] or sweep_name(jobs)
    print(wrap(f"sweep {name}"), flush=True)
    jobs, data = prepare_data(jobs)
    valid = [job for job in jobs if not job.problems]
    values, digest = valid[0].values, _digest(jobs, data)
    with ExitStack() as stack:
        folder = stack.enter_context(_open_folder(digest, valid, again=values["again"]))
        results, executor = ResultsFile(folder / RESULTS), None
        if not results.contains(valid):
            # The workers import PyTorch while this process imports MLflow.
            executor = stack.enter_context(_new_executor(values, valid))
        with status("loading PyTorch"):
            from pipeline.sweeps.record import SweepRecord
        tracker, lease = _open_tracker(values), f"sweeps/{folder.name}"
        finished = tracker.finished_run(lease=lease) if executor is None else None
        if finished:
            record = SweepRecord(finished, folder, data, results)
            record.restore(valid)
            if len(record.outcomes) == len(jobs):
                _print_finished(record, jobs, title=name)
                return
        if executor is None:  # runs were deleted in MLflow
            executor = stack.enter_context(_new_executor(values, valid))
        with tracker.start_run(
            name=name,
            # Without swept values: as text (5,10), MLflow could not plot them.
            params=_common_values(valid),
            tags={"kind": "sweep", "sweep": folder.name},
            lease=lease,
        ) as run:
            record = SweepRecord(run, folder, data, results)
            record.restore(valid)
            report = Report(folder, run, title=name)
            _train(jobs, record, report, executor, tracker)
            with status("writing and recording the report"):
                report.finish()
            report.print()
            _raise_failures(record, len(jobs))


def _train(
    jobs: Sequence[Job],
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

    missing = [job for job in jobs if job.name not in record.outcomes]
    sources = _finished_runs(missing, record, executor, tracker)
    new = [job for job in missing if not job.problems and job.name not in sources]
    expected = _estimate(new, record, executor)
    print(expected)
    expected.check_space(record.folder)
    with (
        show_progress(
            expected,
            total=len(jobs),
            finished=len(jobs) - len(missing),
            names=[job.short_name for job in jobs],
        ) as progress,
        _stopping(executor) as is_stopped,
    ):

        def add(outcome: Outcome) -> None:
            progress.add(outcome)
            report.add(outcome)

        for outcome in record.ordered(jobs):
            report.add(outcome)
        tasks = {job.name: job for job in new}
        for job in missing:
            if is_stopped():
                break
            if job.problems:
                add(record.fail(job, "; ".join(job.problems)))
            elif job.name in sources:
                if copied := record.reuse(job, sources[job.name]):
                    add(copied)
                else:
                    tasks[job.name] = job
        paths = {name: file.path for name, file in record.data.items()}
        results = executor.run(
            train_setting,
            paths,
            (_task(job) for job in tasks.values()),
            ahead=executor.workers,
        )
        for result in () if is_stopped() else results:
            job = tasks[result.task.key]
            if not result.error:
                add(record.add(job, result.value))
            elif result.final:
                add(record.fail(job, result.error, result.traceback))
            else:
                record.fail_attempt(job, result.error)
                progress.add_attempt(job, result.error)
    if is_stopped():
        count = f"{len(record.outcomes)} of {len(jobs)} training runs"
        raise KeyboardInterrupt(f"stopped after {count}; {RESUME}")


def _task(job: Job) -> Task:
    arguments = {key: job.values[key] for key in HYPERPARAMETERS if key != "dataset"}
    return Task(job.name, job.values["dataset"], arguments)


def _finished_runs(
    jobs: Sequence[Job],
    record: "SweepRecord",
    executor: Executor,
    tracker: "Tracker",
) -> dict[str, "RecordedRun"]:
    """Return the runs of the store that make training unnecessary, by job."""
    from pipeline.training import identity_prefix

    valid = [job for job in jobs if not job.problems]
    if not valid or valid[0].values["again"]:
        return {}
    finished: dict[str, RecordedRun] = {}
    for processor in executor.processors:
        prefix = identity_prefix(processor=processor)
        finished |= tracker.finished_trainings(prefix)
    found = {job.name: record.find(job, finished) for job in valid}
    return {name: run for name, run in found.items() if run}


def _estimate(
    jobs: Sequence[Job], record: "SweepRecord", executor: Executor
) -> Estimate:
    images = {name: file.train_images for name, file in record.data.items()}
    valid = [job for job in jobs if not job.problems]
    tracked = record.run.id is not None
    return estimate(valid, images, workers=executor.workers, tracked=tracked)


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


def _raise_failures(record: "SweepRecord", count: int) -> None:
    """Raise a UserError with the jobs that failed, if any."""
    failed = [outcome for outcome in record.outcomes.values() if outcome.error]
    if not failed:
        return
    if tracebacks := [outcome.traceback for outcome in failed if outcome.traceback]:
        print(tracebacks[0], file=sys.stderr)
    names = ", ".join(outcome.job.name for outcome in failed)
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


def sweep_name(jobs: Sequence[Job]) -> str:
    """Return the options of a sweep, such as "hidden=5,10 seed=1,2,3 epochs=5".

    If a key has more than `MAX_VALUES` values, only the first two and the last appear.
    """
    swept = {}
    for key in jobs[0].swept:
        values = list(dict.fromkeys(job.tags[key] for job in jobs))
        if len(values) > MAX_VALUES:
            values = [*values[:2], "…", values[-1]]
        swept[key] = ",".join(values)
    default_values = committed_defaults()
    others = {k: v for k, v in _common_values(jobs).items() if v != default_values[k]}
    return printable(" ".join(f"{k}={v}" for k, v in {**swept, **others}.items()))


def _common_values(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the displayed hyperparameters that all jobs have in common."""
    job = next(job for job in jobs if not job.problems)
    return {key: job.displayed[key] for key in HYPERPARAMETERS if key not in job.swept}


def _digest(jobs: Sequence[Job], data: Mapping[str, DataFile]) -> str:
    """Return a digest that identifies a sweep: settings, data, code and PyTorch."""
    from pipeline.tracking import provenance, sources

    keys = (*HYPERPARAMETERS, "tracking", "again")
    settings = sorted(str([job.values[key] for key in keys]) for job in jobs)
    hashes = {name: file.sha256 for name, file in data.items()}
    versions = [sources.training_hashes(), provenance.version("torch")]
    identity = [list(jobs[0].swept), settings, hashes, versions]
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@contextmanager
def _open_folder(digest: str, jobs: Sequence[Job], *, again: bool) -> Iterator[Path]:
    """Lock the folder of a sweep: the latest with this digest, or a new one.

    If the jobs are to be trained again, a finished sweep is not continued.
    """
    sweeps = store_dir() / "sweeps"
    waiting = "waiting for another process, which is running the same sweep"
    with files.lock(sweeps / f".{digest}.lock", waiting=waiting):
        existing = sorted(sweeps.glob(f"{digest}-*"), key=os.path.getmtime)
        folder = existing[-1] if existing else None
        if folder is None or (again and ResultsFile(folder / RESULTS).contains(jobs)):
            folder = sweeps / f"{digest}-{uuid4().hex[:4]}"
        with files.lock(folder / "lock", waiting=waiting):
            yield folder
