"""What a student's questions are about, and what their answers are computed from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, UInt8

from pipeline import WHITE, neuron_name
from pipeline.core import CLASSES, PIXELS, SIDE
from pipeline.core.dataset import LabeledImages
from pipeline.datasets import DatasetSpec
from pipeline.teaching.variant import Variant

BATCH = 500  # images; as floating-point numbers, all 10,000 would take 63 MB
# Rows and columns in the middle of an image, where the weights are not frozen.
MIDDLE = range(8, 20)


@dataclass(frozen=True)
class Topic:
    """The numbers in the questions of a student, which no weight changes.

    All neurons, classes, images, pixels, rows and columns are counted from 0.
    """

    variant: Variant
    hidden: int  # neurons in layer 1 of the assigned network
    test_images: int
    label: int  # of the test image `image`
    spec: DatasetSpec

    @classmethod
    def of(
        cls, variant: Variant, hidden: int, test: LabeledImages, spec: DatasetSpec
    ) -> "Topic":
        """Return the topic of a variant for a data set with these test images."""
        label = int(test.labels[_image(variant, len(test))])
        return cls(variant, hidden, len(test), label, spec)

    @property
    def image(self) -> int:
        """The test image."""
        return _image(self.variant, self.test_images)

    @property
    def neuron(self) -> int:
        """The neuron of layer 1."""
        return self.variant.pick("neuron", self.hidden)

    @property
    def neuron_1(self) -> str:
        """The name of this neuron, such as N17."""
        return neuron_name(1, self.neuron)

    @property
    def digit(self) -> int:
        """A class, whose neuron of layer 2 has the same index."""
        return self.variant.pick("class", CLASSES)

    @property
    def neuron_2(self) -> str:
        """The name of the neuron of this class, such as N28 for class 7."""
        return neuron_name(2, self.digit)

    @property
    def wrong_label(self) -> int:
        """A class that is not the label of the test image."""
        return (self.label + 1 + self.variant.pick("label", CLASSES - 1)) % CLASSES

    @property
    def pixel(self) -> tuple[int, int]:
        """The row and the column of a pixel, which are different."""
        row, shift = divmod(
            self.variant.pick("pixel", len(MIDDLE) * (len(MIDDLE) - 1)), len(MIDDLE) - 1
        )
        return MIDDLE[row], MIDDLE[(row + 1 + shift) % len(MIDDLE)]

    @property
    def row(self) -> int:
        """The row of the pixel."""
        return self.pixel[0]

    @property
    def column(self) -> int:
        """The column of the pixel."""
        return self.pixel[1]

    @property
    def gray_levels(self) -> int:
        """How much brighter a pixel becomes, as a part of 255."""
        return 20 + self.variant.pick("gray levels", 101)

    @property
    def shift(self) -> float:
        """By how much a bias of layer 2 grows."""
        return 0.5 + self.variant.pick("shift", 6) / 4

    @property
    def factor(self) -> float:
        """The factor of all weights and biases of layer 2."""
        return (2 + self.variant.pick("factor", 5)) / 10

    @property
    def classes(self) -> int:
        """The classes of another network."""
        return 11 + self.variant.pick("classes", 52)

    @property
    def neurons(self) -> int:
        """The neurons in layer 1 of another network."""
        return 12 + self.variant.pick("neurons", 60)

    @property
    def more_neurons(self) -> int:
        """The neurons in layer 1 of a third network."""
        return 80 + self.variant.pick("more neurons", 100)

    @property
    def side(self) -> int:
        """The rows and the columns of smaller images."""
        return 10 + self.variant.pick("side", 15)

    @property
    def bits(self) -> int:
        """The bits of a weight."""
        return 2 + self.variant.pick("bits", 5)


def _image(variant: Variant, test_images: int) -> int:
    return variant.pick("image", test_images)


@dataclass(frozen=True, eq=False)  # arrays cannot be compared as a whole
class Task:
    """A topic, a trained network and the test images: all that determines the answers.

    The network is in float64 and in Keras's layout, so that this is another
    implementation than the network's own. PyTorch computes in float32; the results
    differ in the sixth digit.
    """

    topic: Topic
    kernel_1: Float[np.ndarray, "784 hidden"]
    bias_1: Float[np.ndarray, " hidden"]
    kernel_2: Float[np.ndarray, "hidden 10"]
    bias_2: Float[np.ndarray, "10"]
    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, " n"]

    @classmethod
    def of(
        cls,
        topic: Topic,
        tensors: Mapping[str, Float[np.ndarray, "..."]],
        test: LabeledImages,
    ) -> "Task":
        """Return the task for the tensors of a network; see `network.snapshot`.

        Raises:
            ValueError: If the network has another number of hidden neurons.
        """
        arrays = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
        if (hidden := arrays["layer_1.bias"].size) != topic.hidden:
            raise ValueError(
                f"the network must have {topic.hidden} hidden neurons, got {hidden}"
            )
        return cls(
            topic,
            arrays["layer_1.weight"].T,
            arrays["layer_1.bias"],
            arrays["layer_2.weight"].T,
            arrays["layer_2.bias"],
            test.images,
            test.labels,
        )

    @cached_property
    def pixels(self) -> Float[np.ndarray, "784"]:
        """The pixels of the test image, 0 to 1."""
        return np.asarray(self.images[self.topic.image].reshape(PIXELS) / WHITE)

    @cached_property
    def weights(self) -> Float[np.ndarray, "784"]:
        """The weights of the neuron of layer 1."""
        return np.asarray(self.kernel_1[:, self.topic.neuron])

    @cached_property
    def products(self) -> Float[np.ndarray, "784"]:
        """The products of these weights and pixels."""
        return np.asarray(self.weights * self.pixels)

    @cached_property
    def sums(self) -> Float[np.ndarray, " hidden"]:
        """The sums y of layer 1 for the test image."""
        return np.asarray(self.pixels @ self.kernel_1 + self.bias_1)

    @cached_property
    def outputs(self) -> Float[np.ndarray, " hidden"]:
        """The outputs of layer 1 for the test image: the sums after ReLU."""
        return np.asarray(np.maximum(self.sums, 0))

    @cached_property
    def scores(self) -> Float[np.ndarray, "10"]:
        """The scores z of layer 2 for the test image."""
        return np.asarray(self.outputs @ self.kernel_2 + self.bias_2)

    @cached_property
    def log_probabilities(self) -> Float[np.ndarray, "10"]:
        """The natural logarithms of the probabilities for the test image."""
        shifted = self.scores - self.scores.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))

    @cached_property
    def all_outputs(self) -> Float[np.ndarray, "n hidden"]:
        """The outputs of layer 1 for all test images."""
        parts = [
            self.images[first : first + BATCH].reshape(-1, PIXELS) / WHITE
            for first in range(0, len(self.images), BATCH)
        ]
        return np.concatenate(
            [np.maximum(part @ self.kernel_1 + self.bias_1, 0) for part in parts]
        )

    @cached_property
    def all_scores(self) -> Float[np.ndarray, "n 10"]:
        """The scores of all test images."""
        return np.asarray(self.all_outputs @ self.kernel_2 + self.bias_2)

    @cached_property
    def predictions(self) -> Int[np.ndarray, " n"]:
        """The classes with the highest scores; of equal scores, the first."""
        return np.asarray(self.all_scores.argmax(axis=1))

    def weight(self, row: int, column: int, neuron: int | None = None) -> float:
        """Return the weight of a pixel, by default of the neuron of the topic."""
        neuron = self.topic.neuron if neuron is None else neuron
        return float(self.kernel_1[SIDE * row + column, neuron])

    def next_neuron(self) -> int:
        """Return the neuron that a student uses who counts from 0 instead of 1."""
        return (self.topic.neuron + 1) % self.topic.hidden
