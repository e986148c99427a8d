"""The outcome of each job of a sweep, read from the files in its folder.

The workers print nothing; `print_progress` watches the files that they write.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline import UserError
from pipeline.files import printable
from pipeline.paths import METRICS_FILE, MODEL_FILE, RUN_FILE
from pipeline.sweeps.jobs import Job
from pipeline.terminal import new_console, progress_bar, wrap


@dataclass(frozen=True)
class Outcome:
    """The result of a job, or the reason why it failed."""

    job: Job
    error: str = ""  # one line; empty if the job succeeded
    accuracy: float = 0.0  # on the validation images, in [0, 1]
    parameters: int = 0
    seconds: float = 0.0  # of all epochs together
    run_id: str | None = None  # of its run in MLflow


def read_outcome(job: Job, folder: Path) -> Outcome:
    """Read the outcome of a job from its folder, which is in the folder of the sweep.

    Raises:
        UserError: If a file of a trained network is missing or damaged.
    """
    job_folder = folder / job.folder
    if job.problems:
        return Outcome(job, "; ".join(job.problems))
    if (job_folder / "error.txt").exists():
        return Outcome(job, (job_folder / "error.txt").read_text().splitlines()[0])
    if not (job_folder / "done").exists():
        return Outcome(job, "it was not trained")
    outcome = read_training(job, job_folder / "train")
    if outcome is None:
        raise UserError(f"{job_folder} is damaged: run the same command again")
    return outcome


def read_training(job: Job, folder: Path) -> Outcome | None:
    """Read the files of a training run; None if one of them is missing or damaged."""
    from pipeline.model import load_network, read_metrics, read_run_file

    try:
        run = read_run_file(folder / RUN_FILE)
        network, _ = load_network(folder / MODEL_FILE)
        accuracy = read_metrics(folder / METRICS_FILE)["val/accuracy"]
    except (OSError, UserError):
        return None
    count = network.parameter_count
    return Outcome(job, "", accuracy, count, sum(run.seconds), run.run_id)


@contextmanager
def print_progress(
    jobs: Sequence[Job], missing: Sequence[Job], folder: Path
) -> Iterator[None]:
    """Print a line for each missing or invalid job that ends during the block.

    On a terminal, a progress bar appears below the lines.
    """
    console = new_console(file=sys.stdout, highlight=False, soft_wrap=True)
    waiting = [job for job in jobs if job in missing or job.problems]
    width = max(len(job.short_name) for job in jobs)
    bar = progress_bar(console)
    task = bar.add_task("training runs", total=len(jobs))
    finished = threading.Event()

    def print_ended() -> None:
        for job in [*waiting]:
            markers = (folder / job.folder / name for name in ("done", "error.txt"))
            if not job.problems and not any(marker.exists() for marker in markers):
                continue
            waiting.remove(job)
            ended = len(jobs) - len(waiting)
            outcome = read_outcome(job, folder)
            count = f"{ended:4} of {len(jobs)}  "
            line = f"{count}{job.short_name:{width}}  "
            if outcome.error:
                reason = printable(f"failed: {outcome.error}")
                line = wrap(reason, indent=len(count), start=line)
            else:
                line += f"validation {outcome.accuracy:.2%}  {outcome.seconds:5.1f} s"
            console.print(line, markup=False)
            bar.update(task, completed=ended)

    def watch() -> None:
        while not finished.wait(0.2):
            print_ended()

    watcher = threading.Thread(target=watch, daemon=True)
    with bar:
        watcher.start()
        try:
            yield
        finally:
            finished.set()
            watcher.join()
            print_ended()
