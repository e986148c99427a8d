"""Train the 784 -> hidden -> 10 network and record every epoch in MLflow.

Reads outputs/data/<dataset>.safetensors (downloads the data set if it is missing).
Writes the network, its weight history, metrics, learning curves and the id of the
MLflow run to outputs/train/. With the default settings, training takes about 12 s on
one core. The accuracy is 97.7 % on the training images and 96 % on the test images,
which are the validation images of split=exercise.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import ConfigError, UserError
from pipeline.cli import (
    HYPERPARAMETERS,
    TrainConfig,
    as_yaml,
    defaults,
    run_name,
    stage,
    validate,
)
from pipeline.paths import displayed, outputs_dir, store_dir
from pipeline.sweeps import run_sweep
from pipeline.terminal import command_line, next_steps, status, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.datasets import Dataset
    from pipeline.model import Network
    from pipeline.tracking import Run, Tracker
    from pipeline.training import (
        Checkpoint,
        Epoch,
        FinishedTraining,
        RecordedTraining,
        Recorder,
    )

NEXT = {
    command_line("predict", "images=0"): "classifies test image 0",
    command_line("inspect"): "writes an interactive page",
}


@dataclass(frozen=True)
class TrainingResult:
    """A recorded training run."""

    network: "Network"
    sha256: str  # of its tensors
    metrics: dict[str, float]  # of metrics.json: losses in nats, accuracies in [0, 1]
    history: "list[Epoch]"  # the metrics and tensors of each epoch, from 1
    run_id: str | None  # of its MLflow run; None with tracking="none"
    folder: Path  # with its files


def train(**settings: Any) -> TrainingResult:  # noqa: ANN401
    """Train a network as the command does, from a script, a notebook or a thread.

    Args:
        settings: Values for keys of conf/config.yaml, such as hidden=20; all others
            have their defaults. They can be NumPy numbers and paths.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If the data or the store cannot be used.
        FloatingPointError: If the loss or a weight becomes non-finite.
    """
    settings = {key: _builtin(value) for key, value in settings.items()}
    values = {**defaults(), **settings}
    return train_and_record(validate(TrainConfig, values, given=settings))


def _builtin(value: Any) -> Any:  # noqa: ANN401
    """Convert a path to text, and a number of NumPy or PyTorch to one of Python."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) != 0:
        return value
    number = value.item()
    if isinstance(number, float) and value.dtype.itemsize == 4:
        import numpy as np

        return float(str(np.float32(number)))  # 0.001, not 0.0010000000474974513
    return number


def train_and_record(cfg: TrainConfig) -> TrainingResult:
    """Train a network, or reproduce a run."""
    from pipeline import tracking

    recording = tracking.prepared_recording(
        cfg.tracking, store_dir(), server=cfg.server, experiment=cfg.experiment_name
    )
    with recording as open_tracker:
        with status("loading PyTorch"):
            from pipeline import datasets, training

        with training.one_thread():
            if cfg.reproduce:
                return _reproduce(cfg, open_tracker)
            dataset = datasets.load(cfg.dataset, folder=outputs_dir() / "data")
            result = _train(cfg, dataset, open_tracker)
    print(next_steps(NEXT))
    return result


def _reproduce(
    cfg: TrainConfig, open_tracker: "Callable[[], Tracker]"
) -> TrainingResult:
    """Train a recorded run again, and compare the two networks.

    Raises:
        UserError: If the run or its data are not available, or the networks differ.
    """
    from pipeline import training

    run = str(cfg.reproduce)
    with status("reading the recorded run"):
        original = training.RecordedTraining.load(run, store=store_dir())
    run_id, metadata = original.run.run_id, original.model.metadata
    dataset = original.load_data(outputs_dir() / "data")
    recorded = {key: metadata[key] for key in HYPERPARAMETERS if key in metadata}
    source = {"dataset": recorded.pop("dataset")}  # a folder may have moved
    try:
        cfg = validate(TrainConfig, dict(cfg) | recorded).model_copy(update=source)
    except ConfigError as error:
        raise UserError(f"run {run_id} cannot be reproduced: {error}") from None
    result = _train(cfg, dataset, open_tracker, original)
    print(f"\n{original.compare(result.network, result.sha256, result.metrics)}")
    print(next_steps({command_line("inspect", run=run_id[:8]): "explains the network"}))
    return result


