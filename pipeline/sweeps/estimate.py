"""Estimates how long a sweep takes and how much disk space it needs.

The rules use the settings alone; `TimeLeft` corrects the time by the results so far.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import CLASSES, PIXELS, UserError
from pipeline.sweeps.jobs import Job

# Seconds of a core, measured on an AMD EPYC with 11 settings (hidden 5 to 1,000,
# batch_size 8 to 512): the rule was within 10 % of all. Each step has a fixed cost and
# updates all weights; each image takes a forward and a backward pass.
STEP, STEP_NEURON = 28.5e-6, 0.86e-6
IMAGE, IMAGE_NEURON = 0.87e-6, 0.036e-6
SETTING = 0.15  # scores on the training images, transfer of the result
START = 4.0  # a worker imports PyTorch and loads the data
RUN_BYTES = 60_000  # a child run without its weights: files and rows of the database
BEST_BYTES = 5_000_000  # images and program of the best network, table and plot


@dataclass(frozen=True)
class Estimate:
    """What the missing training runs of a sweep need."""

    count: int  # of networks that are trained
    workers: int
    work: float  # seconds of one core
    bytes: int
    images: Mapping[str, int]  # training images of each data set

    @property
    def seconds(self) -> float:
        """The time until the last result."""
        return START + self.work / max(1, min(self.workers, self.count))

    def __str__(self) -> str:
        """Describe the sweep, such as "15 training runs, 2 at a time: about 30 s"."""
        runs = "1 training run" if self.count == 1 else f"{self.count:,} training runs"
        workers = f", {self.workers} at a time" if self.workers > 1 else ""
        seconds, size = format_seconds(self.seconds), format_bytes(self.bytes)
        return f"{runs}{workers}: about {seconds}, {size} of disk space"

    def check_space(self, folder: Path) -> None:
        """Check the free space of the disk that contains a folder.

        Raises:
            UserError: If the sweep needs more.
        """
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if self.bytes > free:
            raise UserError(
                f"the sweep needs about {format_bytes(self.bytes)} of disk space, but "
                f"{folder} has {format_bytes(free)}: delete files, or set "
                "PIPELINE_OUTPUTS to a folder on a larger disk"
            )


def estimate(
    trained: Sequence[Job],
    recorded: Sequence[Job],
    images: Mapping[str, int],
    *,
    workers: int,
) -> Estimate:
    """Estimate what training runs need.

    Args:
        trained: The jobs that need a training; for a search, suggestions.
        recorded: The same jobs, and those that reuse a finished run.
        images: The number of training images of each data set.
        workers: How many runs are trained at the same time.
    """
    work = sum((training_seconds(job.values, images) for job in trained), start=0.0)
    size = sum(run_bytes(job.values) for job in recorded)
    size += BEST_BYTES if recorded else 0
    return Estimate(len(trained), workers, work, size, images)


def training_seconds(values: Mapping[str, Any], images: Mapping[str, int]) -> float:
    """Return the time of a training run on one core, in seconds."""
    hidden, count = values["hidden"], images[values["dataset"]]
    steps = -(-count // values["batch_size"])  # rounded up
    epoch = steps * (STEP + STEP_NEURON * hidden)
    epoch += count * (IMAGE + IMAGE_NEURON * hidden)
    return SETTING + float(values["epochs"] * epoch)


def run_bytes(values: Mapping[str, Any]) -> int:
    """Return the size of a child run: history, network, MLflow model, other files."""
    parameters = (PIXELS + 1) * values["hidden"] + (values["hidden"] + 1) * CLASSES
    states = values["epochs"] + 1  # of the history, with the initial one
    return int(4 * parameters * (states + 2)) + RUN_BYTES


class TimeLeft:
    """The estimated time until a sweep ends.

    The first estimate has the weight of one result per worker, so the first results
    correct it a little and later ones more. Between results, the time counts down.
    """

    def __init__(self, expected: Estimate) -> None:
        """Start the clock."""
        self._expected = expected
        self._prior = expected.work * min(1, expected.workers / max(1, expected.count))
        self._done = 0.0
        self._start = time.monotonic()
        self._end = self._start + expected.seconds

    def add(self, job: Job) -> None:
        """Correct the estimate when a training run ends."""
        expected, now = self._expected, time.monotonic()
        self._done += training_seconds(job.values, expected.images)
        elapsed = max(0.0, now - self._start - START)
        spent = self._prior / expected.workers + elapsed  # 0 if no training is expected
        left = max(0.0, expected.work - self._done)
        self._end = now + left * spent / (self._prior + self._done)

    def seconds(self) -> float:
        """Return the time left in seconds; 0 if the estimated time is exceeded."""
        return max(0.0, self._end - time.monotonic())


def format_seconds(seconds: float) -> str:
    """Return a duration with one unit, such as "45 s", "12 min" or "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def format_bytes(size: int) -> str:
    """Return a size with one unit, such as "24 MB" or "3.2 GB"."""
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
