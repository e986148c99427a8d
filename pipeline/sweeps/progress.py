"""Prints a line for each job of a sweep as it ends, and a progress bar on a terminal.

The workers print nothing; this module watches the files that they leave.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.cli import Job, progress_bar
from pipeline.files import printable
from pipeline.sweeps.outcomes import read_outcome


@contextmanager
def print_progress(
    jobs: Sequence[Job], missing: Sequence[Job], folder: Path
) -> Iterator[None]:
    """Print a line for each missing or invalid job that ends inside the block."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    waiting = [job for job in jobs if job in missing or job.problems]
    width = max(len(job.name) for job in jobs)
    bar = progress_bar(console)
    task = bar.add_task("trainings", total=len(jobs))
    finished = threading.Event()

    def print_ended() -> None:
        for job in [*waiting]:
            ends = (folder / job.folder / name for name in ("done", "error.txt"))
            if not job.problems and not any(end.exists() for end in ends):
                continue
            waiting.remove(job)
            ended = len(jobs) - len(waiting)
            outcome = read_outcome(job, folder).describe()
            line = f"{ended:4} of {len(jobs)}  {job.name:{width}}  {outcome}"
            console.print(printable(line), markup=False)
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
