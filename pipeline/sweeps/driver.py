"""A sweep: many settings under one parent run, told by one table and one picture.

It lives in outputs/sweeps/<digest of settings, data and code>-<random letters>/, a
folder for each job, and is carried on there however it was stopped.
"""

import csv
import hashlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pipeline import files
from pipeline.cli.arguments import Job
from pipeline.cli.command import LaunchJobs, record_failure
from pipeline.cli.config import HYPERPARAMETERS, defaults, source_hashes
from pipeline.cli.paths import outputs_dir, store_dir
from pipeline.cli.terminal import progress_bar
from pipeline.files import printable

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipeline.tracking import ChildRun, Run, Tracker

LONGEST = 7900  # letters of a description; MLflow cuts it after 8,000
MANY = 8  # values of a key, or settings as good as the best, that are listed


@dataclass(frozen=True)
class Outcome:
    """What a job came to."""

    job: Job
    error: str = ""  # why it trained no network, in a line
    accuracy: float = 0  # on the validation pictures, in [0, 1]
    parameters: int = 0
    bytes: int = 0  # of the parameters, as float32
    seconds: float = 0  # of all epochs together

    def told(self) -> str:
        """Say it in a line."""
        if self.error:
            return f"failed: {self.error}"
        return f"validation {self.accuracy:.2%}  {self.seconds:5.1f} s"


@dataclass(frozen=True)
class Setting:
    """The outcomes of a setting, over its seeds."""

    keys: dict[str, Any]  # that the sweep varies, but for the seed
    trained: list[Outcome]
    failed: list[Outcome]

    @property
    def name(self) -> str:
        """What was set."""
        return " ".join(f"{key}={value}" for key, value in self.keys.items())

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return mean(outcome.accuracy for outcome in self.trained)

    @property
    def std(self) -> float | None:
        """The standard deviation over the seeds, as of a sample (n - 1)."""
        found = [outcome.accuracy for outcome in self.trained]
        return stdev(found) if len(found) > 1 else None

    def told(self) -> str:
        """Say the accuracy, such as 95.92% ± 0.12."""
        deviation = "" if self.std is None else f" ± {self.std * 100:.2f}"
        return f"{self.accuracy:.2%}{deviation}"

    def reasons(self) -> str:
        """Say which seeds failed, and why."""
        seeds: dict[str, list[str]] = {}
        for outcome in self.failed:
            seed = str(outcome.job.values["seed"])
            seeds.setdefault(outcome.error, []).append(seed)
        return "; ".join(
            f"seed={','.join(named)} failed: {error}" for error, named in seeds.items()
        )

    def row(self) -> dict[str, Any]:
        """Return its row of the table."""
        one = self.trained[0] if self.trained else None
        seconds = mean(o.seconds for o in self.trained) if one else None
        return {
            **self.keys,
            "trained": len(self.trained),
            "val/accuracy": self.accuracy if one else None,
            "val/accuracy std": self.std,
            "parameters": one.parameters if one else None,
            "bytes": one.bytes if one else None,
            "seconds": None if seconds is None else round(seconds, 3),
            "failed": self.reasons(),
        }


def sweep(jobs: Sequence[Job], launch: LaunchJobs) -> None:
    """Train what is missing of a sweep, and tell what all of it came to.

    Args:
        jobs: Its settings.
        launch: Trains those that have no `done` in their folder.

    Raises:
        ValueError: If a setting was refused or failed; the others are trained first.
    """
    from pipeline import tracking

    first = next(job.values for job in jobs if not job.problems)
    tracker = tracking.open_tracker(
        first["tracking"], store_dir(), server=first["server"]
    )
    digest = _digest(jobs)
    with _claimed(digest, tracker, resume=first["resume"]) as folder:
        lease = f"sweeps/{folder.name}"
        finished = tracker.finished_run(lease=lease)
        if finished and not _missing(jobs, folder, finished):
            print("this sweep is finished; resume=false trains it anew")
            settings = _grouped([_outcome(job, folder) for job in jobs])
            if not (folder / "sweep.csv").exists():  # the folder was removed
                _write(settings, folder, title=_name(jobs))
            _print(settings, folder, finished)
            return
        with tracker.start_run(
            name=_name(jobs),
            params=_fixed(jobs),  # what is swept is text here; charts need numbers
            tags={"sweep": folder.name},
            lease=lease,
        ) as run:
            missing = _missing(jobs, folder, run)
            done = sum((folder / job.folder / "done").exists() for job in jobs)
            print(f"sweep {_name(jobs)}: {len(jobs)} in all, {done} already trained")
            broken = ""
            if missing:
                try:
                    with _shown(jobs, missing, folder):
                        _train(missing, folder, run, launch)
                except (OSError, ValueError) as error:
                    broken = f"{error}; "
                (folder / "multirun.yaml").unlink(missing_ok=True)  # Hydra's
            outcomes = [_outcome(job, folder) for job in jobs]
            children = run.children() or []
            for outcome in outcomes:
                job = outcome.job
                run.reconcile(
                    job.name,
                    [child for child in children if child.setting == job.name],
                    params={key: str(job.values[key]) for key in HYPERPARAMETERS},
                    tags={"sweep": folder.name, **job.tags},
                    error=outcome.error,
                )
            settings = _grouped(outcomes)
            _write(settings, folder, title=_name(jobs))
            _record(settings, folder, run)
            _print(settings, folder, run)
            failed = [outcome.job.name for outcome in outcomes if outcome.error]
            if failed:
                raise ValueError(
                    f"{broken}{len(failed)} of {len(jobs)} settings failed: "
                    + ", ".join(failed)
                )


