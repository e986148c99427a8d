"""The analysis of a trained network: everything that `inspect` measures about it.

It only computes: `output` writes tables and plots, `text` the tutorial, and `report`
the page.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from pipeline import PIXELS
from pipeline.datasets import Dataset, DatasetSpec, Split, spec
from pipeline.interpret import measurements
from pipeline.interpret.measurements import FittedLine
from pipeline.model import Snapshot, TrainedModel
from pipeline.model.metrics import accuracy

HIGH_CORRELATION = 0.9  # one neuron explains 0.9² = 81 % of the other's variance
MAX_PAIRS = 100  # pairs of neurons in the table
MAX_NEURONS = 20  # in text and plots: those with the highest ablation cost
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
    split: Split  # the images of the training, and of its validation
    history: Snapshot | None  # the tensors of all epochs; None if not recorded
    nonzero: Int[np.ndarray, "784"]  # training images in which each pixel is not 0
    frozen: Bool[np.ndarray, "784 hidden"] | None  # weights; None without a history
    rates: Float[np.ndarray, " hidden"]  # activation rates on the training images
    sums: Float[np.ndarray, "n hidden"]  # pre-activations for the test images
    means: Float[np.ndarray, "hidden 10"]  # mean activation for each class
    accuracy: float  # on the test images
    costs: Float[np.ndarray, "hidden 11"]  # ablation costs: all images, each class
    pairs: list[dict[str, Any]]  # the most correlated
    high_pairs: int  # pairs whose correlation is at least HIGH_CORRELATION

    @classmethod
    def of(cls, trained: TrainedModel, dataset: Dataset) -> "ModelAnalysis":
        """Analyse a network with the data set that it was trained on."""
        network, test = trained.network, dataset.test
        split, history = dataset.split(trained.split), trained.history()
        sums = network.hidden_sums(test.images).numpy()
        activations = np.maximum(sums, 0)  # ReLU
        labels = torch.from_numpy(test.labels).long()
        correlation = measurements.correlations(activations, activations)
        return cls(
            trained=trained,
            dataset=dataset,
            split=split,
            history=history,
            nonzero=measurements.nonzero_counts(split.train.images),
            frozen=None if history is None else measurements.frozen_weights(history),
            rates=measurements.activation_rates(network, split.train.images),
            sums=sums,
            means=measurements.means_by_label(activations, test.labels),
            accuracy=accuracy(network.logits(test.images), labels).item(),
            costs=measurements.ablation_costs(network, activations, test.labels),
            pairs=measurements.correlated_pairs(correlation, limit=MAX_PAIRS),
            high_pairs=int(np.triu(correlation >= HIGH_CORRELATION, k=1).sum()),
        )

    @property
    def spec(self) -> DatasetSpec:
        """The entry of the data set, with the names of its classes."""
        return spec(self.dataset.name)

    @property
    def always_zero(self) -> Bool[np.ndarray, "784"]:
        """The pixels that are 0 in all training images."""
        return np.asarray(self.nonzero == 0)

    @property
    def train_size(self) -> int:
        """The number of images that the network was trained on."""
        return len(self.split.train)

    @property
    def hidden(self) -> int:
        """The number of neurons in layer_1."""
        return len(self.rates)

    @property
    def by_cost(self) -> list[int]:
        """The neurons of layer_1, those with the highest ablation cost first."""
        return [int(j) for j in np.argsort(-self.costs[:, 0], kind="stable")]

    @property
    def displayed(self) -> list[int]:
        """The neurons of layer_1 that text and plots show."""
        return self.by_cost[:MAX_NEURONS]

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
