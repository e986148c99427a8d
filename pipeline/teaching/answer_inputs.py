"""The numbers in a student's questions, and the data that determine the answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, UInt8

from pipeline.base.text import neuron_name
from pipeline.core import CLASSES, PIXELS, SIDE, WHITE
from pipeline.core.dataset import LabeledImages
from pipeline.core.metrics import agreement
from pipeline.core.network import blocks
from pipeline.datasets import DatasetSpec
from pipeline.teaching.variant import Variant

# Rows and columns in the middle of an image, where the weights are not frozen.
MIDDLE = range(8, 20)

# Mistakes that change the answers to several questions, as hints. The questions and
# `AnswerInputs.mistaken` use the same texts, so that a repeated mistake can be
# recognized.
NO_BIAS = "The bias is missing: it is added once to the sum of the products."
NO_RELU = (
    "ReLU is missing: a negative sum of layer 1 becomes 0 before layer 2 multiplies it."
)
NOT_SCALED = "The gray levels must be divided by 255 before they are multiplied."
NEXT_NEURON = (
    "This belongs to the next neuron. Neuron numbers start at 1, array indices at 0."
)
FROM_ONE = "Row and column are counted from 0, like the indices of an array."
TRANSPOSED = "Row and column are swapped. The index of a pixel is 28 · row + column."
RESHAPED = (
    "The arrays in model.safetensors must be transposed with .T: a reshape gives the "
    "same shape, but mixes the weights of all neurons."
)


@dataclass(frozen=True)
class QuestionValues:
    """The numbers in a student's questions, which do not depend on the weights.

    All neurons, classes, images, pixels, rows and columns are counted from 0.
    """

    variant: Variant
    spec: DatasetSpec
    hidden: int  # neurons in layer 1 of the assigned network
    test_images: int
    image: int  # the test image
    label: int  # its label
    wrong_label: int  # another class
    neuron: int  # the index of a neuron in layer 1
    digit: int  # a class, whose neuron of layer 2 has the same index
    row: int  # the row of a pixel
    column: int  # the column of the same pixel; not equal to the row
    gray_levels: int  # the number of gray levels that are added to a pixel
    shift: float  # the number that is added to a bias of layer 2
    # The parameters of layer 2 are multiplied by this factor. It is small, because a
    # network that is almost certain of an image would remain so.
    factor: float
    classes: int  # the number of classes of a second network
    neurons: int  # the number of neurons in layer 1 of that network
    more_neurons: int  # the number of neurons in layer 1 of a third network
    small_rows: int  # the number of rows of smaller images
    small_columns: int
    bits: int  # the bit width of a weight
    stored_neurons: int  # neurons in layer 1 of the network with this bit width

    @classmethod
    def of(
        cls, variant: Variant, hidden: int, test: LabeledImages, spec: DatasetSpec
    ) -> "QuestionValues":
        """Return the values of a variant for a data set with these test images."""
        pick, others = variant.pick, len(MIDDLE) - 1
        image = pick("image", len(test))
        label = int(test.labels[image])
        row, shift = divmod(pick("pixel", len(MIDDLE) * others), others)
        return cls(
            variant=variant,
            spec=spec,
            hidden=hidden,
            test_images=len(test),
            image=image,
            label=label,
            wrong_label=(label + 1 + pick("label", CLASSES - 1)) % CLASSES,
            neuron=pick("neuron", hidden),
            digit=pick("class", CLASSES),
            row=MIDDLE[row],
            column=MIDDLE[(row + 1 + shift) % len(MIDDLE)],
            gray_levels=20 + pick("gray levels", 101),
            shift=0.5 + pick("shift", 6) / 4,
            factor=(4 + pick("factor", 5)) / 20,
            classes=11 + pick("classes", 52),
            neurons=12 + pick("neurons", 60),
            more_neurons=80 + pick("more neurons", 100),
            small_rows=8 + pick("small rows", 20),
            small_columns=8 + pick("small columns", 20),
            bits=2 + pick("bits", 14),
            stored_neurons=12 + pick("stored neurons", 60),
        )

    @property
    def neuron_1(self) -> str:
        """The name of the neuron of layer 1, such as N17."""
        return neuron_name(1, self.neuron)

    @property
    def neuron_2(self) -> str:
        """The name of the neuron of the class, such as N28 for class 7."""
        return neuron_name(2, self.digit)


@dataclass(frozen=True, eq=False)  # `==` of arrays is elementwise
class AnswerInputs:
    """What determines the answers: the question values, a network, the test images.

    The network is in float64 and in Keras's layout, so that this implementation
    is independent of the class `Network`. PyTorch computes in float32; the results
    differ in the sixth digit.
    """

    values: QuestionValues
    kernel_1: Float[np.ndarray, "784 hidden"]
    bias_1: Float[np.ndarray, " hidden"]
    kernel_2: Float[np.ndarray, "hidden 10"]
    bias_2: Float[np.ndarray, "10"]
    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, " n"]
    white: int = WHITE  # the gray level that becomes 1.0
    has_relu: bool = True

    @classmethod
    def of(
        cls,
        values: QuestionValues,
        tensors: Mapping[str, Float[np.ndarray, "..."]],
        test: LabeledImages,
    ) -> "AnswerInputs":
        """Return the inputs for tensors of the assigned shapes; see `snapshot`."""
        arrays = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
        return cls(
            values=values,
            kernel_1=arrays["layer_1.weight"].T,
            bias_1=arrays["layer_1.bias"],
            kernel_2=arrays["layer_2.weight"].T,
            bias_2=arrays["layer_2.bias"],
            images=test.images,
            labels=test.labels,
        )

    @cached_property
    def mistaken(self) -> dict[str, "AnswerInputs"]:
        """The inputs that lead to the wrong answers of each typical mistake, by hint.

        The code for the correct answer, applied to these inputs, gives the wrong answer
        of a student who makes the mistake.
        """
        values, kernels = self.values, (self.kernel_1, self.kernel_2)
        one, two = (kernel.T.reshape(kernel.shape) for kernel in kernels)
        next_neuron = (values.neuron + 1) % values.hidden
        other_values = {
            NEXT_NEURON: replace(values, neuron=next_neuron),
            FROM_ONE: replace(values, row=values.row - 1, column=values.column - 1),
        }
        swapped = replace(values, row=values.column, column=values.row)
        by_columns = np.swapaxes(self.images, 1, 2)
        return {
            TRANSPOSED: replace(self, values=swapped, images=by_columns),
            NOT_SCALED: replace(self, white=1),
            NO_BIAS: replace(self, bias_1=0 * self.bias_1, bias_2=0 * self.bias_2),
            NO_RELU: replace(self, has_relu=False),
            RESHAPED: replace(self, kernel_1=one, kernel_2=two),
            **{hint: replace(self, values=x) for hint, x in other_values.items()},
        }

    @cached_property
    def pixels(self) -> Float[np.ndarray, "784"]:
        """The pixels of the test image, 0 to 1."""
        return np.asarray(self.images[self.values.image].reshape(PIXELS) / self.white)

    @cached_property
    def weights(self) -> Float[np.ndarray, "784"]:
        """The weights of the neuron of layer 1."""
        return np.asarray(self.kernel_1[:, self.values.neuron])

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
        return self._after_relu(self.sums)

    @cached_property
    def logits(self) -> Float[np.ndarray, "10"]:
        """The logits z of layer 2 for the test image."""
        return np.asarray(self.outputs @ self.kernel_2 + self.bias_2)

    @cached_property
    def log_probabilities(self) -> Float[np.ndarray, "10"]:
        """The natural logarithms of the probabilities for the test image."""
        shifted = self.logits - self.logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))

    @cached_property
    def all_outputs(self) -> Float[np.ndarray, "n hidden"]:
        """The outputs of layer 1 for all test images."""
        # As floating-point numbers, all 10,000 images would take 63 MB.
        inputs = (
            block.reshape(-1, PIXELS) / self.white for block in blocks(self.images)
        )
        return np.concatenate(
            [self._after_relu(each @ self.kernel_1 + self.bias_1) for each in inputs]
        )

    @cached_property
    def all_logits(self) -> Float[np.ndarray, "n 10"]:
        """The logits of all test images."""
        return np.asarray(self.all_outputs @ self.kernel_2 + self.bias_2)

    @cached_property
    def predictions(self) -> Int[np.ndarray, " n"]:
        """The classes with the highest logits; the first if several are equal."""
        return np.asarray(self.all_logits.argmax(axis=1))

    @cached_property
    def accuracy(self) -> float:
        """The fraction of the test images that are classified correctly."""
        return agreement(self.predictions, self.labels)

    @property
    def pixel(self) -> int:
        """The index of the pixel in the row and the column of the question values."""
        return SIDE * self.values.row + self.values.column

    def _after_relu(
        self, sums: Float[np.ndarray, "*n hidden"]
    ) -> Float[np.ndarray, "*n hidden"]:
        return np.asarray(np.maximum(sums, 0) if self.has_relu else sums)
