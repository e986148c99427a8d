"""The context of a training run: alone, in a sweep or as a reproduction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.paths import outputs_dir


@dataclass(frozen=True)
class RunContext:
    """Where a training run writes, and what a sweep or reproduction adds to its run."""

    folder: Path = field(default_factory=lambda: outputs_dir() / "train")
    tags: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None  # of the run; None for the usual name
