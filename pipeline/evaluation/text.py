"""The sentences that `evaluate` prints about the results on a test set."""

import numpy as np

from pipeline.core import CLASSES
from pipeline.evaluation.results import EvaluationResult

MAX_DESCRIBED = 3  # classes, and confusions


def describe_result(result: EvaluationResult) -> list[str]:
    """Return the number of correct answers, the worst classes and confusions.

    The worst classes are those with the lowest accuracy. If the set has other classes
    than the network, a line says when an answer counts as correct.
    """
    matrix = result.confusion_matrix
    counts, correct = matrix.sum(axis=1), matrix.diagonal()
    numbers = f"{correct.sum():,} of {counts.sum():,} images"
    lines = [f"{result.test_set.name}: {numbers} are classified correctly"]
    labels, answers = result.test_set.class_names, result.spec.class_names
    if [*labels] != [*answers]:
        lines.append(
            "the classes of this set differ from those of the network: an answer "
            "counts as correct if its class has the same number as the label"
        )
    if correct.sum() == counts.sum():
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
        f"{labels[label]} as {answers[answer]} ({errors[label, answer]:,})"
        for label, answer in pairs
        if errors[label, answer]
    ]
    return [
        *lines,
        f"worst classes: {', '.join(worst[:MAX_DESCRIBED])}",
        f"most frequent confusions: {', '.join(confusions[:MAX_DESCRIBED])}",
    ]
