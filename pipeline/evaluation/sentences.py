"""The sentences about images and predictions that commands print."""

import numpy as np
from jaxtyping import Bool

from pipeline.base.terminal import counted
from pipeline.core import CLASSES
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.scores import confusion_matrix

MAX_DESCRIBED = 3  # classes, and confusions
WITHOUT_INK = ("blank", "no ink")  # reasons why a prediction is unsure


def summary(predictions: Predictions, row: int) -> str:
    """Return the predicted class of an image, the reason if unsure, and the label."""
    names, predicted = predictions.spec.class_names, predictions.classes[row]
    confidence = predictions.confidence[row]
    text = f"The network predicts {names[predicted]} ({confidence:.1%})"
    if predictions.reasons[row]:
        text += f", but {predictions.doubt(row)}"
    label = predictions.source.labels[row]
    if label is None:
        return f"{text}."
    if predictions.is_correct[row]:
        return f"{text}. Correct."
    return f"{text}. Wrong: the label is {predictions.label_names[label]}."


def describe_result(result: Predictions) -> list[str]:
    """Return the number of correct predictions, the worst classes and confusions.

    The worst classes are those with the lowest accuracy. If the set has other classes
    than the network, a line says when a prediction counts as correct.
    """
    matrix = confusion_matrix(result)
    correct = matrix.diagonal()
    counts = np.bincount(result.source.known_labels, minlength=CLASSES)
    lines = [f"{result.source.name}: {count_correct(result.is_correct)}"]
    labels, names = result.label_names, result.spec.class_names
    if [*labels] != [*names]:
        lines.append(
            "the classes of this set differ from those of the network: a "
            "prediction counts as correct if its class has the same number as the label"
        )
    if without_ink := sum(reason in WITHOUT_INK for reason in result.reasons):
        number = counted(without_ink, "image")
        lines.append(f"no ink was found in {number}")
    if result.is_correct.all():
        return lines
    accuracy = correct / np.maximum(counts, 1)
    worst = [
        f"{labels[k]} ({accuracy[k]:.1%} of {counts[k]:,})"
        for k in np.argsort(accuracy, kind="stable")
        if correct[k] < counts[k]
    ]
    errors = matrix - np.diag(correct)
    pairs = [divmod(int(i), CLASSES) for i in np.argsort(-errors, None, "stable")]
    confusions = [
        f"{labels[label]} as {names[predicted]} ({errors[label, predicted]:,})"
        for label, predicted in pairs
        if errors[label, predicted]
    ]
    lines.append(f"worst classes: {', '.join(worst[:MAX_DESCRIBED])}")
    if confusions:
        listed = ", ".join(confusions[:MAX_DESCRIBED])
        lines.append(f"most frequent confusions: {listed}")
    return lines


def count_correct(is_correct: Bool[np.ndarray, " n"], noun: str = "image") -> str:
    """Return how many images are classified correctly, as a sentence."""
    number = counted(len(is_correct), noun)
    verb = "is" if len(is_correct) == 1 else "are"
    return f"{is_correct.sum():,} of {number} {verb} classified correctly"
