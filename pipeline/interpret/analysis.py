"""The analysis of a trained network: everything that `inspect` measures about it.

This module only computes: `analysis_files` writes tables and plots, `tutorial` the
text, and `page` the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline import WHITE
from pipeline.core import PIXELS
from pipeline.core.dataset import Dataset, LabeledImages
from pipeline.core.epoch import Snapshot
from pipeline.core.network import network_from
from pipeline.datasets import DatasetSpec
from pipeline.images.unsure import is_blank
from pipeline.interpret import measurements
from pipeline.model import TrainedModel, agreement

EXTREMES = 4  # images with the highest, and with the lowest, sums of a neuron
MAX_SHOWN_NEURONS = 20  # in text and plots


@dataclass(frozen=True)
class Example:
    """A weight that shows y = m·x + c; all indices are from 0."""

    image: int  # of the test images: the first one that is not blank
    neuron: int  # of layer_1
    pixel: int


@dataclass(frozen=True, eq=False)  # arrays cannot be compared as a whole
class ModelAnalysis:
    """A trained network, its data set, and all measurements of it.

    Pixels and neurons are counted from 0; a fraction or an accuracy is in [0, 1].
    """

    trained: TrainedModel
    dataset: Dataset
    train: LabeledImages
    validation: LabeledImages
    epoch_count: int  # 0 if it is not recorded
    weight_history: Snapshot | None  # the tensors of all epochs; None without a history
    curves: Mapping[str, Sequence[float]]  # the metrics after each epoch; may be {}
    images_with_ink: Int[np.ndarray, "784"]  # number of training images, by pixel
    frozen: Bool[np.ndarray, "784 hidden"] | None  # weights; None without a history
    activation_rates: Float[np.ndarray, " hidden"]  # on the training images
    hidden_sums: Float[np.ndarray, "n hidden"]  # pre-activations for the test images
    mean_outputs: Float[np.ndarray, "hidden 10"]  # for each class of the test images
    accuracy: float  # on the test images
    costs: Float[np.ndarray, "hidden 11"]  # ablation costs: all images, each class

    @classmethod
    def of(
        cls, trained: TrainedModel, dataset: Dataset, *, with_history: bool = True
    ) -> "ModelAnalysis":
        """Analyze a network with the data set that it was trained on.

        Without its history, the analysis reads no other file of the training run.
        """
        network, test = trained.network, dataset.test
        split = dataset.split(trained.split)
        train = split.train
        history = trained.weight_history if with_history else None
        sums = network.hidden_sums(test.images).numpy()
        outputs = np.maximum(sums, 0)  # ReLU
        return cls(
            trained=trained,
            dataset=dataset,
            train=train,
            validation=split.val,
            epoch_count=trained.epoch_count if with_history else trained.planned_epochs,
            weight_history=history,
            curves=(trained.curves or {}) if with_history else {},
            images_with_ink=trained.images_with_ink(train),
            frozen=None if history is None else measurements.frozen_weights(history),
            activation_rates=measurements.activation_rates(network, train.images),
            hidden_sums=sums,
            mean_outputs=measurements.means_by_label(outputs, test.labels),
            accuracy=agreement(network.classify(test.images), test.labels),
            costs=measurements.ablation_costs(network, outputs, test.labels),
        )

    @property
    def spec(self) -> DatasetSpec:
        """The registry entry of the data set, with the names of its classes."""
        return self.trained.spec

    @property
    def always_zero(self) -> Bool[np.ndarray, "784"]:
        """The pixels that are 0 in all training images."""
        return np.asarray(self.images_with_ink == 0)

    @property
    def frozen_others(self) -> Bool[np.ndarray, "784 hidden"]:
        """The frozen weights of other pixels; none without a history."""
        if self.frozen is None:
            return np.zeros((PIXELS, self.hidden), bool)
        return np.asarray(self.frozen & ~self.always_zero[:, None])

    @property
    def hidden(self) -> int:
        """The number of neurons in layer 1."""
        return len(self.activation_rates)

    @property
    def displayed_neurons(self) -> list[int]:
        """The neurons in text and plots: those with the highest ablation cost."""
        order = np.argsort(-self.costs[:, 0], kind="stable")
        return [int(j) for j in order[:MAX_SHOWN_NEURONS]]

    @property
    def kernel(self) -> Float[np.ndarray, "784 hidden"]:
        """The weights of layer 1."""
        return self.trained.network.layer_1.get_weights()[0]

    @property
    def cost_decimals(self) -> int:
        """The decimals of an ablation cost in percent; more if all are below 1%."""
        return 1 if self.costs[:, 0].max() >= 0.01 else 2

    @property
    def counts(self) -> dict[str, int]:
        """The counts in summary.json; the weights of always-zero pixels are frozen."""
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
        """Return the test images with the highest, and with the lowest, sums."""
        order = np.argsort(-self.hidden_sums[:, neuron], kind="stable").tolist()
        return order[:EXTREMES], order[: -EXTREMES - 1 : -1]

    def validation_accuracy(self, epochs: Sequence[int]) -> list[float]:
        """Return the accuracy on the validation images after each of these epochs.

        history.csv records it, except for epoch 0, which is before training.
        """
        recorded, accuracies = self.curves.get("val/accuracy"), []
        for epoch in epochs:
            if recorded and epoch > 0:
                accuracies.append(recorded[epoch - 1])
                continue
            network = self.trained.network
            if self.weight_history is not None:
                tensors = {name: t[epoch] for name, t in self.weight_history.items()}
                network = network_from(tensors)
            predictions = network.classify(self.validation.images)
            accuracies.append(agreement(predictions, self.validation.labels))
        return accuracies

    @property
    def example(self) -> Example:
        """The weight with which the tutorial and the tour of the page begin.

        The neuron has the largest absolute bias of the five most active neurons. The
        pixel is the one closest to mid-gray among the neuron's 40 largest products.
        Therefore, each of m, x and c clearly affects y.
        """
        _, bias = self.trained.network.layer_1.get_weights()
        images = self.dataset.test.images
        image = next((i for i, each in enumerate(images) if not is_blank(each)), 0)
        active = np.argsort(-self.hidden_sums[image], kind="stable")[:5]
        neuron = active[np.abs(bias[active]).argmax()]
        levels = images[image].ravel().astype(int)
        products = np.abs(self.kernel[:, neuron] * levels)
        largest = np.argsort(-products, kind="stable")[:40]
        # Half of WHITE is not an integer, so both are doubled.
        pixel = largest[np.abs(2 * levels[largest] - WHITE).argmin()]
        return Example(image=image, neuron=int(neuron), pixel=int(pixel))
