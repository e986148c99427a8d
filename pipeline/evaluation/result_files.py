"""The files that `evaluate` writes: JSON, tables as CSV, images as PNG."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline import plots
from pipeline.base import csv_files, files
from pipeline.base.text import counted, printable, probability_text, shortened
from pipeline.core import SIDE
from pipeline.evaluation import scores
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.scores import confusion_matrix
from pipeline.evaluation.sentences import with_other_classes
from pipeline.plots.evaluation import evaluation_scores
from pipeline.records.file_names import METRICS_FILE

MAX_PLOTTED_WRONG = 24  # images in the plot
MAX_NAME_CHARACTERS = 16  # characters of a name; longer names would overlap
TABLES = {
    "predictions.csv": scores.per_image,
    "classes.csv": scores.per_class,
    "confusion.csv": scores.confusion,
    "calibration.csv": scores.calibration,
}


def write_results(
    results: Sequence[Predictions],
    metrics: Mapping[str, Mapping[str, float | int]],
    folder: Path,
) -> None:
    """Write the metrics by the name of the set, and tables and plots of all sets."""
    files.write_json(folder / METRICS_FILE, metrics)
    for name, table in TABLES.items():
        rows = [
            {"set": each.source.name, **row} for each in results for row in table(each)
        ]
        csv_files.write_csv(folder / name, rows, exact=False)
    for name, plot in (
        ("scores.png", plot_scores),
        ("mistakes.png", plot_wrong_predictions),
    ):
        plots.stack_images([plot(result) for result in results]).save(folder / name)


def plot_scores(result: Predictions) -> Image.Image:
    """Plot the confusion matrix and the reliability diagram."""
    matrix = confusion_matrix(result)
    accuracy = result.is_correct.mean()
    number = counted(len(result), "image")
    return evaluation_scores(
        matrix,
        np.array([astuple(each) for each in scores.bins_of(result)]),
        bin_width=1 / scores.CALIBRATION_BINS,
        label_names=result.label_names,
        class_names=result.spec.class_names,
        title=f"{result.source.name}: {accuracy:.2%} of {number} classified correctly"
        + with_other_classes(result),
    )


def plot_wrong_predictions(result: Predictions) -> Image.Image:
    """Plot the most confident wrong predictions."""
    count = int((~result.is_correct).sum())
    verb = "is" if count == 1 else "are"
    title = f"{result.source.name}: {counted(count, 'image')} {verb} misclassified"
    if count > MAX_PLOTTED_WRONG:
        title += "; these are the most confident wrong predictions"
    title += with_other_classes(result)
    if result.source.kind == "raw":
        title += f" (images {result.preprocessed.how})"
    return plots.image_grid(
        wrong_predictions(result), title=title, columns=6, side=5 * SIDE
    )


def wrong_predictions(result: Predictions) -> list[plots.Captioned]:
    """Return the most confident wrong predictions, with their captions."""
    classes, labels = result.classes, result.source.known_labels
    rows = np.flatnonzero(~result.is_correct)
    order = np.argsort(-result.confidence[rows], kind="stable")
    images = []
    for row in rows[order][:MAX_PLOTTED_WRONG].tolist():
        name = result.spec.class_names[classes[row]]
        label = result.label_names[labels[row]]
        file = f"image {row}"
        if result.source.has_files:
            file = shortened(printable(result.source.files[row]), MAX_NAME_CHARACTERS)
        confidence = probability_text(float(result.confidence[row]))
        caption = f"predicted: {name}\nconfidence: {confidence}\nlabel: {label}\n{file}"
        images.append((caption, result.preprocessed.images[row]))
    return images
