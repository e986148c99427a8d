"""The questions of the homework: their texts, correct answers and typical mistakes.

CONTRIBUTING ("A homework question") says how to change or add one.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from jaxtyping import Float

from pipeline import ConfigError
from pipeline.base.text import printable
from pipeline.core import CLASSES, PIXELS, SIDE
from pipeline.teaching.answer_inputs import NEXT_NEURON, TRANSPOSED, AnswerInputs
from pipeline.teaching.question import (
    GROUPS,
    PIXEL,
    ROUNDING,
    WHOLE,
    Correct,
    Form,
    Mistake,
    Question,
)
from pipeline.teaching.variant import Variant

SIZES, NEURON, PREDICTION, CHANGES = GROUPS
THOUSANDTH = 0.001  # the tolerance of sums, logarithms and percentages
SMALL = 0.0001  # the tolerance of a weight and of a product
COUNT = 1.0  # the tolerance of a count: rounding can change a close prediction
MAX_LOG = 700.0  # e to this power is still a finite number
HALF = PIXELS // 2  # the pixels of the rows 0 to 13


class Parameters(Question):
    """How many parameters does a network of a different size have?"""

    name = "parameters"
    group = SIZES
    form = WHOLE
    template = """
        Another network has {v.neurons} neurons in layer 1 and {v.classes} classes
        instead of ten. Its inputs are images of 28x28 pixels. How many parameters
        (weights and biases) does it have?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        h, c = inputs.values.neurons, inputs.values.classes
        weights = PIXELS * h + h * c
        ten_classes = (PIXELS + 1) * h + (h + 1) * CLASSES
        return [
            Correct(weights + h + c),
            Mistake(
                weights, "This is the number of weights. The biases are missing.", 0.5
            ),
            Mistake(weights + h, "The biases of layer 2 are missing.", 0.5),
            Mistake(weights + c, "The biases of layer 1 are missing.", 0.5),
            Mistake(ten_classes, "This is the number for ten classes."),
            Mistake(
                PIXELS * h + h, "This is the number of parameters of layer 1 only."
            ),
        ]


class WeightsForSmallImages(Question):
    """How many weights does layer 1 have if the images are smaller?"""

    name = "weights_for_small_images"
    group = SIZES
    form = WHOLE
    template = """
        Suppose that your network was built for images of
        {v.small_rows}x{v.small_columns} pixels instead of 28x28. How many weights
        (without the biases) would layer 1 have?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        rows, hidden = inputs.values.small_rows, inputs.values.hidden
        pixels = rows * inputs.values.small_columns
        return [
            Correct(pixels * hidden),
            Mistake(pixels * hidden + hidden, "The biases are not weights.", 0.5),
            Mistake(pixels, "This is the number of weights of one neuron only."),
            Mistake(
                rows * hidden,
                "Each neuron has a weight for each pixel, not for each row.",
            ),
            Mistake(pixels * hidden + hidden * CLASSES, "Do not count layer 2."),
        ]


class BytesOfWeights(Question):
    """How many bytes do the weights of layer 1 need with a different bit width?"""

    name = "bytes_of_weights"
    group = SIZES
    form = WHOLE
    template = """
        Another network takes images of 28x28 pixels and has {v.stored_neurons} neurons
        in layer 1. A microcontroller stores each weight of its layer 1 in {v.bits}
        bits, without gaps. How many bytes do these weights need, without the biases?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        bits, hidden = inputs.values.bits, inputs.values.stored_neurons
        weights, size = PIXELS * hidden, bits / 8
        return [
            Correct(weights * size),
            Mistake(
                weights * bits, "This is the number of bits. A byte has 8 bits.", 0.5
            ),
            Mistake(weights, "This is one byte per weight. Use the given bit width."),
            Mistake(weights * 4, "This is the size of 32-bit weights."),
            Mistake(ceil((weights + hidden) * size), "Do not count the biases.", 0.5),
            Mistake(ceil((weights + hidden * CLASSES) * size), "Do not count layer 2."),
        ]


