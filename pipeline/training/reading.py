"""Reads a training run from the files that its run recorded."""

from pathlib import Path
from typing import TypeVar

from pipeline import UserError
from pipeline.base import paths, tables
from pipeline.base.metric_names import EPOCH_METRICS, FINAL_TRAIN
from pipeline.base.tags import HOST_TAG, PROCESSOR_TAG, WEIGHTS_TAG
from pipeline.core.epoch import Epoch
from pipeline.model import TrainedModel, load_trained_model
from pipeline.tracking import RecordedRun
from pipeline.training.training_run import TrainingRun

RESTORE = "restore the files, or train the network again"
Value = TypeVar("Value")


def read_training_run(run: RecordedRun) -> TrainingRun:
    """Read the artifacts of a recorded run, which `TrainingRun.write` wrote.

    Raises:
        UserError: If a file is missing, damaged, from another training run, or from
            an earlier version of this project.
    """
    trained = load_trained_model(run.network_path)
    _check_weights(trained, run)
    metadata, beside = trained.metadata, trained.path.with_name
    weights = _existing(trained.weight_history, trained.weight_history_path)
    history = _existing(trained.history, beside(paths.HISTORY_FILE))
    scores = _existing(trained.metrics, beside(paths.METRICS_FILE))
    run_file = _existing(trained.run_file, beside(paths.RUN_FILE))
    if lost := [name for name in EPOCH_METRICS if name not in history]:
        rule = f"must have a column {lost[0]}"
        raise UserError(f"{beside(paths.HISTORY_FILE)} {rule}: {RESTORE}")
    metrics = [{}, *tables.to_rows(history)]  # epoch 0 has neither metrics nor seconds
    seconds = [0.0, *run_file.seconds]
    measured = zip(metrics, seconds, run_file.times, strict=True)
    epochs = [
        Epoch({name: stacked[n] for name, stacked in weights.items()}, n, *values)
        for n, values in enumerate(measured)
    ]
    return TrainingRun(
        dataset=trained.dataset,
        data_sha256=_recorded(metadata.data_sha256, "data_sha256", trained),
        hyperparameters=_recorded(metadata.hyperparameters, "settings", trained),
        epochs=epochs,
        final_metrics={
            name: x for name, x in scores.items() if name.startswith(FINAL_TRAIN)
        },
        min_margin=_recorded(metadata.min_margin, "min_margin", trained),
        host=run.tags.get(HOST_TAG, "unknown"),
        processor=run.tags.get(PROCESSOR_TAG, "unknown"),
    )


def _existing(value: Value | None, path: Path) -> Value:
    """Return the content of a file; raise a UserError if it is None (missing file)."""
    if value is None:
        rule = "must contain all files of a training run"
        raise UserError(f"{path.parent} {rule}, but {path.name} is missing: {RESTORE}")
    return value


def _recorded(value: Value | None, name: str, trained: TrainedModel) -> Value:
    """Return a value of the metadata; raise a UserError if it is None.

    A value can be None in files of earlier versions.
    """
    if value is None:
        raise UserError(
            f"{trained.path} must record the {name} of its training run, which an "
            "earlier version did not write: train the network again"
        )
    return value


def _check_weights(trained: TrainedModel, run: RecordedRun) -> None:
    """Raise a UserError unless a run recorded this network."""
    recorded = run.tags.get(WEIGHTS_TAG)
    if trained.weights_sha256 != recorded:
        raise UserError(
            f"{trained.path} must have the weights that run {run.label} recorded, "
            f"with {WEIGHTS_TAG} {recorded}, got {trained.weights_sha256}: {RESTORE}"
        )
