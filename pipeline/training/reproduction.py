"""Reproduction: trains a recorded run again, and compares the two, byte by byte.

If the weights differ, a report says by how much, and lists other differences: commit,
code, versions and processor.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline import ConfigError, PartlyFailed, UserError, datasets
from pipeline.base.progress import busy
from pipeline.base.terminal import say
from pipeline.base.text import command_line, next_steps, short_id
from pipeline.cli import TrainConfig, validate
from pipeline.core.dataset import Dataset
from pipeline.model import Metadata
from pipeline.records.dataset_names import data_path
from pipeline.records.file_names import CODE_FILE, DATA_FOLDER
from pipeline.records.metric_names import FINAL_ACCURACY, VAL_ACCURACY
from pipeline.records.software import CORE
from pipeline.records.tags import (
    COMMIT_TAG,
    DIFF_TAG,
    PROCESSOR_TAG,
    PYTHON_TAG,
    TORCH_TAG,
)
from pipeline.tracking import RecordedRun, Tracker, find_training_run, provenance
from pipeline.training.recorded_training import Original, TrainCall, train_recorded
from pipeline.training.result import TrainResult
from pipeline.training.training_files import read_training_run
from pipeline.training.training_run import TrainingRun

ENVIRONMENT_TAGS = {  # tags of a run that can explain different bytes
    COMMIT_TAG: "commit",
    DIFF_TAG: "uncommitted code (SHA-256 hash of code.diff)",
    TORCH_TAG: "PyTorch",
    PYTHON_TAG: "Python",
    PROCESSOR_TAG: "processor",
}


def read_original(cfg: TrainConfig, tracker: Tracker) -> Original:
    """Read the run that the setting `reproduce` names.

    Raises:
        UserError: If there is no such run, or a file is missing or damaged.
    """
    with busy("reading the recorded run"):
        text = str(cfg.reproduce)
        run = find_training_run(text, store=tracker.store, server=cfg.server)
        return Original(run, read_training_run(run))


def reproduce(call: TrainCall, *, data_folder: Path) -> TrainResult:
    """Train a recorded run again, and compare the two networks.

    `data_folder` is the folder of all data sets.

    Raises:
        UserError: If the data of the run is not available.
        PartlyFailed: If the networks differ.
    """
    assert call.original
    run = call.original.run
    recorded = call.original.training
    tags = provenance.tags(call.tracker.read_code())
    dataset = load_data(run, recorded.metadata, data_folder)
    settings = {
        **dict(call.cfg),
        **dict(recorded.hyperparameters),
        "reproduce": run.run_id,
        "run_name": call.cfg.run_name or f"{run.name} again",
    }
    try:
        cfg = validate(TrainConfig, settings)
    except ConfigError as error:
        raise UserError(f"run {run.run_id} cannot be reproduced: {error}") from None
    again = train_recorded(replace(call, cfg=cfg), dataset)
    say(f"\n{compare(run, recorded, again, tags)}")
    explaining = command_line("inspect", run=short_id(run.run_id))
    say(next_steps({explaining: "explains the network"}))
    return again


def load_data(run: RecordedRun, metadata: Metadata, folder: Path) -> Dataset:
    """Load the data set of a recorded run from the folder of all data sets.

    Raises:
        UserError: If the recorded summary is damaged; and see `datasets.load`.
    """
    # Next to this path, the run has the summary, but not the images.
    path = data_path(metadata.dataset, folder=run.artifacts / DATA_FOLDER)
    manifest = datasets.read_manifest(path)
    summary = datasets.companion_files(path).summary
    if manifest is None and summary.exists():
        raise UserError(f"{summary} is damaged: choose another run")
    return datasets.load(
        metadata.dataset,
        folder=folder,
        sha256=metadata.data_sha256,
        origin=manifest.origin if manifest else None,
    )


def compare(
    run: RecordedRun,
    recorded: TrainingRun,
    again: TrainingRun,
    tags: Mapping[str, str],
) -> str:
    """Compare the training run of a run with its reproduction, and return a report.

    `tags` are the tags of the process that reproduced the run.

    Raises:
        PartlyFailed: If the weights differ, with the report and `again` as the result.
    """
    differences = [
        *_weight_differences(recorded, again),
        *_environment_differences(run.tags, tags),
        *_code_differences(run),
    ]
    before, now = (each.trained.weights_sha256 for each in (recorded, again))
    hashes = f"\n  recorded {before}\n  now      {now}"
    lines = "".join(f"\n  {line}" for line in differences)
    if not again.has_weights_of(recorded):
        raise PartlyFailed(f"not reproduced:{hashes}{lines}", again)
    note = f"\ndespite these differences:{lines}" if lines else ""
    return f"reproduced byte for byte:{hashes}{note}"


def _weight_differences(recorded: TrainingRun, again: TrainingRun) -> Iterator[str]:
    if again.has_weights_of(recorded):
        return
    before, now = (each.network.vector.numpy() for each in (recorded, again))
    difference = np.abs(now - before)
    count = np.count_nonzero(now.view(np.int32) != before.view(np.int32))  # also -0.0
    yield (
        f"weights: {count:,} of {difference.size:,} differ, by {difference.max():.2g} "
        f"at most and by {difference.mean():.2g} on average; the mean absolute weight "
        f"is {np.abs(before).mean():.2g}"
    )
    for name in (FINAL_ACCURACY, VAL_ACCURACY):
        yield f"{name}: {recorded.metrics[name]:.4%}, now {again.metrics[name]:.4%}"


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
        recorded = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError):
        yield f"code: {path} is damaged"
        return
    now = CORE.hashes
    keys = {**recorded, **now}
    if changed := [key for key in keys if recorded.get(key) != now.get(key)]:
        yield f"code in pipeline/core: {', '.join(changed)}"