class Multiplications(Question):
    """How many multiplications does a network need for an image?"""

    name = "multiplications"
    group = SIZES
    form = WHOLE
    template = """
        Another network also takes images of 28x28 pixels and has ten classes, but it
        has {v.more_neurons} neurons in layer 1. How many multiplications does it
        need to classify one image? Count the products of a weight and a pixel, and of a
        weight and the output of a neuron.
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        h = inputs.values.more_neurons
        correct = (PIXELS + CLASSES) * h
        return [
            Correct(correct),
            Mistake(correct + h + CLASSES, "A bias is added, not multiplied.", 0.5),
            Mistake(PIXELS * h, "The multiplications of layer 2 are missing.", 0.5),
            Mistake(PIXELS + CLASSES, "Each neuron has its own multiplications."),
            Mistake(PIXELS * h * CLASSES, "Add the multiplications of the two layers."),
        ]


class WeightOfPixel(Question):
    """What is the weight of a neuron for a pixel?"""

    name = "weight_of_pixel"
    group = NEURON
    tolerance = SMALL
    template = """
        What is the weight of {v.neuron_1} for the pixel in row {v.row} and column
        {v.column}?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        return [
            Correct(inputs.weights[inputs.pixel]),
            Mistake(
                inputs.products[inputs.pixel],
                "This is the product of the weight and the pixel of your test image.",
            ),
        ]


class SumOfNeuron(Question):
    """What sum does a neuron compute for an image?"""

    name = "sum_of_neuron"
    group = NEURON
    tolerance = THOUSANDTH
    template = """
        What is the sum y = M1·X1 + M2·X2 + … + M784·X784 + C of {v.neuron_1} for test
        image {v.image}, before ReLU?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        total = inputs.sums[inputs.values.neuron]
        return [
            Correct(total),
            Mistake(max(0.0, total), "This is the output of the neuron, after ReLU."),
        ]


class LargestProduct(Question):
    """Which pixel contributes most to the sum of a neuron?"""

    name = "largest_product"
    group = NEURON
    form = PIXEL
    template = """
        The sum of {v.neuron_1} for test image {v.image} contains 784 products of a
        weight and a pixel. Which pixel belongs to the product with the largest absolute
        value? The answer is the index of the pixel, from 0 to 783.
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        weights, products = np.abs(inputs.weights), inputs.products
        sizes = np.abs(products)
        best = int(sizes.argmax())
        equal = np.isclose(sizes, sizes[best], rtol=ROUNDING, atol=0)
        row, column = divmod(best, SIDE)
        return [
            *map(Correct, np.flatnonzero(equal)),
            Mistake(
                best + 1,
                "This is the number of the term, such as 1 for M1·X1. The indices of "
                "the pixels begin with 0.",
                0.5,
            ),
            Mistake(SIDE * column + row, TRANSPOSED, 0.5),
            Mistake(
                products.argmax(),
                "This is the largest positive product. A negative product can have a "
                "larger absolute value.",
                0.5,
            ),
            Mistake(
                products.argmin(),
                "A positive product is larger in absolute value.",
                0.5,
            ),
            Mistake(
                weights.argmax(),
                "This is the largest weight. Multiply the weights by the pixels first.",
            ),
        ]


class UpperHalf(Question):
    """Which part of the sum comes from the upper half of the image?"""

    name = "upper_half"
    group = NEURON
    tolerance = THOUSANDTH
    template = """
        The sum of {v.neuron_1} for test image {v.image} contains 784 products. Add up
        only the products of the upper half of the image (rows 0 to 13), without the
        bias. What is the result?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        products = inputs.products
        upper, bias = products[:HALF].sum(), inputs.bias_1[inputs.values.neuron]
        left = products.reshape(SIDE, SIDE)[:, : SIDE // 2].sum()
        one_more = "This is the sum of 13 or 15 rows. Use rows 0 to 13."
        return [
            Correct(upper),
            Mistake(upper + bias, "The bias does not belong to a row.", 0.5),
            Mistake(products[HALF:].sum(), "This is the lower half, rows 14 to 27."),
            Mistake(left, TRANSPOSED, 0.5),
            Mistake(products[: HALF + SIDE].sum(), one_more, 0.5),
            Mistake(products[: HALF - SIDE].sum(), one_more, 0.5),
        ]


class Logit(Question):
    """What is the logit of a class for an image?"""

    name = "logit"
    group = PREDICTION
    tolerance = THOUSANDTH
    template = """
        What is the logit z of {v.neuron_2} for test image {v.image}, before the
        softmax?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        digit = inputs.values.digit
        return [
            Correct(inputs.logits[digit]),
            Mistake(inputs.logits[(digit + 1) % CLASSES], NEXT_NEURON, 0.5),
            Mistake(
                np.exp(inputs.log_probabilities[digit]),
                "This is the probability, after the softmax.",
            ),
        ]


