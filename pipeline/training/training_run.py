"""A finished training run: the data and settings, the epochs, and the files.

A single training run and the worker of a sweep make the same object, a `TrainingRun`.
It contains no PyTorch objects, so a worker can send it to another machine, and it does
not depend on where the run is recorded. `compute_training_run` runs in the workers of a
sweep.
"""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pipeline import UserError
from pipeline.base import files, paths, tables
from pipeline.base.metric_names import EPOCH_METRICS, FINAL_TRAIN, VAL_ACCURACY, ordered
from pipeline.base.tags import HOST_TAG, PROCESSOR_TAG, WEIGHTS_TAG
from pipeline.base.tensors import tensors_sha256
from pipeline.base.text import short_repr
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Epoch
from pipeline.core.fingerprint import processor
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import Track, measure, train_network
from pipeline.core.network import Network, network_from
from pipeline.core.threads import one_thread
from pipeline.model import Metadata, TrainedModel, load_trained_model, storage
from pipeline.model.text_files import RunFile
from pipeline.tracking import RecordedRun

RESTORE = "restore the files, or train the network again"


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A finished training run."""

    dataset: str  # the name of the data set
    data_sha256: str  # the hash of the file of the data set
    hyperparameters: Hyperparameters
    epochs: Sequence[Epoch] = field(repr=False)  # epoch 0 is before training
    # The result of `measure`, with names such as with_final_weights/train_loss.
    final_metrics: Mapping[str, float]
    min_margin: float  # see `core.margin.min_margin`
    host: str
    processor: str

    @classmethod
    def of(
        cls, dataset: Dataset, hyperparameters: Hyperparameters, epochs: Sequence[Epoch]
    ) -> "TrainingRun":
        """Measure the trained network on its training images."""
        split = dataset.split(hyperparameters.split)
        score, min_margin = measure(network_from(epochs[-1].tensors), split.train)
        return cls(
            dataset=dataset.name,
            data_sha256=dataset.file.sha256,
            hyperparameters=hyperparameters,
            epochs=epochs,
            final_metrics={f"{FINAL_TRAIN}{name}": x for name, x in score.items()},
            min_margin=min_margin,
            host=platform.node(),
            processor=processor(),
        )

    @classmethod
    def read(cls, run: RecordedRun) -> "TrainingRun":
        """Read the artifacts of a recorded run, which `write` wrote.

        Raises:
            UserError: If a file is missing, damaged, from another training run, or from
                an earlier version of this project.
        """
        trained = load_trained_model(run.network_path)
        _check_weights(trained, run)
        metadata, beside = trained.metadata, trained.path.with_name
        path = trained.weight_history_path
        states = tables.to_rows(_existing(trained.weight_history, path))
        history = _existing(trained.history, beside(paths.HISTORY_FILE))
        scores = _existing(trained.metrics, beside(paths.METRICS_FILE))
        run_file = _existing(trained.run_file, beside(paths.RUN_FILE))
        if lost := [name for name in EPOCH_METRICS if name not in history]:
            rule = f"must have a column {lost[0]}"
            raise UserError(f"{beside(paths.HISTORY_FILE)} {rule}: {RESTORE}")
        columns: dict[str, Iterable[Any]] = {
            "tensors": states,
            "number": range(len(states)),
            # Epoch 0 has neither metrics nor seconds.
            "metrics": [{}, *tables.to_rows(history)],
            "seconds": [0.0, *run_file.seconds],
            "time": run_file.times,
        }
        return cls(
            dataset=trained.dataset,
            data_sha256=_recorded(metadata.data_sha256, "data_sha256", trained),
            hyperparameters=_recorded(metadata.hyperparameters, "settings", trained),
            epochs=[Epoch(**values) for values in tables.to_rows(columns)],
            final_metrics={
                name: x for name, x in scores.items() if name.startswith(FINAL_TRAIN)
            },
            min_margin=_recorded(metadata.min_margin, "min_margin", trained),
            host=run.tags.get(HOST_TAG, "unknown"),
            processor=run.tags.get(PROCESSOR_TAG, "unknown"),
        )

    @property
    def last(self) -> Epoch:
        """The last epoch, whose number is the number of epochs that were trained.

        `hyperparameters.epochs` is the planned number of epochs.
        """
        return self.epochs[-1]

    @property
    def network(self) -> Network:
        """The trained network; each access makes a new object."""
        return network_from(self.last.tensors)

    @cached_property
    def weights_sha256(self) -> str:
        """The `tensors_sha256` of the trained network."""
        return tensors_sha256(self.last.tensors)

    @property
    def seconds(self) -> float:
        """The time of all epochs."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def best(self) -> str:
        """The highest validation accuracy, such as "best: 95.90% after epoch 18"."""
        accuracies = {e.number: e.metrics[VAL_ACCURACY] for e in self.epochs[1:]}
        first = max(accuracies, key=accuracies.__getitem__)  # the first such epoch
        return f"best: {accuracies[first]:.2%} after epoch {first}"

    @property
    def metrics(self) -> dict[str, float]:
        """The content of metrics.json: losses in nats, accuracies in [0, 1]."""
        return ordered(self.last.metrics) | dict(self.final_metrics)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The content of history.csv: the metrics after each epoch."""
        return [{"epoch": e.number, **ordered(e.metrics)} for e in self.epochs[1:]]

    @property
    def metadata(self) -> Metadata:
        """The metadata of this training run in the files of the network."""
        return Metadata(
            dataset=self.dataset,
            data_sha256=self.data_sha256,
            min_margin=self.min_margin,
            recorded=dict(self.hyperparameters),
        )

    def write_network(self, folder: Path, *, torch: str | None = None) -> None:
        """Write the network to an existing folder, perhaps with PyTorch's version."""
        metadata = self.metadata.model_copy(update={"torch": torch})
        storage.save_model(folder / paths.MODEL_FILE, self.network, metadata)

    def write(self, folder: Path, *, run_id: str | None) -> None:
        """Write the network, its weight history and its metrics to an existing folder.

        Equal training runs write equal files, except for run.json (id and times).
        """
        self.write_network(folder)
        tensors = [epoch.tensors for epoch in self.epochs]
        path = folder / paths.WEIGHT_HISTORY_FILE
        storage.save_weight_history(path, tensors, self.metadata)
        tables.write_csv(folder / paths.HISTORY_FILE, self.history)
        files.write_json(folder / paths.METRICS_FILE, self.metrics)
        run_file = RunFile(
            run_id,
            seconds=[epoch.seconds for epoch in self.epochs[1:]],
            times=[epoch.time for epoch in self.epochs],
        )
        files.write_json(folder / paths.RUN_FILE, asdict(run_file))


