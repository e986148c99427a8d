"""The memory and the disk space that training runs need."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline import UserError
from pipeline.sweeps.jobs import Job

COPIES = 4  # of the weight history: in both processes, each also serialized
RUN_BYTES = 60_000  # a child run without its weights: files and rows of the database
BEST_BYTES = 5_000_000  # images and program of the best network, table and plot


def training_bytes(jobs: Sequence[Job]) -> int:
    """Return the memory of the largest training run: copies of its history."""
    return COPIES * max(map(_history_bytes, jobs), default=0)


def recorded_bytes(jobs: Sequence[Job]) -> int:
    """Return the disk space of recorded training runs, with the files of each."""
    sizes = (_history_bytes(job) + 4 * job.parameter_count + RUN_BYTES for job in jobs)
    return sum(sizes) + (BEST_BYTES if jobs else 0)


def _history_bytes(job: Job) -> int:
    """Return the size of the tensors before training and after each epoch."""
    return 4 * job.parameter_count * (job.config.epochs + 1)


def describe_work(count: int, workers: int, size: int) -> str:
    """Describe a sweep: "15 training runs, 2 at a time: 24 MB of disk space"."""
    runs = "1 training run" if count == 1 else f"{count:,} training runs"
    at_a_time = f", {workers} at a time" if workers > 1 else ""
    return f"{runs}{at_a_time}: {format_bytes(size)} of disk space"


def check_space(size: int, folder: Path) -> None:
    """Check the free space of the disk that contains a folder.

    Raises:
        UserError: If it is smaller than `size`.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise UserError(
            f"the sweep needs about {format_bytes(size)} of disk space, but {folder} "
            f"has {format_bytes(free)}: delete files, or set PIPELINE_OUTPUTS to a "
            "folder on a larger disk"
        )


def format_bytes(size: int) -> str:
    """Return a size with one unit, such as "24 MB" or "3.2 GB"."""
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
