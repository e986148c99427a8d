"""The analysis of a trained network: everything that `inspect` measures about it.

It only computes; `output` writes its tables and plots, `text` the tutorial.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline import PIXELS, SIDE
from pipeline.datasets.dataset import Dataset
from pipeline.interpret import measurements
from pipeline.interpret.measurements import FittedLine
from pipeline.model import TrainedModel

EXTREMES = 4  # images with the highest, and with the lowest, sums of a neuron
HIGH_CORRELATION = 0.9  # one neuron explains 0.9² = 81 % of the other's variance
MAX_PAIRS = 100  # pairs of neurons in the table
PROBE_STEPS = (0, 10, 100)  # steps of gradient descent after which its line is shown


@dataclass(frozen=True)
class LinearProbe:
    """Lines that predict a neuron's sum from the pixel that correlates most with it.

    It shows gradient descent with the smallest possible model, of two parameters.
    """

    neuron: int  # from 0
    pixel: int  # from 0
    lines: dict[str, FittedLine]  # by the progress of gradient descent

    @property
    def best(self) -> FittedLine:
        """The line of least squares, where gradient descent ends."""
        return self.lines["in the end"]


@dataclass(frozen=True)
class ModelAnalysis:
    """A trained network, its data set, and all measurements of it.

    Pixels and neurons are counted from 0; a fraction or an accuracy is in [0, 1].
    """

    trained: TrainedModel
    dataset: Dataset
    train_size: int  # images that the network was trained on
    nonzero: Int[np.ndarray, "784"]  # training images in which each pixel is not 0
    frozen: Bool[np.ndarray, "784 hidden"] | None  # weights; None without a history
    rates: Float[np.ndarray, " hidden"]  # activation rates on the training images
    sums: Float[np.ndarray, "n hidden"]  # pre-activations for the test images
    means: Float[np.ndarray, "hidden 10"]  # mean activation for each digit
    accuracy: float  # on the test images
    costs: Float[np.ndarray, "hidden 11"]  # ablation costs: all images, each digit
    pairs: list[dict[str, Any]]  # the most correlated
    high_pairs: int  # pairs whose correlation is at least HIGH_CORRELATION

    @classmethod
    def of(cls, trained: TrainedModel, dataset: Dataset) -> "ModelAnalysis":
        """Analyse a network with the data set that it was trained on."""
        network, test = trained.network, dataset.test
        train = dataset.split(trained.split).train
        history = trained.history()
        sums = measurements.hidden_pre_activations(network, test.images)
        activations = np.maximum(sums, 0)  # ReLU
        logits = network.logits(test.images).numpy()
        correlation = measurements.correlations(activations, activations)
        return cls(
            trained=trained,
            dataset=dataset,
            train_size=len(train),
            nonzero=measurements.nonzero_counts(train.images),
            frozen=None if history is None else measurements.frozen_weights(history),
            rates=measurements.activation_rates(network, train.images),
            sums=sums,
            means=measurements.means_by_label(activations, test.labels),
            accuracy=float(measurements.accuracies(logits, test.labels)[0]),
            costs=measurements.ablation_costs(network, activations, test.labels),
            pairs=measurements.correlated_pairs(correlation, limit=MAX_PAIRS),
            high_pairs=int(np.triu(correlation >= HIGH_CORRELATION, k=1).sum()),
        )

    @property
    def always_zero(self) -> Bool[np.ndarray, "784"]:
        """The pixels that are 0 in all training images."""
        return np.asarray(self.nonzero == 0)

    @property
    def hidden(self) -> int:
        """The number of neurons in layer_1."""
        return len(self.rates)

    @property
    def by_cost(self) -> list[int]:
        """The neurons of layer_1, those with the highest ablation cost first."""
        return [int(j) for j in np.argsort(-self.costs[:, 0], kind="stable")]

    def images_by_sum(self, neuron: int) -> list[int]:
        """Return the indices of the test images, highest sum of the neuron first."""
        return [int(row) for row in np.argsort(-self.sums[:, neuron], kind="stable")]

    @cached_property
    def probe(self) -> LinearProbe:
        """The linear probe of the neuron with the highest ablation cost."""
        neuron = self.by_cost[0]
        pixels = self.dataset.test.images.reshape(-1, PIXELS) / np.float32(255)
        y = self.sums[:, neuron]
        pixel = int(np.abs(measurements.correlations(pixels, y[:, None])).argmax())
        steps = {f"after {n} steps": n for n in PROBE_STEPS} | {"in the end": None}
        x = pixels[:, pixel]
        lines = {
            progress: measurements.fit_line(x, y, steps=n)
            for progress, n in steps.items()
        }
        return LinearProbe(neuron, pixel, lines)

    def metrics(self) -> dict[str, int]:
        """Return the counts that are logged as metrics of the run."""
        frozen = {} if self.frozen is None else {"never_changed": self.frozen.sum()}
        counts = {
            "parameters": self.trained.network.size,
            "never_learned": self.always_zero.sum() * self.hidden,
            **frozen,
            "never_fire": (self.rates == 0).sum(),
            "always_fire": (self.rates == 1).sum(),
            "alike": self.high_pairs,
        }
        return {name: int(count) for name, count in counts.items()}

    def neuron_rows(self) -> list[dict[str, Any]]:
        """Return activation rate, means, extreme test images and costs per neuron."""
        rows = []
        for j in range(self.hidden):
            order = self.images_by_sum(j)
            rows.append(
                {"neuron": f"N1{j + 1}", "fires": float(self.rates[j])}
                | {f"mean_{d}": float(mean) for d, mean in enumerate(self.means[j])}
                | {"most": order[:EXTREMES], "least": order[: -EXTREMES - 1 : -1]}
                | {"cost": float(self.costs[j, 0])}
                | {f"cost_{d}": float(c) for d, c in enumerate(self.costs[j, 1:])}
            )
        return rows

    def pixel_rows(self) -> list[dict[str, Any]]:
        """Return how often each pixel is not 0, and its number of frozen weights."""
        rows = []
        for k, count in enumerate(self.nonzero):
            row = {"pixel": k, "row": k // SIDE, "column": k % SIDE, "lit": int(count)}
            if self.frozen is not None:
                row["unchanged"] = int(self.frozen[k].sum())
            rows.append(row)
        return rows

    def summary(self) -> dict[str, Any]:
        """Return everything except the tables of pixels and pairs, ready for JSON."""
        lines = {
            progress: {"m": line.m, "c": line.c}
            | {"missed": line.rmse, "explained": line.explained}
            for progress, line in self.probe.lines.items()
        }
        return {
            **self.metrics(),
            "dataset": self.dataset.name,
            "split": self.trained.split,
            "training_pictures": self.train_size,
            "accuracy": self.accuracy,
            "arrays": [vars(array) for array in self.trained.network.arrays()],
            "never_lit": np.flatnonzero(self.always_zero).tolist(),
            "alike_from": HIGH_CORRELATION,
            "closest": self.pairs[0] if self.pairs else None,
            "neurons": self.neuron_rows(),
            "path": {
                "neuron": f"N1{self.probe.neuron + 1}",
                "pixel": self.probe.pixel,
                "lines": lines,
            },
        }
