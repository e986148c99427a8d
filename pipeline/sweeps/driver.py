"""Runs a sweep: many training runs under one parent run, with one report.

Its folder is outputs/sweeps/<digest of settings, data and code>-<random>/. After an
interruption of any kind, the same command continues in this folder.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pipeline import UserError, files
from pipeline.cli import HYPERPARAMETERS, Command, committed_defaults
from pipeline.files import printable
from pipeline.paths import outputs_dir, store_dir
from pipeline.process import RESUME
from pipeline.sweeps.jobs import Job, combine
from pipeline.sweeps.launch import launch_jobs
from pipeline.sweeps.outcomes import Outcome, print_progress, read_outcome
from pipeline.sweeps.report import Report
from pipeline.sweeps.state import missing_jobs, record_killed, restore_folders
from pipeline.terminal import status, wrap

if TYPE_CHECKING:
    from pipeline.tracking import ChildResult, Run, Tracker

MAX_VALUES = 8  # of a key in the name of a sweep


def run_sweep(train: Callable[..., object], command: Command) -> None:
    """Train the missing jobs of a sweep, then write, record and print its report.

    Args:
        train: Trains one job, given its configuration and a `RunContext`.
        command: The values of the sweep; at least one job is valid.

    Raises:
        UserError: If jobs are invalid or failed; the others are trained first.
    """
    from pipeline import tracking

    jobs = combine(command)
    values = next(job.values for job in jobs if not job.problems)
    launch = partial(launch_jobs, train, jobs)
    tracker = tracking.open_tracker(
        values["tracking"],
        store_dir(),
        server=values["server"],
        experiment=values["experiment_name"],
    )
    name = command.values["run_name"] or sweep_name(jobs)
    digest = _digest(jobs, _prepare_data(jobs))
    with _open_folder(digest, tracker, resume=not values["again"]) as folder:
        lease = f"sweeps/{folder.name}"
        finished = tracker.finished_run(lease=lease)
        if finished:
            restore_folders(jobs, folder, finished)
        if finished and not missing_jobs(jobs, folder):
            _print_finished(jobs, folder, finished, title=name)
            return
        with tracker.start_run(
            name=name,
            # Without swept values: as text (5,10), MLflow could not plot them.
            params=_common_values(jobs),
            tags={"kind": "sweep", "sweep": folder.name},
            lease=lease,
        ) as run:
            restore_folders(jobs, folder, run)
            missing = missing_jobs(jobs, folder)
            print(wrap(f"sweep {name}"))
            print(f"{_count_done(jobs, folder)} already finished")
            with _interruptible(jobs, folder), print_progress(jobs, missing, folder):
                error = _train(missing, folder, run, launch)
            with status("writing and recording the report"):
                outcomes = [read_outcome(job, folder) for job in jobs]
                report = Report(folder, run, title=name)
                for outcome in outcomes:
                    report.add(outcome)
                run.reconcile(
                    _child_result(each, sweep=folder.name) for each in outcomes
                )
                report.finish()
            report.print()
            if failed := [outcome.job.name for outcome in outcomes if outcome.error]:
                count = f"{len(failed)} of {len(jobs)} training runs failed"
                cause = f"{error}; " if error else ""
                message = f"{cause}{count}: {', '.join(failed)}"
                raise UserError("\n  ".join([message, *_program_errors(jobs, folder)]))


def _count_done(jobs: Sequence[Job], folder: Path) -> str:
    done = sum((folder / job.folder / "done").exists() for job in jobs)
    return f"{done} of {len(jobs)} training runs"


@contextmanager
def _interruptible(jobs: Sequence[Job], folder: Path) -> Iterator[None]:
    """After Ctrl-C or SIGTERM, report the number of finished jobs, not of epochs."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as interrupt:
        interrupt.args = (f"stopped after {_count_done(jobs, folder)}; {RESUME}",)
        raise