def _digest(jobs: Sequence[Job]) -> str:
    """Return what tells this sweep from others: settings, data, code and PyTorch.

    Raises:
        ValueError: If none of its data sets can be had; or an OSError.
    """
    from pipeline import datasets
    from pipeline.tracking import provenance

    data, lost = {}, []
    for name in sorted({job.values["dataset"] for job in jobs if not job.problems}):
        try:
            path, _ = datasets.prepare(name, folder=outputs_dir() / "data")
            data[name] = datasets.summary(path)["sha256"]
        except (ValueError, OSError) as error:  # its jobs will fail and say so
            data[name] = type(error).__name__
            lost.append(error)
    if len(lost) == len(data):
        raise lost[0]
    keys = (*HYPERPARAMETERS, "tracking")
    settings = sorted(str([job.values[key] for key in keys]) for job in jobs)
    versions = [source_hashes("train"), provenance.version("torch")]
    known = [list(jobs[0].swept), settings, data, versions]
    told = json.dumps(known, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:8]


@contextmanager
def _claimed(digest: str, tracker: "Tracker", *, resume: bool) -> Iterator[Path]:
    """Hold the folder of a sweep: the one begun before, or a new one.

    Where the folder is gone and the store still knows the sweep, it gets its name.
    """
    sweeps = store_dir() / "sweeps"
    waiting = "waiting for the same sweep in another process"
    with files.lock(sweeps / f".{digest}.lock", waiting=waiting):
        begun = [*sweeps.glob(f"{digest}-*")] if resume else []
        if resume and not begun:
            leases = tracker.leases(f"sweeps/{digest}-")
            begun = [store_dir() / lease for lease in leases[:1]]
        new = sweeps / f"{digest}-{uuid4().hex[:4]}"
        folder = max(begun, key=_last_changed, default=new)
        with files.lock(folder / "lock", waiting=waiting):
            yield folder


def _last_changed(folder: Path) -> float:
    return folder.stat().st_mtime if folder.exists() else 0


def _missing(jobs: Sequence[Job], folder: Path, run: "Run") -> list[Job]:
    """Find the jobs that are still to be trained, and let only the others be done.

    What the store says counts: files of a run that is not finished are no result, and
    those of one that is are brought back if they are gone.
    """
    trained = _trained(jobs, folder, run)
    missing = []
    for job in jobs:
        place = folder / job.folder
        if job.problems:
            continue
        if files.is_held(place / "lock"):  # the launcher was killed, its worker not
            missing.append(job)
        elif job.name in trained:
            if child := trained[job.name]:
                _bring_back(child, place / "train", job)
            (place / "error.txt").unlink(missing_ok=True)
            (place / "done").touch()
        else:
            (place / "done").unlink(missing_ok=True)
            for left in ("error.txt", "begun"):
                (place / left).unlink(missing_ok=True)
            missing.append(job)
    return missing


def _trained(
    jobs: Sequence[Job], folder: Path, run: "Run"
) -> dict[str, "ChildRun | None"]:
    """Return the names of the jobs that are trained, and the runs of these."""
    children = run.children()
    if children is not None:
        return {c.setting: c for c in children if c.status == "FINISHED"}
    files = {job.name: folder / job.folder / "train" / "run.json" for job in jobs}
    return {name: None for name, file in files.items() if file.exists()}


def _train(
    missing: Sequence[Job], folder: Path, run: "Run", launch: LaunchJobs
) -> None:
    """Launch until every job is done, or has a reason why not."""
    for _ in missing:  # each turn ends one of them, if it was begun
        try:
            return launch(folder, {"sweep": folder.name, **run.child_tags()})
        except BrokenExecutor:  # the system killed a worker, and joblib all others
            begun = [j for j in missing if (folder / j.folder / "begun").exists()]
            ended = [j for j in begun if not files.is_held(folder / j.folder / "lock")]
            trained = _trained(missing, folder, run)  # now: whoever ended has recorded
            for job in ended:
                place = folder / job.folder
                if job.name in trained:  # killed when all was recorded
                    (place / "done").touch()
                else:
                    record_failure(
                        place, "its worker was killed; is there memory enough?"
                    )