class LogOfRatio(Question):
    """How do the two highest logits determine the ratio of their probabilities?"""

    name = "log_of_ratio"
    group = PREDICTION
    tolerance = THOUSANDTH
    template = """
        For test image {v.image}, p is the highest of the ten probabilities, and q is
        the second highest. What is ln(p / q), the natural logarithm of their ratio?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        second, first = np.sort(inputs.log_probabilities)[-2:]
        logs, p, q = first - second, np.exp(first), np.exp(second)
        ratio = np.exp(min(logs, MAX_LOG))
        return [
            Correct(logs),
            Mistake(ratio, "This is p / q. Its natural logarithm is missing.", 0.5),
            Mistake(logs / np.log(10), "Use the natural logarithm, not log10.", 0.5),
            Mistake(logs / np.log(2), "Use the natural logarithm, not log2.", 0.5),
            Mistake(-logs, "The sign is wrong: p is larger than q.", 0.5),
            Mistake(p - q, "This is the difference of the probabilities."),
            Mistake(first, "This is ln(p). Subtract ln(q)."),
        ]


class LossOfWrongLabel(Question):
    """What is the loss of an image with a wrong label?"""

    name = "loss_of_wrong_label"
    group = PREDICTION
    tolerance = THOUSANDTH
    template = """
        The label of test image {v.image} is {v.label}. Suppose that somebody labels
        the image as {v.wrong_label} by mistake. What is then the loss (cross-entropy)
        of the image, in nats?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        wrong, label = inputs.values.wrong_label, inputs.values.label
        log = inputs.log_probabilities[wrong]
        return [
            Correct(-log),
            Mistake(log, "The sign is wrong: the loss is -ln(p).", 0.5),
            Mistake(-log / np.log(2), "This is in bits. Use ln, not log2.", 0.5),
            Mistake(-log / np.log(10), "Use the natural logarithm, not log10.", 0.5),
            Mistake(
                -inputs.log_probabilities[label],
                "This is the loss with the correct label.",
            ),
            Mistake(
                -inputs.logits[wrong],
                "This is the negative logit. Apply the softmax before the logarithm.",
            ),
        ]


class Misclassified(Question):
    """How many images of a class does the network classify as another class?"""

    name = "misclassified"
    group = PREDICTION
    form = WHOLE
    tolerance = COUNT
    template = """
        How many of the {v.test_images:,} test images have the label {v.digit}, but are
        classified as another class by your network?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        digit, wrong = inputs.values.digit, inputs.predictions != inputs.labels
        is_class, predicted = inputs.labels == digit, inputs.predictions == digit
        return [
            Correct((is_class & wrong).sum()),
            Mistake(
                (is_class & ~wrong).sum(),
                "This is the number of correctly classified images.",
            ),
            Mistake(
                (predicted & wrong).sum(),
                "This is the opposite: the number of images with another label that "
                "the network classifies as this class.",
            ),
            Mistake(
                wrong.sum(),
                "This is the number of wrong predictions for all ten classes.",
            ),
        ]


class BrighterPixel(Question):
    """By how much does a brighter pixel change the sum of a neuron?"""

    name = "brighter_pixel"
    group = CHANGES
    tolerance = SMALL
    template = """
        In an image, the pixel in row {v.row} and column {v.column} becomes
        {v.gray_levels} gray levels brighter. By how much does the sum y of {v.neuron_1}
        change? If y becomes smaller, the answer is negative.
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        weight = inputs.weights[inputs.pixel]
        change = weight * inputs.values.gray_levels / inputs.white
        return [
            Correct(change),
            Mistake(
                weight, "This is the weight. The pixel value increases by less than 1."
            ),
            Mistake(-change, "The sign is wrong.", 0.5),
        ]


