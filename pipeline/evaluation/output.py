"""The files that `evaluate` writes: JSON, tables as CSV, images as PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipeline import files, plots
from pipeline.evaluation.results import EvaluationResult
from pipeline.files import printable
from pipeline.paths import METRICS_FILE
from pipeline.plots.evaluation import evaluation_scores

MAX_MISTAKES = 24  # in the plot
MAX_CAPTION = 16  # characters; more would overlap


def write_results(results: Sequence[EvaluationResult], folder: Path) -> None:
    """Write the metrics, the tables and the plots of all sets."""
    metrics = {result.test_set.name: result.metrics for result in results}
    files.write_json(folder / METRICS_FILE, metrics)
    for name, table in (
        ("answers.csv", EvaluationResult.per_image),
        ("classes.csv", EvaluationResult.per_class),
        ("confusion.csv", EvaluationResult.confusion),
        ("calibration.csv", EvaluationResult.calibration),
    ):
        rows = [
            {"set": each.test_set.name, **r} for each in results for r in table(each)
        ]
        files.write_csv(folder / name, rows)
    for name, plot in (("scores.png", plot_scores), ("mistakes.png", plot_mistakes)):
        plots.stack_images([plot(result) for result in results]).save(folder / name)


def plot_scores(result: EvaluationResult) -> Image.Image:
    """Plot the confusion matrix and the reliability diagram."""
    return evaluation_scores(
        result.confusion_matrix,
        np.array([[b.count, b.confidence, b.accuracy] for b in result.bins]),
        label_names=result.test_set.class_names,
        answer_names=result.spec.class_names,
        title=f"{result.test_set.name}: {result.metrics['accuracy']:.2%} of "
        f"{len(result.predictions):,} images classified correctly",
    )


def plot_mistakes(result: EvaluationResult) -> Image.Image:
    """Plot the most confident wrong predictions."""
    count = int((result.test_set.data.labels != result.predictions).sum())
    title = f"{result.test_set.name}: {count:,} images are misclassified"
    if count > MAX_MISTAKES:
        title += "; these are the most confident mistakes"
    return plots.image_grid(mistakes(result), title=title, columns=6, side=112)


def mistakes(result: EvaluationResult) -> dict[str, UInt8[np.ndarray, "28 28"]]:
    """Return the most confident wrong predictions, by their captions."""
    labels = result.test_set.data.labels
    rows = np.flatnonzero(labels != result.predictions)
    order = np.argsort(-np.array(result.confidence)[rows], kind="stable")
    images = {}
    for row in rows[order][:MAX_MISTAKES]:
        answer = result.spec.class_names[result.predictions[row]]
        label = result.test_set.class_names[labels[row]]
        file = printable(result.test_set.files[row])
        file = file.replace(f"{result.test_set.name} ", "image ")[-MAX_CAPTION:]
        caption = f"{answer}: {result.confidence[row]:.1%}\nlabel: {label}\n{file}"
        images[caption] = result.test_set.data.images[row]
    return images