def _bring_back(child: "ChildRun", folder: Path, job: Job) -> None:
    """Take the files of a training from its run where the folder has not the same.

    Raises:
        ValueError: If its run has lost them, too.
    """
    kept = [*(child.folder / "train").glob("*")]
    known, own = (
        {file.name: file.stat().st_size for file in files}
        for files in (kept, folder.glob("*"))
    )
    its = own.get("run.json") and child.run_id in (folder / "run.json").read_text()
    if its and (not kept or own == known):
        return
    if not kept:
        raise ValueError(
            f"{child.folder} has lost the files of {job.name}: delete its run "
            f"{child.run_id} in MLflow, and the same command trains it again"
        )
    with files.atomic_folder(folder) as written:
        for file in kept:
            shutil.copy(file, written)


def _outcome(job: Job, folder: Path) -> Outcome:
    """Read what a job left in its folder."""
    from safetensors import safe_open

    place = folder / job.folder
    if job.problems:
        return Outcome(job, "; ".join(job.problems))
    if (place / "error.txt").exists():
        return Outcome(job, (place / "error.txt").read_text().splitlines()[0])
    if not (place / "done").exists():
        return Outcome(job, "it was not trained")
    files = place / "train"
    with safe_open(files / "model.safetensors", framework="np") as stored:
        tensors = [stored.get_tensor(name) for name in [*stored.keys()]]
    return Outcome(
        job,
        accuracy=_read(files / "metrics.json")["val/accuracy"],
        parameters=sum(tensor.size for tensor in tensors),
        bytes=sum(tensor.nbytes for tensor in tensors),
        seconds=_read(files / "run.json")["seconds"],
    )


