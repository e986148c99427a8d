"""A training run that has ended: its metadata, epochs and scores.

A single training run and the worker of a sweep create the same object with
`TrainingRun.of`; `training_files` writes and reads it. The fields of a `TrainingRun`
contain no PyTorch objects, so a worker can send it to another machine. It does not
depend on where it was trained or is recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from pipeline.base.text import counted
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Epoch
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import score
from pipeline.core.margin import min_margin
from pipeline.core.network import Network, network_from
from pipeline.model import Metadata
from pipeline.model.trained_network import TrainedNetwork, describe_layers
from pipeline.records.metric_names import (
    FINAL_ACCURACY,
    FINAL_TRAIN,
    TRAIN_ACCURACY,
    VAL_ACCURACY,
    ordered,
)
from pipeline.records.run_files import History
from pipeline.records.software import check_code

# PyTorch and most modules of core are imported late, possibly long after core was
# hashed. Later edits do not affect this process.
check_code()


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A training run that has ended."""

    metadata: Metadata  # the data set, the hyperparameters and the `min_margin`
    epochs: Sequence[Epoch] = field(repr=False)  # epoch 0 is before training
    # The `score` on the training images, such as with_final_weights/train_loss.
    final_metrics: Mapping[str, float]

    @staticmethod
    def of(
        dataset: Dataset, hyperparameters: Hyperparameters, epochs: Sequence[Epoch]
    ) -> "TrainingRun":
        """Measure the trained network on its training images."""
        assert epochs[-1].number == hyperparameters.epochs, "all epochs are trained"
        network = network_from(epochs[-1].tensors)
        train = dataset.split(hyperparameters.split).train
        return TrainingRun(
            Metadata(
                dataset=dataset.name,
                data_sha256=dataset.file.sha256,
                hyperparameters=hyperparameters,
                min_margin=min_margin(network, train),
            ),
            epochs,
            final_metrics={
                f"{FINAL_TRAIN}{name}": x for name, x in score(network, train).items()
            },
        )

    @property
    def hyperparameters(self) -> Hyperparameters:
        """The hyperparameters in the metadata."""
        return self.metadata.hyperparameters

    @property
    def last(self) -> Epoch:
        """The last epoch, with the number `hyperparameters.epochs`."""
        return self.epochs[-1]

    @cached_property
    def trained(self) -> TrainedNetwork:
        """The trained network, with the metadata."""
        return TrainedNetwork(network_from(self.last.tensors), self.metadata)

    def has_weights_of(self, other: "TrainingRun") -> bool:
        """Return whether both trained networks are byte-identical."""
        return self.trained.weights_sha256 == other.trained.weights_sha256

    @property
    def network(self) -> Network:
        """The network after the last epoch."""
        return self.trained.network

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
    def history(self) -> History:
        """The content of history.csv: the metrics after each epoch, by name."""
        measured = self.epochs[1:]
        names = ordered(self.last.metrics)
        return {name: [each.metrics[name] for each in measured] for name in names}

    @property
    def description_text(self) -> str:
        """The description of the training run for its page, in Markdown."""
        final = self.metrics
        best, epoch = self.best_epoch
        return (
            f"A {describe_layers(self.network).replace('->', '→')} network with "
            f"{self.network.parameter_count:,} parameters, trained on "
            f"{self.metadata.dataset} for {counted(self.last.number, 'epoch')}. It "
            f"classifies **{final[FINAL_ACCURACY]:.2%}** of the training images and "
            f"**{final[VAL_ACCURACY]:.2%}** of the validation images correctly "
            f"(split={self.hyperparameters.split}). The highest validation accuracy "
            f"was {best:.2%}, after epoch {epoch}.\n\nThe accuracy on the training "
            f"images was measured after training (`{FINAL_ACCURACY}`). The curve "
            f"`{TRAIN_ACCURACY}` is measured during an epoch, while the weights change."
        )

    def with_dataset(self, name: str) -> "TrainingRun":
        """Return this training run with another name of the same data set."""
        metadata = self.metadata.model_copy(update={"dataset": name})
        return replace(self, metadata=metadata)
