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
from tempfile import TemporaryDirectory
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
from pipeline.paths import MODEL_FILE, displayed, outputs_dir, store_dir
from pipeline.sweeps import run_sweep
from pipeline.terminal import command_line, next_steps, status, table, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from pipeline.datasets import Dataset, Split
    from pipeline.model import Network
    from pipeline.tracking import Run, Tracker
    from pipeline.training import (
        Adam,
        Checkpoint,
        Epoch,
        FinishedTraining,
        Recorder,
        RunContext,
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
    history: "list[Epoch]"  # the metrics of each epoch
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


def train_and_record(
    cfg: TrainConfig, context: "RunContext | None" = None
) -> TrainingResult:
    """Train a network, or reproduce a run; a sweep passes the context."""
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
            context = context or training.RunContext()
            result = _train(cfg, dataset, context, open_tracker)
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
    name = f"{original.run.tags['mlflow.runName']} again"
    folder = outputs_dir() / "reproduce"
    context = training.RunContext(folder, {"reproduces": run_id}, name)
    expected = original.model.sha256
    result = _train(cfg, dataset, context, open_tracker, expected)
    print(f"\n{original.compare(result.network, result.sha256, result.metrics)}")
    print(next_steps({command_line("inspect", run=run_id[:8]): "explains the network"}))
    return result


def _train(
    cfg: TrainConfig,
    dataset: "Dataset",
    context: "RunContext",
    open_tracker: "Callable[[], Tracker]",
    expected: str = "",
) -> TrainingResult:
    """Initialise a network, fit it to the data and write the results.

    The tag `reproduced` records whether the weights have the `expected` sha256, if any.
    """
    from pipeline import files, training
    from pipeline.model.export import prepare_export

    split = training.split_data(dataset, cfg.split, batch_size=cfg.batch_size)
    network, adam, generator = _initialise(cfg)
    settings = cfg.hyperparameters()
    metadata = settings | {"data_sha256": dataset.sha256}
    name = cfg.run_name or context.name or _default_name(cfg, dataset)
    tags = _tags(cfg, dataset, context)
    print(f"{name}: 784 -> {cfg.hidden} -> 10, {network.parameter_count:,} parameters")
    # A reproduction, a sweep and a single training run never resume one another.
    purpose = {key: tags.get(key) for key in ("reproduces", "sweep")}
    if cfg.tracking != "none":
        prepare_export(cfg.hidden)  # in another process, beside the training
    tracker = open_tracker()
    with (
        training.open_checkpoint(
            store_dir(), metadata | purpose, network, adam, generator, resume=cfg.resume
        ) as checkpoint,
        tracker.start_run(
            name=name, params=settings, tags=tags, lease=checkpoint.lease
        ) as run,
        training.delayed_interrupt() as interrupt,
        training.Recorder.open(run, cfg.epochs) as recorder,
    ):
        _start_recording(recorder, cfg, dataset, checkpoint)
        epochs = training.fit(
            network,
            adam,
            split,
            epochs=interrupt.between(range(len(recorder.history), cfg.epochs + 1)),
            batch_size=cfg.batch_size,
            generator=generator,
        )
        for epoch in training.print_epochs(epochs, total=cfg.epochs):
            recorder.add(checkpoint.save(epoch))
        message = "writing and recording the trained network"
        with status(message), files.atomic_folder(context.folder) as temporary:
            finished = training.FinishedTraining.of(recorder.history, network, split)
            sha256 = _write(finished, temporary, metadata, run, dataset.name)
            if expected:
                run.set_tags({"reproduced": str(sha256 == expected).lower()})
    history = [state.epoch for state in recorder.history[1:]]
    metrics, folder = finished.metrics(), context.folder
    result = TrainingResult(network, sha256, metrics, history, run.id, folder)
    _print_summary(cfg, dataset, split, result)
    print(run.viewing_hint(), end="")
    interrupt.check("stopped after training was finished")
    return result


def _initialise(cfg: TrainConfig) -> "tuple[Network, Adam, torch.Generator]":
    """Return a new network, its optimizer, and the generator that shuffles images."""
    import torch

    from pipeline import model, training

    generator = torch.Generator().manual_seed(cfg.seed)
    network = model.Network(hidden=cfg.hidden, generator=generator)
    return network, training.Adam(network, lr=cfg.lr), generator


def _tags(
    cfg: TrainConfig, dataset: "Dataset", context: "RunContext"
) -> dict[str, str]:
    """Return the tags of the run."""
    from pipeline import training
    from pipeline.tracking import provenance

    identity = training.identity(
        cfg.hyperparameters(),
        data_sha256=dataset.sha256,
        processor=provenance.processor(),
    )
    tags = {"kind": "training", "data.sha256": dataset.sha256, **context.tags}
    return {**tags, "identity": identity}


def _write(
    finished: "FinishedTraining",
    folder: Path,
    metadata: dict[str, Any],
    run: "Run",
    dataset: str,
) -> str:
    """Write and log the results; return the sha256 of the network's tensors."""
    from pipeline import plots, training
    from pipeline.model.export import export_network

    sha256 = finished.write(folder, metadata, run_id=run.id)
    plots.learning_curves(finished.rows()).save(folder / "learning_curves.png")
    run.log_files("train", sorted(folder.iterdir()))
    with TemporaryDirectory() as temporary:
        exported = None
        if run.id is not None:
            exported = Path(temporary, "model.pt2")
            hidden = finished.network.hidden
            export_network(folder / MODEL_FILE, exported, hidden=hidden)
        training.log_finished(run, finished, folder, sha256=sha256, exported=exported)
    # MLflow's page of a run lists them in this order: the scores are more important.
    training.log_statistics(run, finished.states)
    metrics = finished.metrics()
    training.describe_training(run, metadata, metrics, dataset=dataset, images=True)
    return sha256


def _default_name(cfg: TrainConfig, dataset: "Dataset") -> str:
    return run_name(cfg.hyperparameters() | {"dataset": dataset.name})


def _start_recording(
    recorder: "Recorder", cfg: TrainConfig, dataset: "Dataset", checkpoint: "Checkpoint"
) -> None:
    """Record the inputs and, if the training is resumed, the earlier epochs."""
    from pipeline import model, training

    with status("recording data, code and settings"):
        # Now, because the file can move during the training.
        model.store_components(dataset.path, cfg.split, sha256=dataset.sha256)
        recorder.log(training.log_inputs, dataset.path, as_yaml(cfg), plots=True)
        for state in checkpoint.restore() or [checkpoint.save()]:
            recorder.add(state)
    if finished := len(recorder.history) - 1:
        progress = f"after epoch {finished} of {cfg.epochs}"
        print(wrap(f"resuming {recorder.run.label} {progress}"))


def _print_summary(
    cfg: TrainConfig, dataset: "Dataset", split: "Split", result: TrainingResult
) -> None:
    """Print the scores, the answer to validation image 0, and the files."""
    from pipeline import datasets, training

    metrics, val, names = (
        result.metrics,
        split.val,
        datasets.spec(dataset.name).class_names,
    )
    probabilities = result.network.predict(val.images[:1])[0].tolist()
    answer, label = probabilities.index(max(probabilities)), val.labels[0]
    kind = "test" if cfg.split == "exercise" else "validation"
    scores = {
        "train": ("train/final_", "of the trained network"),
        "validation": ("val/", training.best_epoch(metrics)),
    }
    rows = [
        [name, f"{metrics[f'{p}loss']:.4f}", f"{metrics[f'{p}accuracy']:.2%}", remark]
        for name, (p, remark) in scores.items()
    ]
    columns = ["images", "loss", "accuracy", ""]
    print(
        f"\n{table(columns, rows, left=['images', ''])}\n"
        f"{kind} image 0 is classified as {names[answer]} with a probability of "
        f"{max(probabilities):.1%}; its label is {names[label]}\n"
        f"weights.sha256 {result.sha256}\nfiles  {displayed(result.folder)}"
    )


if __name__ == "__main__":
    stage(train_and_record, TrainConfig, sweep=run_sweep)
