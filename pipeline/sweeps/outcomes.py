"""The outcome of each job of a sweep, and statistics over the seeds of a setting.

Outcomes are read from the folders of the jobs; nothing is written here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from pipeline.cli import Job


@dataclass(frozen=True)
class Outcome:
    """The result of a job, or the reason why it failed."""

    job: Job
    error: str = ""  # one line; empty if the job succeeded
    accuracy: float = 0.0  # on the validation images, in [0, 1]
    parameters: int = 0
    bytes: int = 0  # of the parameters, as float32
    seconds: float = 0.0  # of all epochs together

    def describe(self) -> str:
        """Return a line for the terminal."""
        if self.error:
            return f"failed: {self.error}"
        return f"validation {self.accuracy:.2%}  {self.seconds:5.1f} s"


@dataclass(frozen=True)
class Setting:
    """The outcomes that differ only in their seed."""

    keys: dict[str, Any]  # the swept keys except the seed
    trained: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its keys, such as "hidden=5 lr=0.01"."""
        return " ".join(f"{key}={value}" for key, value in self.keys.items())

    @property
    def accuracy(self) -> float:
        """The mean over the seeds, in [0, 1]."""
        return mean(outcome.accuracy for outcome in self.trained)

    @property
    def std(self) -> float | None:
        """The sample standard deviation (n - 1) over the seeds; None for one seed."""
        accuracies = [outcome.accuracy for outcome in self.trained]
        return stdev(accuracies) if len(accuracies) > 1 else None

    def describe_accuracy(self) -> str:
        """Return mean and standard deviation in percent, such as 95.92% ± 0.12."""
        deviation = "" if self.std is None else f" ± {self.std * 100:.2f}"
        return f"{self.accuracy:.2%}{deviation}"

    def describe_failures(self) -> str:
        """Return the seeds that failed, with their errors."""
        seeds: dict[str, list[str]] = {}
        for outcome in self.failed:
            seed = str(outcome.job.values["seed"])
            seeds.setdefault(outcome.error, []).append(seed)
        return "; ".join(
            f"seed={','.join(each)} failed: {error}" for error, each in seeds.items()
        )

    def row(self) -> dict[str, Any]:
        """Return the row of sweep.csv."""
        first = self.trained[0] if self.trained else None
        seconds = [outcome.seconds for outcome in self.trained]
        return {
            **self.keys,
            "trained": len(self.trained),
            "val/accuracy": self.accuracy if first else None,
            "val/accuracy std": self.std,
            "parameters": first.parameters if first else None,
            "bytes": first.bytes if first else None,
            "seconds": round(mean(seconds), 3) if first else None,
            "failed": self.describe_failures(),
        }


def read_outcome(job: Job, folder: Path) -> Outcome:
    """Read what a job left in its folder, which is below the folder of the sweep."""
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
        accuracy=json.loads((files / "metrics.json").read_text())["val/accuracy"],
        parameters=sum(tensor.size for tensor in tensors),
        bytes=sum(tensor.nbytes for tensor in tensors),
        seconds=json.loads((files / "run.json").read_text())["seconds"],
    )


def group_by_setting(outcomes: Sequence[Outcome]) -> list[Setting]:
    """Group the outcomes that differ only in their seed."""
    settings: dict[str, Setting] = {}
    for outcome in outcomes:
        keys = {k: v for k, v in outcome.job.swept.items() if k != "seed"}
        setting = settings.setdefault(json.dumps(keys), Setting(keys))
        (setting.failed if outcome.error else setting.trained).append(outcome)
    return list(settings.values())
