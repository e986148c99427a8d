"""The command `predict`: classifies single images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline import UserError, datasets, files, plots
from pipeline.call import results_dir, say
from pipeline.cli import PredictConfig
from pipeline.console import progress
from pipeline.core import SIDE
from pipeline.evaluation.inputs import images_from_array, read_inputs
from pipeline.evaluation.predictions import Prediction, classify
from pipeline.files import printable
from pipeline.images import ImageListing
from pipeline.model import OodDetector, load_training_data, select_trained_model
from pipeline.paths import displayed, outputs_dir
from pipeline.terminal import command_line, next_steps, probability_bars, status, wrap

MAX_PLOTTED = 60  # images in preparation.png


@dataclass(frozen=True)
class Predictions:
    """The predictions for several images."""

    predictions: tuple[Prediction, ...]
    folder: Path  # with its files


def predict(
    cfg: PredictConfig, pixels: UInt8[np.ndarray, "*n 28 28"] | None = None
) -> Predictions:
    """Load the network, classify each image, and write the predictions.

    Args:
        cfg: The configuration.
        pixels: One or more images in MNIST's form, instead of those of `cfg`.
    """
    outputs = outputs_dir()
    with status("loading the network"):
        trained = select_trained_model(run=cfg.run, model=cfg.model)
    if pixels is not None:
        listing, input_images = images_from_array(pixels)
    else:
        listing, input_images = read_inputs(
            str(cfg.images),
            lambda: load_training_data(trained),
            prepare=datasets.spec(trained.dataset).prepared_as_mnist,
        )
    if not trained.detector:
        effect = "so predict cannot judge whether an answer is sure"
        say(wrap(f"{trained.missing_detector()}, {effect}") + "\n")
    if len(listing.entries) > 1:
        say(wrap(f"{len(listing.entries):,} images: {listing.description}") + "\n")
    predictions: list[Prediction] = []
    track, count = progress("reading images"), len(listing.entries) or None
    for image in track(input_images, count):
        prediction = classify(image, trained)
        say(wrap(f"{printable(image.name)}: {prediction.summary()}"))
        predictions.append(prediction)
        if len(predictions) > MAX_PLOTTED:
            image.prepared.steps.clear()  # to save memory
    if not predictions:
        raise UserError("\n  ".join(listing.problems))
    with (
        status("writing the results"),
        files.atomic_folder(results_dir("predict")) as folder,
    ):
        _write(predictions, folder, trained.detector)
    say(_conclusion(predictions))
    say(f"plot   {displayed(outputs / 'predict' / 'preparation.png')}")
    say(f"files  {displayed(outputs / 'predict')}")
    say(_next_step(cfg, listing))
    if listing.problems:
        failed = len(listing.problems)
        summary = f"{failed} {'image was' if failed == 1 else 'images were'} not read"
        raise UserError("\n  ".join([summary, *listing.problems]))
    return Predictions(tuple(predictions), results_dir("predict"))


def _conclusion(predictions: Sequence[Prediction]) -> str:
    """Return bars for a single image, or how many images are classified correctly."""
    if len(predictions) == 1:
        (prediction,) = predictions
        if prediction.input_image.prepared.is_blank:
            return ""
        names = prediction.spec.class_names
        return f"{probability_bars(prediction.probabilities, names)}\n"
    correct = [p.is_correct for p in predictions if p.is_correct is not None]
    if not correct:
        return ""
    kind = "images" if len(correct) == len(predictions) else "labeled images"
    numbers = f"{sum(correct):,} of {len(correct):,} {kind}"
    return f"\n{numbers} are classified correctly\n"


def _next_step(cfg: PredictConfig, listing: ImageListing) -> str:
    """Suggest the user's own image or, after one, an evaluation."""
    if listing.entries:  # the user's images
        command = command_line("evaluate", run=cfg.run, model=cfg.model)
        return next_steps({command: "evaluates the network"})
    command = command_line("predict", "images=photo.jpg", run=cfg.run, model=cfg.model)
    return next_steps({command: "classifies your own image"})


def _write(
    predictions: Sequence[Prediction],
    folder: Path,
    detector: OodDetector | None,
) -> None:
    """Write the predictions as JSON and CSV, and a plot of the preprocessing steps."""
    records = [prediction.record() for prediction in predictions]
    files.write_json(folder / "predictions.json", records)
    for record in records:
        for label, probability in enumerate(record.pop("probabilities")):
            record[f"p{label}"] = probability
    files.write_csv(folder / "predictions.csv", records)
    rows = []
    for prediction in predictions[:MAX_PLOTTED]:
        prepared = prediction.input_image.prepared
        steps = dict(prepared.steps)
        if detector and not prepared.is_blank:
            mean = detector.components.means[prediction.answer].reshape(SIDE, SIDE)
            if mean.any():  # the class may have no training images
                steps["class mean"] = mean
        name = printable(prediction.input_image.name)[-36:]
        title = f"{name}: {prediction.summary()}"
        bars = dict(
            zip(prediction.spec.class_names, prediction.probabilities, strict=True)
        )
        rows.append(plots.ImageRow(steps, title, {} if prepared.is_blank else bars))
    title = "Preprocessing steps, and the probability of each class"
    plots.image_rows(rows, title=title).save(folder / "preparation.png")