def _train(
    cfg: TrainConfig,
    dataset: "Dataset",
    open_tracker: "Callable[[], Tracker]",
    original: "RecordedTraining | None" = None,
) -> TrainingResult:
    """Train a network and write the results; `original` is the run to reproduce."""
    from pipeline import training
    from pipeline.model.export import prepare_export

    split = training.split_data(dataset, cfg.split, batch_size=cfg.batch_size)
    network, adam, generator = training.initialise(
        hidden=cfg.hidden, lr=cfg.lr, seed=cfg.seed
    )
    name, tags = _name_and_tags(cfg, dataset, original)
    print(f"{name}: 784 -> {cfg.hidden} -> 10, {network.parameter_count:,} parameters")
    if cfg.tracking != "none":
        prepare_export(cfg.hidden)  # in another process, beside the training
    tracker = open_tracker()
    key = tags | {"dataset": cfg.dataset}  # only a run with equal tags is resumed
    folder = outputs_dir() / ("reproduce" if original else "train")
    with (
        training.open_checkpoint(
            store_dir(), key, network, adam, generator, resume=cfg.resume
        ) as checkpoint,
        tracker.start_run(
            name=name,
            params=cfg.hyperparameters(),
            tags=tags,
            lease=checkpoint.lease,
        ) as run,
        training.delayed_interrupt() as interrupt,
        training.Recorder.open(run) as recorder,
    ):
        history = _start_recording(recorder, cfg, dataset, checkpoint)
        if last := history[-1].number:
            print(wrap(f"resuming {run.label} after epoch {last} of {cfg.epochs}"))
        epochs = training.fit(
            network,
            adam,
            split,
            epochs=interrupt.between(range(len(history), cfg.epochs + 1)),
            batch_size=cfg.batch_size,
            generator=generator,
        )
        for epoch in training.print_epochs(epochs, total=cfg.epochs):
            checkpoint.save(epoch)
            history.append(epoch)
            recorder.log(training.log_epoch, epoch, cfg.epochs)
        finished = training.FinishedTraining.of(history, network, split)
        sha256 = _write(finished, folder, cfg, dataset, run, original)
    metrics = finished.metrics()
    training.print_summary(
        network, metrics, split.val, dataset=dataset.name, split=cfg.split
    )
    print(f"weights.sha256 {sha256}\nfiles  {displayed(folder)}")
    print(run.viewing_hint(), end="")
    interrupt.check("stopped after training was finished")
    return TrainingResult(network, sha256, metrics, history[1:], run.id, folder)


def _name_and_tags(
    cfg: TrainConfig, dataset: "Dataset", original: "RecordedTraining | None"
) -> tuple[str, dict[str, str]]:
    """Return the name and the tags of the run."""
    from pipeline import training
    from pipeline.tracking import provenance

    settings, sha256 = cfg.hyperparameters(), dataset.sha256
    name = run_name(settings | {"dataset": dataset.name})
    processor = provenance.processor()
    identity = training.identity(settings, data_sha256=sha256, processor=processor)
    tags = {"kind": "training", "data.sha256": sha256, "identity": identity}
    if original:
        name = f"{original.run.tags['mlflow.runName']} again"
        tags["reproduces"] = original.run.run_id
    return cfg.run_name or name, tags


def _start_recording(
    recorder: "Recorder", cfg: TrainConfig, dataset: "Dataset", checkpoint: "Checkpoint"
) -> "list[Epoch]":
    """Record the inputs and the saved epochs, and return the epochs."""
    from pipeline import model, training

    with status("recording data, code and settings"):
        # Now, because the file can move during the training.
        model.store_components(dataset.path, cfg.split, sha256=dataset.sha256)
        recorder.log(training.log_inputs, dataset.path, as_yaml(cfg), plots=True)
        history = checkpoint.resume()
        for epoch in history:
            recorder.log(training.log_epoch, epoch, cfg.epochs)
    return history


def _write(
    finished: "FinishedTraining",
    folder: Path,
    cfg: TrainConfig,
    dataset: "Dataset",
    run: "Run",
    original: "RecordedTraining | None",
) -> str:
    """Write and log the results; a reproduction also gets the tag `reproduced`.

    Returns:
        The sha256 of the network's tensors.
    """
    from pipeline import files, plots, training

    metadata = cfg.hyperparameters() | {"data_sha256": dataset.sha256}
    message = "writing and recording the trained network"
    with status(message), files.atomic_folder(folder) as temporary:
        sha256 = finished.write(temporary, metadata, run_id=run.id)
        curves = plots.learning_curves(finished.rows())
        curves.save(temporary / "learning_curves.png")
        run.log_files("train", sorted(temporary.iterdir()))
        # MLflow's page of a run lists the metrics in this order: the scores come first.
        training.log_scores(run, finished, sha256=sha256)
        training.log_details(run, finished, temporary, metadata, dataset=dataset.name)
        if original:
            is_equal = sha256 == original.model.sha256
            run.set_tags({"reproduced": str(is_equal).lower()})
    return sha256


if __name__ == "__main__":
    stage(train_and_record, TrainConfig, sweep=run_sweep)
