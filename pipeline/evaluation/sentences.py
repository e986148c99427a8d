"""The text about images and predictions that commands print."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from pipeline.base.text import counted, printable, probability_text
from pipeline.core import CLASSES
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.scores import confusion_matrix, per_class
from pipeline.images.unsure import WITHOUT_INK

MAX_DESCRIBED = 3  # classes, confusions, and images without ink


def describe_prediction(predictions: Predictions, row: int) -> str:
    """Return the predicted class, the label, and the reason if it is unsure.

    The text begins with a small letter, because it follows the name of the image.
    """
    names, predicted = predictions.spec.class_names, predictions.classes[row]
    confidence = probability_text(float(predictions.confidence[row]))
    text = f"the network predicts {names[predicted]} ({confidence})"
    label = predictions.source.labels[row]
    if label is not None:
        wrong = f"but the label is {predictions.label_names[label]}"
        text += f", {'which is correct' if predictions.is_correct[row] else wrong}"
    if not predictions.reasons[row]:
        return f"{text}."
    doubt = predictions.doubt(row)
    return f"{text}. The prediction is marked unsure because {doubt}."


def describe_result(result: Predictions) -> list[str]:
    """Return the number of correct predictions, the worst classes and confusions.

    The worst classes have the lowest accuracy. If the classes of the set differ from
    the network's classes, a line says when a prediction counts as correct.
    """
    lines = [f"{result.source.name}: {count_correct(result.is_correct)}"]
    labels, names = result.label_names, result.spec.class_names
    if result.has_other_classes:
        lines.append(
            "the classes of this set differ from the classes of the network: a "
            "prediction counts as correct if the number of its class is the label."
        )
    pairs = zip(result.source.files, result.reasons, strict=True)
    if files := [printable(file) for file, reason in pairs if reason in WITHOUT_INK]:
        named = ", ".join(files[:MAX_DESCRIBED])
        more = ", …" if len(files) > MAX_DESCRIBED else ""
        number = counted(len(files), "image")
        lines.append(f"no ink was found in {number}: {named}{more}")
    if result.is_correct.all():
        return lines
    worst = [
        f"{labels[row['class']]} ({row['recall']:.1%} of {row['support']:,})"
        for row in sorted(per_class(result), key=lambda row: row["recall"])
        if row["support"] and row["recall"] < 1
    ]
    errors = confusion_matrix(result)
    np.fill_diagonal(errors, 0)
    cells = [divmod(int(i), CLASSES) for i in np.argsort(-errors, None, "stable")]
    confusions = [
        f"{labels[label]} as {names[predicted]} ({errors[label, predicted]:,})"
        for label, predicted in cells
        if errors[label, predicted]
    ]
    listed = ", ".join(confusions[:MAX_DESCRIBED])
    lines.append(f"worst classes: {', '.join(worst[:MAX_DESCRIBED])}")
    return [*lines, f"most frequent confusions: {listed}"]


def with_other_classes(result: Predictions) -> str:
    """Return a remark on the accuracy, in parentheses, if the classes differ."""
    if not result.has_other_classes:
        return ""
    return " (other classes: correct means the same class number)"


def count_correct(is_correct: Bool[np.ndarray, " n"], noun: str = "image") -> str:
    """Return how many images are classified correctly, as a sentence."""
    number = counted(len(is_correct), noun)
    verb = "is" if 1 in (len(is_correct), is_correct.sum()) else "are"
    return f"{is_correct.sum():,} of {number} {verb} classified correctly."


def count_unsure(predictions: Predictions) -> str:
    """Return how many predictions, and how many wrong ones, are marked unsure."""
    is_unsure = predictions.is_unsure
    verb = "is" if is_unsure.sum() == 1 else "are"
    text = f"{counted(int(is_unsure.sum()), 'prediction')} {verb} marked unsure"
    is_labeled = np.array([label is not None for label in predictions.source.labels])
    is_wrong = is_labeled & ~predictions.is_correct
    if not is_wrong.any():
        return f"{text}."
    wrong, found = is_wrong.sum(), (is_unsure & is_wrong).sum()
    verb = "is" if 1 in (wrong, found) else "are"
    return f"{text}. Of the wrong predictions, {found:,} of {wrong:,} {verb} marked."


def probability_bars(probabilities: Sequence[float], labels: Sequence[str]) -> str:
    """Return a line with a bar for the probability of each class, in [0, 1]."""
    width = max(map(len, labels))
    lines = [
        f"  {label:<{width}}  {probability_text(x, 3):>8}  {'█' * round(40 * x)}"
        for label, x in zip(labels, probabilities, strict=True)
    ]
    return "\n".join(line.rstrip() for line in lines)