def _read(path: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(path.read_text())
    return known


@contextmanager
def _shown(jobs: Sequence[Job], missing: Sequence[Job], folder: Path) -> Iterator[None]:
    """Show a line for every job that ends, and on a terminal a bar below."""
    from rich.console import Console

    screen = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    ended = threading.Event()
    waiting = [job for job in jobs if job in missing or job.problems]
    width = max(len(job.name) for job in jobs)
    below = progress_bar(screen)
    task = below.add_task("trainings", total=len(jobs))

    def look() -> None:
        for job in [*waiting]:
            ends = (folder / job.folder / end for end in ("done", "error.txt"))
            if not job.problems and not any(end.exists() for end in ends):
                continue
            waiting.remove(job)
            done = len(jobs) - len(waiting)
            told = f"{done:4} of {len(jobs)}  {job.name:{width}}  "
            told += _outcome(job, folder).told()
            screen.print(printable(told), markup=False)
            below.update(task, completed=done)

    def watch() -> None:
        while not ended.wait(0.2):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    with below:
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            look()


def _name(jobs: Sequence[Job]) -> str:
    """Name a sweep as one would type it: hidden=5,10 seed=1,2,3 epochs=5.

    Of many values the first and the last stand for all.
    """
    usual = defaults()
    values: dict[str, list[str]] = {}
    for job in jobs:
        for key, value in job.swept.items():
            seen = values.setdefault(key, [])
            if str(value) not in seen:
                seen.append(str(value))
    others = {k: v for k, v in _fixed(jobs).items() if v != usual[k]}
    swept = {
        key: ",".join(seen if len(seen) <= MANY else [*seen[:2], "…", seen[-1]])
        for key, seen in values.items()
    }
    told = " ".join(f"{key}={value}" for key, value in {**swept, **others}.items())
    return printable(told)


def _fixed(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the numbers that all trainings of a sweep have in common."""
    one = next(job for job in jobs if not job.problems)
    return {key: one.values[key] for key in HYPERPARAMETERS if key not in one.swept}


def _grouped(outcomes: Sequence[Outcome]) -> list[Setting]:
    """Put the outcomes together that differ in their seed alone."""
    settings: dict[str, Setting] = {}
    for outcome in outcomes:
        keys = {k: v for k, v in outcome.job.swept.items() if k != "seed"}
        same = settings.setdefault(json.dumps(keys), Setting(keys, [], []))
        (same.failed if outcome.error else same.trained).append(outcome)
    return list(settings.values())


def _write(settings: Sequence[Setting], folder: Path, *, title: str) -> None:
    """Write table and picture to the folder of the sweep."""
    rows = [setting.row() for setting in settings]
    with (
        files.atomic_file(folder / "sweep.csv") as written,
        written.open("w") as stream,
    ):
        table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    if any(setting.trained for setting in settings):
        with files.atomic_file(folder / "sweep.png") as written:
            _picture(settings, title=title).save(written, "PNG")


def _record(settings: Sequence[Setting], folder: Path, run: "Run") -> None:
    """Record the table and the picture that stand in the folder."""
    run.log_files("sweep", [folder / name for name in _files(folder)])
    run.log_table("sweep/sweep.json", [setting.row() for setting in settings])
    if any(setting.trained for setting in settings):
        best = max(setting.accuracy for setting in settings if setting.trained)
        now = time.time_ns() // 1_000_000
        run.log_metrics({"sweep/best_val_accuracy": best}, step=0, time=now)
    run.describe(_described(settings, run.comparison_link()))


def _described(settings: Sequence[Setting], comparison: str) -> str:
    """Write the table as markdown, or as much as MLflow keeps."""
    heading, *cells = _cells(settings)
    cells = [[cell.replace("|", "/") for cell in line] for line in cells]
    gap = "&emsp;| "  # MLflow leaves no room between columns
    ruled = [gap.join(heading), " | ".join(["---:"] * len(heading))]
    ruled += [gap.join(line) for line in cells]
    files = "The picture and the table are under Artifacts, in `sweep/`."
    told = [
        _verdict(settings),
        "\n".join(f"| {line} |" for line in ruled),
        f"[All trainings side by side]({comparison}). {files}",
    ]
    if len("\n\n".join(told)) > LONGEST:
        told[2] = files
    if len("\n\n".join(told)) > LONGEST:
        told.pop(1)
    return "\n\n".join(told)


def _files(folder: Path) -> list[str]:
    """Return what stands in the folder of a sweep, beside its trainings."""
    return [name for name in ("sweep.png", "sweep.csv") if (folder / name).exists()]


def _print(settings: Sequence[Setting], folder: Path, run: "Run") -> None:
    """Print the table, the best setting and where the rest is."""
    lines = _cells(settings)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print()
    for line in lines:
        *cells, failed = line
        cells = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False)]
        print(printable("   ".join([*cells, failed]).rstrip()))
    files = " and ".join(_files(folder))
    print(f"\n{printable(_verdict(settings))}\n\nfiles  {folder}/{files}")
    print(run.viewing_hint(), end="")


def _verdict(settings: Sequence[Setting]) -> str:
    """Name the setting with the highest mean accuracy, and what comes close to it."""
    trained = [setting for setting in settings if setting.trained]
    best = max(trained, key=lambda setting: setting.accuracy, default=None)
    if best is None:
        return "no setting was trained"
    told = f"{best.told()} of the validation pictures"
    if not best.keys:
        return f"together: {told}"
    if {"dataset", "split"} & set(best.keys):
        return "no setting is called best: they were watched on different pictures"
    reach = best.accuracy - (best.std or 0)
    near = [s.name for s in trained if s is not best and s.accuracy >= reach]
    if len(near) > MANY:
        near = [*near[:MANY], f"and {len(near) - MANY} more"]
    close = f"; within its deviation: {', '.join(near)}" if near else ""
    return f"best: {best.name}, {told}{close}"


def _cells(settings: Sequence[Setting]) -> list[list[str]]:
    """Lay the table out as text: the heading, then a line for each setting."""
    heading = ["trained", "val accuracy", "parameters", "bytes", "seconds", ""]
    lines = [[*settings[0].keys, *heading]]
    for setting in settings:
        row, told = setting.row(), ["-"] * 4
        if setting.trained:
            sizes = [f"{row['parameters']:,}", f"{row['bytes']:,}"]
            told = [setting.told(), *sizes, f"{row['seconds']:.1f}"]
        told = [str(len(setting.trained)), *told]
        lines.append([*map(str, setting.keys.values()), *told, row["failed"]])
    return lines


def _picture(settings: Sequence[Setting], *, title: str) -> "Image":
    """Draw accuracy against parameters, or where all have as many, what was swept."""
    from pipeline.plots import SweepPoint, sweep_accuracy

    trained = [setting for setting in settings if setting.trained]
    keys = trained[0].keys
    numbers = [key for key, value in keys.items() if isinstance(value, int | float)]
    axis = "hidden" if "hidden" in keys else next(iter(numbers), None)
    lines: dict[str, list[SweepPoint]] = {}
    for place, setting in enumerate(trained):
        if axis == "hidden":
            x = setting.trained[0].parameters
            caption = f"hidden={setting.keys['hidden']}"
        elif axis:
            x, caption = setting.keys[axis], ""
        else:
            x, caption = place, setting.name or "all seeds"
        rest = {k: v for k, v in setting.keys.items() if axis and k != axis}
        line = " ".join(f"{key}={value}" for key, value in rest.items())
        accuracies = [outcome.accuracy for outcome in setting.trained]
        lines.setdefault(line, []).append(SweepPoint(float(x), accuracies, caption))
    xlabel = "parameters" if axis == "hidden" else axis or ""
    return sweep_accuracy(lines, xlabel=xlabel, title=title)