def _print_finished(
    jobs: Sequence[Job], folder: Path, run: "Run", *, title: str
) -> None:
    """Print the report of a finished sweep; write it again if it was deleted."""
    print("this sweep is finished; again=true trains it again")
    report = Report(folder, run, title=title)
    for job in jobs:
        report.add(read_outcome(job, folder))
    if not (folder / "sweep.csv").exists():
        report.write()
    report.print()


def _program_errors(jobs: Sequence[Job], folder: Path) -> list[str]:
    """Return a line with the path of a traceback if the program has an error."""
    paths = [folder / job.folder / "error.txt" for job in jobs]
    errors = [p for p in paths if p.exists() and "Traceback" in p.read_text()]
    hint = "this is an error in the program; its traceback is in"
    return [f"{hint} {path}" for path in errors[:1]]


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


def _prepare_data(jobs: Sequence[Job]) -> dict[str, str]:
    """Download the data sets of a sweep if necessary, and return their sha256 by name.

    If a data set is not available, its value is the type of the error.

    Raises:
        UserError, OSError: If none of the data sets is available.
    """
    from pipeline import datasets

    data, errors = {}, []
    for name in sorted({job.values["dataset"] for job in jobs if not job.problems}):
        try:
            path, _ = datasets.prepare(name, folder=outputs_dir() / "data")
            data[name] = datasets.summary(path)["sha256"]
        except (UserError, OSError) as error:  # its jobs fail with the same message
            data[name] = type(error).__name__
            errors.append(error)
    if len(errors) == len(data):
        raise errors[0]
    return data


def _digest(jobs: Sequence[Job], data: dict[str, str]) -> str:
    """Return a digest that identifies a sweep: settings, data, code and PyTorch."""
    from pipeline.tracking import provenance, sources

    keys = (*HYPERPARAMETERS, "tracking")
    settings = sorted(str([job.values[key] for key in keys]) for job in jobs)
    versions = [sources.training_hashes(), provenance.version("torch")]
    identity = [list(jobs[0].swept), settings, data, versions]
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@contextmanager
def _open_folder(digest: str, tracker: "Tracker", *, resume: bool) -> Iterator[Path]:
    """Lock the folder of a sweep: the latest with this digest, or a new one.

    If the folder was deleted but the store still has the sweep, its name is used again.
    """
    sweeps = store_dir() / "sweeps"
    waiting = "waiting for another process, which is running the same sweep"
    with files.lock(sweeps / f".{digest}.lock", waiting=waiting):
        folders = [sweeps / f"{digest}-{uuid4().hex[:4]}"]
        if resume:
            existing = sorted(sweeps.glob(f"{digest}-*"), key=os.path.getmtime)
            leases = tracker.leases(f"sweeps/{digest}-")
            folders += [store_dir() / lease for lease in leases[:1]] + existing
        with files.lock(folders[-1] / "lock", waiting=waiting):
            yield folders[-1]


def _train(
    missing: Sequence[Job],
    folder: Path,
    run: "Run",
    launch: Callable[[Path, Mapping[str, str]], None],
) -> Exception | None:
    """Launch until each missing job is done or has failed.

    Returns:
        The error of the launcher itself, if any.
    """
    tags = {"sweep": folder.name, **run.child_tags()}
    for _ in missing:  # each launch finishes at least one of the jobs
        try:
            launch(folder, tags)
            break
        except BrokenExecutor:  # the system killed a worker
            record_killed(missing, folder, run)
        except (OSError, UserError) as error:
            return error
    return None


def _child_result(outcome: Outcome, *, sweep: str) -> "ChildResult":
    from pipeline.tracking import ChildResult

    job = outcome.job
    params = {key: str(job.values[key]) for key in HYPERPARAMETERS}
    tags = {"kind": "training", "sweep": sweep, **job.tags}
    return ChildResult(job.name, params, tags, outcome.error)