Value = TypeVar("Value")


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


@dataclass(frozen=True, eq=False)
class TrainResult(TrainingRun):
    """The result of the train stage: a training run, and where it is recorded."""

    folder: Path  # the folder of the files; in the store if they are recorded
    run_id: str | None  # the id of the MLflow run; None without a recorded run
    copied: bool | None  # whether the server has a complete copy; None without a server

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all epochs."""
        return short_repr(
            self,
            val_accuracy=self.metrics[VAL_ACCURACY],
            train_accuracy=self.metrics[f"{FINAL_TRAIN}accuracy"],
            run_id=self.run_id,
            folder=self.folder,
        )

    def to_frame(self) -> Any:  # noqa: ANN401
        """Return the metrics after each epoch, the content of history.csv.

        The result is a pandas DataFrame; pandas has no type hints.
        """
        from pandas import DataFrame  # takes 0.3 s

        return DataFrame(self.history)


def compute_training_run(
    dataset: Dataset, *, hyperparameters: Hyperparameters, track: Track | None = None
) -> TrainingRun:
    """Train on one thread, with weights that are byte-identical to those of `train`.

    This function uses neither the configuration nor MLflow, and writes no file.
    `train_network` describes the arguments.

    Raises:
        UserError: If the data set is too small for the split or the batch size.
        FloatingPointError: If a loss or a weight becomes non-finite.
    """
    split = dataset.training_split(hyperparameters)
    with one_thread():
        _, epochs = train_network(split, hyperparameters, track=track)
        return TrainingRun.of(dataset, hyperparameters, epochs)
