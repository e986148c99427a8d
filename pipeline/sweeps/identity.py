"""What identifies a sweep: a name for people, and a digest that names its folder.

The folder contains what a process needs to continue the sweep of an earlier process.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pipeline import files
from pipeline.cli import HYPERPARAMETERS, Command, Interval, committed_defaults
from pipeline.files import printable
from pipeline.paths import store_dir
from pipeline.sweeps.data import DataFile
from pipeline.sweeps.jobs import Grid, Job
from pipeline.sweeps.outcomes import ResultsFile

if TYPE_CHECKING:
    from pipeline.sweeps.search import Search

MAX_VALUES = 8  # of a key in the name of a sweep


def sweep_name(
    jobs: Sequence[Job], intervals: Mapping[str, Interval] | None = None
) -> str:
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
    for key, interval in (intervals or {}).items():
        swept[key] = f"{interval.low}..{interval.high}"
    default_values = committed_defaults()
    others = {k: v for k, v in common_values(jobs).items() if v != default_values[k]}
    return printable(" ".join(f"{k}={v}" for k, v in {**swept, **others}.items()))


def common_values(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the displayed hyperparameters that all jobs have in common."""
    job = next(job for job in jobs if not job.problems)
    return {key: job.displayed[key] for key in HYPERPARAMETERS if key not in job.swept}


def digest(
    jobs: Sequence[Job],
    data: Mapping[str, DataFile],
    intervals: Mapping[str, Interval],
) -> str:
    """Return a digest that identifies a sweep: settings, data, code and PyTorch."""
    from pipeline.tracking import provenance, sources

    keys = (*HYPERPARAMETERS, "tracking", "experiment_name", "again")
    settings = sorted(str([job.values[key] for key in keys]) for job in jobs)
    space = sorted(map(str, intervals.items()))
    hashes = {name: file.sha256 for name, file in data.items()}
    versions = [sources.training_hashes(), provenance.torch_version()]
    identity = [list(jobs[0].swept), settings, space, hashes, versions]
    return files.json_sha256(identity)[:8]


@contextmanager
def open_folder(name: str, grid: Sequence[Job], command: Command) -> Iterator[Path]:
    """Lock the folder of a sweep: the latest with this digest, or a new one.

    If the jobs are to be trained again, a finished sweep is not continued.
    """
    sweeps = store_dir() / "sweeps"
    waiting = "waiting for another process, which is running the same sweep"
    with files.lock(sweeps / f".{name}.lock", waiting=waiting):
        existing = sorted(sweeps.glob(f"{name}-*"), key=os.path.getmtime)
        folder = existing[-1] if existing else None
        if folder and command.values["again"]:
            plan, results = read_plan(folder, grid, command)
            folder = folder if untrained(plan, results) else None
        folder = folder or sweeps / f"{name}-{uuid4().hex[:4]}"
        try:
            with files.lock(folder / "lock", waiting=waiting):
                yield folder
        finally:
            if [path.name for path in folder.iterdir()] == ["lock"]:
                shutil.rmtree(folder)  # the command was rejected


def read_plan(
    folder: Path, grid: Sequence[Job], command: Command
) -> "tuple[Grid | Search, ResultsFile]":
    """Return the plan of a sweep, and what is trained.

    The plan of a search depends on its journal.
    """
    results = ResultsFile(folder / "results.jsonl")
    if not command.intervals:
        return Grid(grid), results
    from pipeline.sweeps.search import Search

    trials = command.values["trials"]
    return Search(folder / "search.log", grid, command.intervals, trials), results


def untrained(plan: "Grid | Search", results: ResultsFile) -> list[Job]:
    """Return the valid jobs that are not trained, and those that are expected."""
    return [*results.missing(plan.jobs), *plan.expected()]
