"""A training run that has ended: its metadata, epochs and scores, and its files.

A single training run and the worker of a sweep make the same object with the functions
of this module. The fields of a `TrainingRun` contain no PyTorch objects, so a worker
can send it to another machine. It does not depend on where it was trained or is
recorded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pipeline import UserError
from pipeline.base import paths
from pipeline.base.csv_files import to_rows
from pipeline.base.fingerprint import check_code
from pipeline.base.metric_names import (
    EPOCH_METRICS,
    FINAL_ACCURACY,
    FINAL_TRAIN,
    VAL_ACCURACY,
    ordered,
)
from pipeline.base.tensors import tensors_sha256
from pipeline.base.text import counted
from pipeline.core.dataset import Dataset, LabeledImages
from pipeline.core.epoch import Epoch
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import measure, train_network
from pipeline.core.network import Network, network_from
from pipeline.core.threads import one_thread
from pipeline.model import (
    Metadata,
    load_histories,
    load_recorded_network,
    storage,
    text_files,
)
from pipeline.model.storage import RESTORE, belongs_elsewhere
from pipeline.model.trained_network import describe_layers
from pipeline.tracking import RecordedRun

check_code()  # PyTorch is imported late, perhaps long after `core` was hashed

Track = Callable[[Iterable[Epoch], int], Iterable[Epoch]]  # shows the progress


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A training run that has ended."""

    metadata: Metadata  # the data set, the hyperparameters and the `min_margin`
    epochs: Sequence[Epoch] = field(repr=False)  # epoch 0 is before training
    # The result of `measure`, with names such as with_final_weights/train_loss.
    final_metrics: Mapping[str, float]

    @property
    def hyperparameters(self) -> Hyperparameters:
        """The hyperparameters in the metadata."""
        return self.metadata.hyperparameters

    @property
    def last(self) -> Epoch:
        """The last epoch, with the number `hyperparameters.epochs`."""
        return self.epochs[-1]

    @cached_property
    def network(self) -> Network:
        """The trained network."""
        return network_from(self.last.tensors)

    @cached_property
    def weights_sha256(self) -> str:
        """The `tensors_sha256` of the trained network."""
        return tensors_sha256(self.last.tensors)

    def has_weights_of(self, other: "TrainingRun") -> bool:
        """Return whether the weights are those of `other`, byte for byte."""
        return self.weights_sha256 == other.weights_sha256

    @property
    def seconds(self) -> float:
        """The sum of the durations of all epochs, as in `Epoch.seconds`."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def best_epoch(self) -> tuple[float, int]:
        """The highest validation accuracy, and the first epoch with this accuracy."""
        accuracies = self.history[VAL_ACCURACY]
        return max(accuracies), accuracies.index(max(accuracies)) + 1

    @property
    def metrics(self) -> dict[str, float]:
        """The content of metrics.json: losses in nats, accuracies in [0, 1]."""
        return ordered(self.last.metrics) | dict(self.final_metrics)

    @property
    def history(self) -> text_files.History:
        """The content of history.csv: the metrics after each epoch, by name."""
        trained = self.epochs[1:]
        names = ordered(self.last.metrics)
        return {name: [each.metrics[name] for each in trained] for name in names}

    @property
    def description(self) -> str:
        """The description of the training run for its page, in Markdown."""
        final, (best, epoch) = self.metrics, self.best_epoch
        return (
            f"A {describe_layers(self.network).replace('->', '→')} network with "
            f"{self.network.parameter_count:,} parameters, trained on "
            f"{self.metadata.dataset} for {counted(self.last.number, 'epoch')}. It "
            f"classifies **{final[FINAL_ACCURACY]:.2%}** of the training images and "
            f"**{final[VAL_ACCURACY]:.2%}** of the validation images correctly "
            f"(split={self.hyperparameters.split}). The highest validation accuracy "
            f"was {best:.2%}, after epoch {epoch}."
        )

    def with_dataset(self, name: str) -> "TrainingRun":
        """Return this training run with another name of the same data set."""
        metadata = self.metadata.model_copy(update={"dataset": name})
        return replace(self, metadata=metadata)

    def write(self, folder: Path, *, run_id: str | None) -> None:
        """Write all files to an existing folder; `read_training_run` is the inverse.

        Equal training runs write equal files, except for run.json (id and times).
        """
        storage.save_network(folder / paths.MODEL_FILE, self.network, self.metadata)
        tensors = [epoch.tensors for epoch in self.epochs]
        path = folder / paths.WEIGHT_HISTORY_FILE
        storage.save_weight_history(path, tensors, self.metadata)
        text_files.write_history(folder / paths.HISTORY_FILE, self.history)
        text_files.write_metrics(folder / paths.METRICS_FILE, self.metrics)
        run_file = text_files.RunFile(
            run_id,
            seconds=[epoch.seconds for epoch in self.epochs[1:]],
            times=[epoch.time for epoch in self.epochs],
        )
        text_files.write_run_file(folder / paths.RUN_FILE, run_file)


def read_training_run(run: RecordedRun) -> TrainingRun:
    """Read the files of a recorded training run.

    Raises:
        UserError: If a file is missing, damaged or from another training run.
            `load_recorded_network` checks that the network is that of the run.
    """
    folder = run.network_path.parent
    files = [folder / name for name in paths.TRAINING_FILES]
    if missing := [path.name for path in files if not path.is_file()]:
        rule = "must contain all files of a training run"
        raise UserError(f"{folder} {rule}, but {missing[0]} is missing: {RESTORE}")
    trained = load_recorded_network(run)
    histories = load_histories(trained)
    weights, history = histories.weights, histories.metrics
    if (metadata := trained.metadata) is None:
        rule = "must record the data set and the hyperparameters of its training run"
        raise UserError(f"{trained.path} {rule}: {RESTORE}")
    assert weights is not None and history is not None  # their files exist
    if lost := [name for name in EPOCH_METRICS if name not in history]:
        path = folder / paths.HISTORY_FILE
        raise UserError(f"{path} must have a column {lost[0]}: {RESTORE}")
    metrics = [{}, *to_rows(history)]  # epoch 0 has neither metrics nor seconds
    scores = text_files.read_metrics(folder / paths.METRICS_FILE)
    if not scores.items() >= metrics[-1].items():
        raise belongs_elsewhere(folder / paths.METRICS_FILE)
    run_file = text_files.read_run_file(folder / paths.RUN_FILE)
    seconds = [0.0, *run_file.seconds]
    if len(seconds) != len(metrics):
        raise belongs_elsewhere(folder / paths.RUN_FILE)
    return TrainingRun(
        metadata,
        epochs=[
            Epoch(
                {name: stacked[number] for name, stacked in weights.items()},
                number=number,
                metrics=measured,
                seconds=seconds[number],
                time=run_file.times[number],
            )
            for number, measured in enumerate(metrics)
        ],
        final_metrics={
            name: x for name, x in scores.items() if name.startswith(FINAL_TRAIN)
        },
    )


def finished_training_run(
    dataset: Dataset,
    train: LabeledImages,
    hyperparameters: Hyperparameters,
    epochs: Sequence[Epoch],
) -> TrainingRun:
    """Measure the trained network on its training images, a part of the data set."""
    assert epochs[-1].number == hyperparameters.epochs, "all epochs are trained"
    score, min_margin = measure(network_from(epochs[-1].tensors), train)
    return TrainingRun(
        Metadata(
            dataset=dataset.name,
            data_sha256=dataset.file.sha256,
            hyperparameters=hyperparameters,
            min_margin=min_margin,
        ),
        epochs,
        final_metrics={f"{FINAL_TRAIN}{name}": x for name, x in score.items()},
    )


def compute_training_run(
    dataset: Dataset, *, hyperparameters: Hyperparameters, track: Track | None = None
) -> TrainingRun:
    """Train on one thread, with weights that are byte-identical to those of `train`.

    This function uses neither the configuration nor MLflow, and writes no file.
    Everything that trains without recording calls it: the workers of a sweep, the
    homework and the grader.

    Args:
        dataset: The data set.
        hyperparameters: The hyperparameters, with the name of the split.
        track: A function that shows the progress. It receives an iterator over the
            epochs, from epoch 1, and their number.

    Raises:
        UserError: If the data set is too small for the split or the batch size.
        FloatingPointError: If a loss or a weight becomes non-finite.
    """
    with one_thread():
        epochs = train_network(dataset, hyperparameters)
        initial = next(epochs)
        tracked = track(epochs, hyperparameters.epochs) if track else epochs
        trained = [initial, *tracked]
        train = dataset.split(hyperparameters.split).train
        return finished_training_run(dataset, train, hyperparameters, trained)
