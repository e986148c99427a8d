"""A finished training: its epochs, its files, and what is logged about it.

A single training run and the worker of a sweep build the same object; it contains no
path and no object of PyTorch, so a worker can send it to another machine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from pipeline import UserError, files, paths
from pipeline.datasets import Split
from pipeline.model import (
    Network,
    load_trained_model,
    network_from,
    read_metrics,
    read_run_file,
    smallest_margin,
    storage,
)
from pipeline.training.loop import Epoch, score

# MLflow's pages show the metrics in the order in which a run logs them.
METRICS = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")


@dataclass(frozen=True)
class FinishedTraining:
    """The network after each epoch, and its scores."""

    epochs: Sequence[Epoch]  # from 0, before the training
    train_score: Mapping[str, float]  # loss and accuracy of the trained network
    min_margin: float  # of its answers; see `model.smallest_margin`

    @classmethod
    def of(
        cls, epochs: Sequence[Epoch], network: Network, split: Split
    ) -> "FinishedTraining":
        """Measure a trained network on its training images."""
        train = split.train
        margin = smallest_margin(network, train.images)
        return cls(epochs, score(network, train), margin)

    @classmethod
    def read(cls, folder: Path) -> "FinishedTraining":
        """Read the files that `write` wrote.

        Raises:
            OSError: If a file is missing.
            UserError: If a file is damaged or belongs to another network.
        """
        trained = load_trained_model(folder / paths.MODEL_FILE)
        run = read_run_file(folder / paths.RUN_FILE)
        metrics = read_metrics(folder / paths.METRICS_FILE)
        states, rows = _rows(trained.history or {}), _rows(trained.curves)
        margin = trained.metadata.get("min_margin", 0.0)
        names = ("loss", "accuracy")
        is_whole = (
            len(states) == len(run.times) == trained.epochs + 1
            and trained.curves.keys() >= {*METRICS}
            and metrics.keys() >= {f"train/final_{name}" for name in names}
            and margin
        )
        if not is_whole:
            raise UserError(f"{folder} does not contain a whole training run")
        initial = Epoch(states[0], time=run.times[0])
        others = map(Epoch, states[1:], count(1), rows, run.seconds, run.times[1:])
        score = {name: metrics[f"train/final_{name}"] for name in names}
        return cls([initial, *others], score, margin)

    @property
    def network(self) -> Network:
        """The trained network."""
        return network_from(self.epochs[-1].tensors)

    @property
    def seconds(self) -> float:
        """The time of all epochs."""
        return round(sum(epoch.seconds for epoch in self.epochs), 3)

    def rows(self) -> list[dict[str, float]]:
        """Return the metrics of each epoch, from epoch 1."""
        return [{name: e.metrics[name] for name in METRICS} for e in self.epochs[1:]]

    def summary(self) -> dict[str, float]:
        """Return the metrics that have one value for the whole training."""
        accuracies = [row["val/accuracy"] for row in self.rows()]
        best = max(accuracies)
        return {
            "val/best_accuracy": best,
            "val/best_epoch": accuracies.index(best) + 1,
            **{f"train/final_{name}": x for name, x in self.train_score.items()},
        }

    def metrics(self) -> dict[str, float]:
        """Return the content of metrics.json."""
        return self.rows()[-1] | self.summary()

    def write(
        self, folder: Path, metadata: Mapping[str, Any], *, run_id: str | None
    ) -> str:
        """Write the network, its history and its metrics to a folder.

        Equal training runs write equal files, except for run.json (id and times).

        Args:
            folder: An existing folder.
            metadata: The hyperparameters, and the sha256 of the data.
            run_id: The run in MLflow, if any.

        Returns:
            The `tensors_sha256` of the network.
        """
        about = {**metadata, "min_margin": self.min_margin}
        sha256 = storage.save_model(folder / paths.MODEL_FILE, self.network, about)
        tensors = [epoch.tensors for epoch in self.epochs]
        storage.save_history(folder / paths.HISTORY_FILE, tensors, metadata)
        rows = enumerate(self.rows(), start=1)
        table = [{"epoch": number, **row} for number, row in rows]
        files.write_csv(folder / paths.CURVES_FILE, table)
        files.write_json(folder / paths.METRICS_FILE, self.metrics())
        run = {
            "run_id": run_id,
            "seconds": [epoch.seconds for epoch in self.epochs[1:]],
            "times": [epoch.time for epoch in self.epochs],
        }
        files.write_json(folder / paths.RUN_FILE, run)
        return sha256


def _rows(table: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table, which has a sequence of values for each column."""
    rows = zip(*table.values(), strict=True)
    return [dict(zip(table, row, strict=True)) for row in rows]
