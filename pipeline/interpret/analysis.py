"""The analysis of a trained network: everything that `inspect` measures about it.

It only computes: `output` writes tables and plots, `text` the tutorial, and `report`
the page.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.core import CLASSES, PIXELS
from pipeline.core.dataset import Dataset, Split
from pipeline.core.epoch import Snapshot
from pipeline.datasets import DatasetSpec, spec
from pipeline.interpret import measurements
from pipeline.interpret.measurements import FittedLine
from pipeline.model import TrainedModel

HIGH_CORRELATION = 0.9  # one neuron explains 0.9² = 81% of the other's variance
MAX_PAIRS = 100  # pairs of neurons in the table
EXTREMES = 4  # images with the highest, and with the lowest, sums of a neuron
MAX_NEURONS = 20  # in text and plots: those with the highest ablation cost
PROBE_STEPS = (0, 2, 5)  # steps of gradient descent after which its line is shown


@dataclass(frozen=True)
class LinearProbe:
    """Lines that predict the sum of a neuron of layer_2 from a single input.

    They show gradient descent with the smallest possible model: two parameters. The
    input is an output of layer_1, which varies smoothly; most pixels are 0 or 1.
    """

    hidden: int  # the neuron of layer_1 whose output is x, from 0
    output: int  # the neuron of layer_2 whose sum is y, from 0
    x: Float[np.ndarray, " n"]  # for the test images
    y: Float[np.ndarray, " n"]
    lines: dict[str, FittedLine]  # by the progress of gradient descent

    @property
    def best(self) -> FittedLine:
        """The line of least squares, where gradient descent ends."""
        return self.lines["best fit"]


@dataclass(frozen=True)
class ModelAnalysis:
    """A trained network, its data set, and all measurements of it.

    Pixels and neurons are counted from 0; a fraction or an accuracy is in [0, 1].
    """

    trained: TrainedModel
    dataset: Dataset
    split: Split  # training and validation images
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
        """Analyze a network with the data set that it was trained on."""
        network, test = trained.network, dataset.test
        split, history = dataset.split(trained.split), trained.history
        sums = network.hidden_sums(test.images).numpy()
        activations = np.maximum(sums, 0)  # ReLU
        correlation = measurements.correlations(activations, activations)
        return cls(
            trained=trained,
            dataset=dataset,
            split=split,
            history=history,
            nonzero=np.count_nonzero(split.train.images, axis=0).ravel(),
            frozen=None if history is None else measurements.frozen_weights(history),
            rates=measurements.activation_rates(network, split.train.images),
            sums=sums,
            means=measurements.means_by_label(activations, test.labels),
            accuracy=float((network.classify(test.images) == test.labels).mean()),
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
    def hidden(self) -> int:
        """The number of neurons in layer_1."""
        return len(self.rates)

    @property
    def displayed(self) -> list[int]:
        """The neurons in text and plots: those with the highest ablation cost."""
        order = np.argsort(-self.costs[:, 0], kind="stable")
        return [int(j) for j in order[:MAX_NEURONS]]

    @property
    def counts(self) -> dict[str, int]:
        """The counts in summary.json; weights of always-zero pixels are untrained."""
        frozen = {} if self.frozen is None else {"frozen_weights": self.frozen.sum()}
        counts = {
            "parameters": self.trained.network.parameter_count,
            "untrained_weights": self.always_zero.sum() * self.hidden,
            **frozen,
            "inactive_neurons": (self.rates == 0).sum(),
            "always_active_neurons": (self.rates == 1).sum(),
            "correlated_pairs": self.high_pairs,
        }
        return {name: int(count) for name, count in counts.items()}

    @property
    def arrays(self) -> list[dict[str, Any]]:
        """The arrays of parameters: their shapes and sizes, and the reason for them."""
        neurons = f"{self.hidden} neuron{'s'[: self.hidden > 1]}"
        reasons = {
            "layer_1 kernel": f"{PIXELS} pixels x {neurons}",
            "layer_1 bias": "one for each neuron",
            "layer_2 kernel": f"{neurons} x {CLASSES} {self.spec.plural}",
            "layer_2 bias": f"one for each {self.spec.noun}",
        }
        layers = self.trained.network.layer_1, self.trained.network.layer_2
        arrays = [array for layer in layers for array in layer.get_weights()]
        return [
            {"name": name, "keras_shape": array.shape, "torch_shape": array.T.shape}
            | {"size": array.size, "why": why}
            for (name, why), array in zip(reasons.items(), arrays, strict=True)
        ]

    def extremes(self, neuron: int) -> tuple[list[int], list[int]]:
        """Return the test images with the highest, and with the lowest, sums."""
        order = np.argsort(-self.sums[:, neuron], kind="stable").tolist()
        return order[:EXTREMES], order[: -EXTREMES - 1 : -1]

    @cached_property
    def probe(self) -> LinearProbe:
        """The linear probe of the most correlated neurons of layer_1 and layer_2."""
        activations = np.maximum(self.sums, 0)  # ReLU
        kernel, bias = self.trained.network.layer_2.get_weights()
        logits = activations @ kernel + bias  # (n, 10)
        correlation = np.abs(measurements.correlations(activations, logits))
        hidden, output = divmod(int(correlation.argmax()), CLASSES)
        x, y = activations[:, hidden], logits[:, output]
        lines = {
            f"after {n} steps": measurements.descend_line(x, y, steps=n)
            for n in PROBE_STEPS
        }
        lines["best fit"] = measurements.least_squares_line(x, y)
        return LinearProbe(hidden, output, x, y, lines)
