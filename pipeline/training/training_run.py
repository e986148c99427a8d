"""A finished training run: the data and settings, the epochs, and the files.

A single training run and the worker of a sweep make the same object with the functions
of this module. A `TrainingRun` contains no PyTorch objects, so a worker can send it to
another machine. It does not depend on where the run is recorded; `reading` reads it
from there.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.base import files, paths, tables
from pipeline.base.metric_names import FINAL_TRAIN, VAL_ACCURACY, ordered
from pipeline.base.tensors import tensors_sha256
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Epoch
from pipeline.core.fingerprint import processor
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import Track, measure, train_network
from pipeline.core.network import Network, network_from
from pipeline.core.threads import one_thread
from pipeline.model import Metadata, storage
from pipeline.model.text_files import RunFile


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
    def best(self) -> tuple[float, int]:
        """The highest validation accuracy, and the first epoch with this accuracy."""
        accuracies = {e.number: e.metrics[VAL_ACCURACY] for e in self.epochs[1:]}
        first = max(accuracies, key=accuracies.__getitem__)  # the first such epoch
        return accuracies[first], first

    @property
    def metrics(self) -> dict[str, float]:
        """The content of metrics.json: losses in nats, accuracies in [0, 1]."""
        return ordered(self.last.metrics) | dict(self.final_metrics)

    @property
    def history_rows(self) -> list[dict[str, Any]]:
        """The rows of history.csv: the metrics after each epoch."""
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
        """Write the network to an existing folder.

        With PyTorch's version, its file also records the hash of the weights.
        """
        sha256 = self.weights_sha256 if torch else None
        added = {"torch": torch, "weights_sha256": sha256}
        metadata = self.metadata.model_copy(update=added)
        storage.save_model(folder / paths.MODEL_FILE, self.network, metadata)

    def write(self, folder: Path, *, run_id: str | None) -> None:
        """Write the network, its weight history and its metrics to an existing folder.

        Equal training runs write equal files, except for run.json (id and times).
        """
        self.write_network(folder)
        tensors = [epoch.tensors for epoch in self.epochs]
        path = folder / paths.WEIGHT_HISTORY_FILE
        storage.save_weight_history(path, tensors, self.metadata)
        tables.write_csv(folder / paths.HISTORY_FILE, self.history_rows)
        files.write_json(folder / paths.METRICS_FILE, self.metrics)
        run_file = RunFile(
            run_id,
            seconds=[epoch.seconds for epoch in self.epochs[1:]],
            times=[epoch.time for epoch in self.epochs],
        )
        files.write_json(folder / paths.RUN_FILE, asdict(run_file))


def finished_training_run(
    dataset: Dataset, hyperparameters: Hyperparameters, epochs: Sequence[Epoch]
) -> TrainingRun:
    """Measure the trained network on its training images."""
    split = dataset.split(hyperparameters.split)
    score, min_margin = measure(network_from(epochs[-1].tensors), split.train)
    return TrainingRun(
        dataset=dataset.name,
        data_sha256=dataset.file.sha256,
        hyperparameters=hyperparameters,
        epochs=epochs,
        final_metrics={f"{FINAL_TRAIN}{name}": x for name, x in score.items()},
        min_margin=min_margin,
        host=platform.node(),
        processor=processor(),
    )


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
        return finished_training_run(dataset, hyperparameters, epochs)