class SwitchedOff(Question):
    """How many images are classified correctly without one neuron?"""

    name = "switched_off"
    group = CHANGES
    form = WHOLE
    tolerance = COUNT
    template = """
        The neuron {v.neuron_1} is switched off: its output is always 0. How many of the
        {v.test_images:,} test images does your network then classify correctly?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        before = (inputs.predictions == inputs.labels).sum()
        neuron = inputs.values.neuron
        after = self._count(inputs, neuron, 0.0)
        only_bias = self._count(inputs, neuron, max(0.0, inputs.bias_1[neuron]))
        return [
            Correct(after),
            Mistake(before, "This is the number with all neurons."),
            Mistake(
                only_bias,
                "The bias of the neuron remains: its output must be 0, not its bias.",
                0.5,
            ),
            Mistake(
                len(inputs.labels) - after,
                "This is the number of misclassified images.",
                0.5,
            ),
            Mistake(before - after, "This is the decrease, not the new number.", 0.5),
        ]

    def _count(self, inputs: AnswerInputs, neuron: int, output: float) -> int:
        """Return the number of correct predictions if a neuron has this output."""
        change = output - inputs.all_outputs[:, neuron]
        logits = inputs.all_logits + np.outer(change, inputs.kernel_2[neuron])
        return int((logits.argmax(axis=1) == inputs.labels).sum())


class RaisedBias(Question):
    """How many images are assigned to a class after its bias is increased?"""

    name = "raised_bias"
    group = CHANGES
    form = WHOLE
    tolerance = COUNT
    template = """
        The bias of {v.neuron_2} is increased by {v.shift:g}. How many of the
        {v.test_images:,} test images, regardless of their label, does your network
        then classify as class {v.digit}?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        digit, shift = inputs.values.digit, inputs.values.shift
        after = self._count(inputs, digit, shift)
        before = self._count(inputs, digit, 0.0)
        # The text names the class, so that this mistake changes only the bias. The
        # result can be close to the number before the change.
        next_neuron = float(self._count(inputs, (digit + 1) % CLASSES, shift))
        return [
            Correct(after),
            Mistake(next_neuron, NEXT_NEURON, self._partial(next_neuron)),
            Mistake(before, "This is the number before the change."),
            Mistake(after - before, "This is the increase, not the new number.", 0.5),
            Mistake(
                self._count(inputs, digit, -shift),
                "This is the number with a smaller bias.",
                0.5,
            ),
        ]

    def _count(self, inputs: AnswerInputs, neuron: int, shift: float) -> int:
        """Return the number of images of the class if the bias of a neuron changes."""
        logits = inputs.all_logits + shift * (np.arange(CLASSES) == neuron)
        return int((logits.argmax(axis=1) == inputs.values.digit).sum())


class ScaledLayer(Question):
    """How confident is the network if all of its logits become smaller?"""

    name = "scaled_layer"
    group = CHANGES
    form = Form(low=0.0, high=100.0)
    tolerance = THOUSANDTH
    template = """
        All weights and biases of layer 2 are multiplied by {v.factor:g}. After this
        change, what is the highest of the ten probabilities for test image {v.image},
        in percent?
    """

    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        factor, logits = inputs.values.factor, inputs.logits
        before, after = self._highest(logits), self._highest(logits * factor)
        weights_only = (logits - inputs.bias_2) * factor + inputs.bias_2
        return [
            Correct(after),
            Mistake(before, "This is the probability before the change."),
            Mistake(
                before * factor,
                "The logits are multiplied by the factor, not the probability.",
            ),
            Mistake(before - after, "This is the decrease, not the new probability."),
            Mistake(
                after / 100, "This is a fraction. The question asks for percent.", 0.5
            ),
            Mistake(
                self._highest(weights_only),
                "The biases are multiplied by the factor too.",
                0.5,
            ),
        ]

    def _highest(self, logits: Float[np.ndarray, "10"]) -> float:
        return 100 / float(np.exp(logits - logits.max()).sum())


QUESTIONS: tuple[Question, ...] = (
    Parameters(),
    WeightsForSmallImages(),
    BytesOfWeights(),
    Multiplications(),
    WeightOfPixel(),
    SumOfNeuron(),
    LargestProduct(),
    UpperHalf(),
    Logit(),
    LogOfRatio(),
    LossOfWrongLabel(),
    Misclassified(),
    BrighterPixel(),
    SwitchedOff(),
    RaisedBias(),
    ScaledLayer(),
)
# The names of questions that students were given, but that are no longer graded.
REMOVED: tuple[str, ...] = ()


def questions_for(variant: Variant) -> list[Question]:
    """Return all questions by group, in the order of a variant."""
    order = {q: variant.pick(f"order of {q.name}", 2**32) for q in QUESTIONS}
    return sorted(QUESTIONS, key=lambda q: (GROUPS.index(q.group), order[q]))


def questions_named(names: Sequence[str] | None) -> list[Question]:
    """Return the questions with these names, in the order of `QUESTIONS`.

    None stands for all questions.

    Raises:
        ConfigError: If there is no name, or if a question does not exist.
    """
    if names is None:
        return [*QUESTIONS]
    allowed = [question.name for question in QUESTIONS]
    unknown = [printable(name) for name in names if name not in allowed]
    if unknown or not names:
        got = ", ".join(unknown)[:60] or "an empty list"
        raise ConfigError(
            f"questions must be names among {', '.join(allowed)}, got {got}"
        )
    return [question for question in QUESTIONS if question.name in names]
