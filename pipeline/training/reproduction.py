"""Reproduction: compares a training run with a recorded run, byte by byte.

If the weights differ, a report says by how much, and lists other differences: commit,
code, versions and processor.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import PartlyFailed, UserError, datasets
from pipeline.base.fingerprint import code_hashes
from pipeline.base.metric_names import FINAL_ACCURACY, VAL_ACCURACY
from pipeline.base.tags import (
    COMMIT_TAG,
    DIFF_TAG,
    PROCESSOR_TAG,
    PYTHON_TAG,
    TORCH_TAG,
)
from pipeline.core.dataset import Dataset
from pipeline.tracking import RecordedRun
from pipeline.training.log import CODE_FILE, DATA_FOLDER
from pipeline.training.training_run import TrainingRun

ENVIRONMENT_TAGS = {  # tags of a run that can explain different bytes
    COMMIT_TAG: "commit",
    DIFF_TAG: "uncommitted code (SHA-256 hash of code.diff)",
    TORCH_TAG: "PyTorch",
    PYTHON_TAG: "Python",
    PROCESSOR_TAG: "processor",
}


@dataclass(frozen=True, eq=False)
class Original:
    """A recorded training run that is trained again."""

    run: RecordedRun
    training: TrainingRun

    def is_reproduced_by(self, again: TrainingRun) -> bool:
        """Return whether the weights are the same, byte for byte."""
        return again.weights_sha256 == self.training.weights_sha256


def load_data(original: Original, folder: Path) -> Dataset:
    """Load the data set of a recorded run from the folder of all data sets.

    Raises:
        UserError: See `datasets.load`.
    """
    origin: dict[str, str] = {}
    for path in (original.run.artifacts / DATA_FOLDER).glob("*.json"):
        try:
            origin = json.loads(path.read_text("utf-8"))["origin"]
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path} is damaged: choose another run") from None
    recorded = original.training.metadata
    return datasets.load(
        recorded.dataset, folder=folder, sha256=recorded.data_sha256, origin=origin
    )


def compare(original: Original, again: TrainingRun, tags: Mapping[str, str]) -> str:
    """Compare a recorded run with its reproduction, and return a report.

    `tags` are the tags of the process that reproduced the run.

    Raises:
        PartlyFailed: If the hashes differ, with the report and `again` as the result.
    """
    differences = [
        *_weight_differences(original.training, again),
        *_environment_differences(original.run.tags, tags),
        *_code_differences(original.run),
    ]
    recorded = original.training.weights_sha256
    hashes = f"\n  recorded {recorded}\n  now      {again.weights_sha256}"
    lines = "".join(f"\n  {line}" for line in differences)
    if not original.is_reproduced_by(again):
        raise PartlyFailed(f"not reproduced:{hashes}{lines}", again)
    note = f"\ndespite these differences:{lines}" if lines else ""
    return f"reproduced byte for byte:{hashes}{note}"


def _weight_differences(original: TrainingRun, again: TrainingRun) -> Iterator[str]:
    before, now = (each.network.vector.numpy() for each in (original, again))
    difference = np.abs(now - before)
    if difference.any():
        yield (
            f"weights: {np.count_nonzero(difference):,} of {difference.size:,} "
            f"differ, by {difference.max():.2g} at most and by "
            f"{difference.mean():.2g} on average; the mean absolute weight is "
            f"{np.abs(before).mean():.2g}"
        )
        for name in (FINAL_ACCURACY, VAL_ACCURACY):
            yield f"{name}: {original.metrics[name]:.4%}, now {again.metrics[name]:.4%}"


def _environment_differences(
    before: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[str]:
    for tag, name in ENVIRONMENT_TAGS.items():
        if before.get(tag) != now.get(tag):
            yield f"{name}: {before.get(tag)}, now {now.get(tag)}"


def _code_differences(run: RecordedRun) -> Iterator[str]:
    path = run.artifacts / CODE_FILE
    if not path.exists():
        yield "code: not recorded in the original run"
        return
    try:
        recorded, now = dict(json.loads(path.read_text("utf-8"))), code_hashes()
    except (ValueError, TypeError):
        yield f"code: {path} is damaged"
        return
    keys = {**recorded, **now}
    if changed := [key for key in keys if recorded.get(key) != now.get(key)]:
        yield f"code in pipeline/core: {', '.join(changed)}"
