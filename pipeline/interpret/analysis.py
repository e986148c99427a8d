"""The analysis of a trained network: everything that `inspect` measures.

This module only computes. `analysis_files` writes tables and plots, `tutorial` writes
the text, and `page` writes the interactive page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.core import PIXELS, WHITE
from pipeline.core.dataset import Dataset, Split
from pipeline.core.metrics import agreement
from pipeline.core.network import network_from
from pipeline.datasets import DatasetSpec
from pipeline.images.unsure import is_blank
from pipeline.interpret import measurements
from pipeline.model import (
    Detector,
    HistoryFiles,
    TrainedNetwork,
    load_detector,
)
from pipeline.records.metric_names import VAL_ACCURACY

EXTREMES = 4  # images with the highest sums of a neuron, and as many with the lowest
MAX_SHOWN_NEURONS = 20  # in text and plots


@dataclass(frozen=True)
class Example:
    """A weight that shows y = m·x + c; all indices are from 0."""

    image: int  # the first test image that is not blank
    neuron: int  # a neuron of layer_1
    pixel: int


@dataclass(frozen=True, eq=False)
class ModelAnalysis:
    """A trained network, its data set, and all measurements.

    Each measurement is made when it is first used. Pixels and neurons are counted from
    0; a fraction or an accuracy is in [0, 1].
    """

    trained: TrainedNetwork
    dataset: Dataset
    histories: HistoryFiles = field(default_factory=HistoryFiles)

    @property
    def spec(self) -> DatasetSpec:
        """The registry entry of the data set, with the names of its classes."""
        return self.trained.spec

    @cached_property
    def split(self) -> Split:
        """The training images of the network, and the validation images."""
        return self.dataset.split(self.trained.split)

    @cached_property
    def detector(self) -> Detector:
        """The out-of-distribution detector of the network, next to the data set."""
        return load_detector(self.trained, folder=self.dataset.file.path.parent)

    @cached_property
    def images_with_ink(self) -> Int[np.ndarray, "784"]:
        """The number of training images in which each pixel is above 0."""
        return self.trained.images_with_ink(self.dataset)

    @property
    def always_zero(self) -> Bool[np.ndarray, "784"]:
        """The pixels that are 0 in all training images."""
        return np.asarray(self.images_with_ink == 0)

    @cached_property
    def frozen(self) -> Bool[np.ndarray, "784 hidden"] | None:
        """The frozen weights of layer 1; None without a weight history."""
        if self.histories.weights is None:
            return None
        return measurements.frozen_weights(self.histories.weights)

    @property
    def frozen_others(self) -> Bool[np.ndarray, "784 hidden"]:
        """The frozen weights of pixels that are not always zero.

        Without a weight history, there are none.
        """
        if self.frozen is None:
            return np.zeros((PIXELS, self.hidden), bool)
        return np.asarray(self.frozen & ~self.always_zero[:, None])

    @cached_property
    def activation_rates(self) -> Float[np.ndarray, " hidden"]:
        """The fraction of training images for which each neuron is above 0."""
        images = self.split.train.images
        return measurements.activation_rates(self.trained.network, images)

    @cached_property
    def hidden_sums(self) -> Float[np.ndarray, "n hidden"]:
        """The sums of layer 1, before ReLU, for the test images."""
        images = self.dataset.test.images
        return measurements.hidden_sums(self.trained.network, images)

    @property
    def outputs(self) -> Float[np.ndarray, "n hidden"]:
        """The outputs of layer 1 for the test images."""
        return np.asarray(np.maximum(self.hidden_sums, 0))  # ReLU

    @cached_property
    def mean_outputs(self) -> Float[np.ndarray, "hidden 10"]:
        """The mean outputs of layer 1 for each class of the test images."""
        return measurements.means_by_label(self.outputs, self.dataset.test.labels)

    @cached_property
    def accuracy(self) -> float:
        """The accuracy on the test images."""
        test = self.dataset.test
        return agreement(self.trained.network.classify(test.images), test.labels)

    @cached_property
    def costs(self) -> Float[np.ndarray, "hidden 11"]:
        """The ablation costs of neurons for all test images, and for each class."""
        return measurements.ablation_costs(
            self.trained.network, self.outputs, self.dataset.test.labels
        )

    @property
    def hidden(self) -> int:
        """The number of neurons in layer 1."""
        return self.trained.network.hidden

    @property
    def displayed_neurons(self) -> list[int]:
        """The neurons in text and plots, which have the highest ablation costs."""
        order = np.argsort(-self.costs[:, 0], kind="stable")
        return [int(j) for j in order[:MAX_SHOWN_NEURONS]]

    @property
    def kernel(self) -> Float[np.ndarray, "784 hidden"]:
        """The weights of layer 1."""
        return self.trained.network.layer_1.get_weights()[0]

    @property
    def cost_decimals(self) -> int:
        """The decimal places of costs in percent: 1, or 2 if all costs are below 1%."""
        return 1 if self.costs[:, 0].max() >= 0.01 else 2

    @property
    def counts(self) -> dict[str, int]:
        """The counts in summary.json.

        The frozen weights include the weights of always-zero pixels.
        """
        frozen = {} if self.frozen is None else {"frozen_weights": self.frozen.sum()}
        counts = {
            "parameters": self.trained.network.parameter_count,
            "weights_of_always_zero_pixels": self.always_zero.sum() * self.hidden,
            **frozen,
            "dead_neurons": (self.activation_rates == 0).sum(),
            "always_active_neurons": (self.activation_rates == 1).sum(),
        }
        return {name: int(count) for name, count in counts.items()}

    def extremes(self, neuron: int) -> tuple[list[int], list[int]]:
        """Return the images with the highest sums, and the images with the lowest."""
        order = np.argsort(-self.hidden_sums[:, neuron], kind="stable").tolist()
        return order[:EXTREMES], order[: -EXTREMES - 1 : -1]

    def validation_accuracy(self, epochs: Sequence[int]) -> list[float]:
        """Return the accuracy on the validation images after each of these epochs.

        history.csv records this accuracy, except for epoch 0, which is before training.
        """
        recorded = (self.histories.metrics or {}).get(VAL_ACCURACY)
        weights = self.histories.weights
        accuracies = []
        for epoch in epochs:
            if recorded and epoch > 0:
                accuracies.append(recorded[epoch - 1])
                continue
            network = self.trained.network
            if weights is not None:
                tensors = {name: values[epoch] for name, values in weights.items()}
                network = network_from(tensors)
            predictions = network.classify(self.split.val.images)
            accuracies.append(agreement(predictions, self.split.val.labels))
        return accuracies

    @property
    def example(self) -> Example:
        """The weight that the tutorial and the tour of the page explain first.

        The neuron has the largest absolute bias of the five most active neurons. Among
        the pixels of the neuron's 40 largest products, the pixel is the closest to
        mid-gray. Therefore, each of m, x and c clearly affects y.
        """
        _, bias = self.trained.network.layer_1.get_weights()
        images = self.dataset.test.images
        image = next((i for i, each in enumerate(images) if not is_blank(each)), 0)
        active = np.argsort(-self.hidden_sums[image], kind="stable")[:5]
        neuron = active[np.abs(bias[active]).argmax()]
        levels = images[image].ravel().astype(int)
        products = np.abs(self.kernel[:, neuron] * levels)
        largest = np.argsort(-products, kind="stable")[:40]
        # Half of WHITE is not an integer, so levels and WHITE / 2 are doubled.
        pixel = largest[np.abs(2 * levels[largest] - WHITE).argmin()]
        return Example(image=image, neuron=int(neuron), pixel=int(pixel))
