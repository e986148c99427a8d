"""The command `predict`: classifies individual images."""

from dataclasses import dataclass
from pathlib import Path

from pipeline import PartlyFailed, plots
from pipeline.base import csv_files, files
from pipeline.base.paths import data_dir, displayed, store_dir
from pipeline.base.progress import busy
from pipeline.base.results_folder import ResultsFolder
from pipeline.base.terminal import say
from pipeline.base.text import (
    command_line,
    counted,
    neuron_name,
    next_steps,
    printable,
    shortened,
    wrap,
)
from pipeline.cli import Array, PredictConfig
from pipeline.core import SIDE
from pipeline.evaluation.inputs import find_images, images_from_array, preprocess_for
from pipeline.evaluation.predictions import Predictions, classify
from pipeline.evaluation.sentences import (
    count_correct,
    count_unsure,
    describe_prediction,
    probability_bars,
)
from pipeline.images.unsure import Reason
from pipeline.model import (
    Detector,
    OodDetector,
    TrainedNetwork,
    load_detector,
    load_training_data,
    select_network,
)

MAX_PLOTTED_IMAGES = 60  # images that are plotted; only their steps are kept
MAX_ROWS = 20  # images in one plot, so that a screen shows its whole width
MAX_NAME_CHARACTERS = 36  # characters of the name of an image
USUAL_FORM = """If an image does not look like a digit, or the two highest probabilities
are close, look at the steps of the image in preprocessing.png. If they show anything
besides the digit, such as a second digit that touches it, crop the image. Otherwise,
write the digit upright and in its usual form."""
# Advice for each reason whose text contains no advice.
ADVICE: dict[Reason, str] = {
    "cut off": "If a digit is cut off, use an image with paper all around it.",
    "several objects": "If there is more than one digit or object, crop the image to "
    "a digit.",
    "unusual": USUAL_FORM,
    "unfamiliar": USUAL_FORM,
    "small margin": USUAL_FORM,
}


@dataclass(frozen=True, eq=False)
class PredictResult:
    """The predictions for several images."""

    predictions: Predictions
    folder: Path  # the folder of the files


def predict(
    cfg: PredictConfig, folder: Path | None, array: Array | None = None
) -> PredictResult:
    """Load the network, classify each image, and write the predictions.

    Args:
        cfg: The settings.
        folder: The folder of a call from Python; see `Command.folder`.
        array: An image or several images, which replace `cfg.images`; see
            `images_from_array`.
    """
    own = ResultsFolder("predict", folder)
    given = images_from_array(array) if array is not None else None
    with busy("loading the network"):
        store = store_dir()
        trained = select_network(run=cfg.run, model=cfg.model, store=store)
    source = given or find_images(
        str(cfg.images), lambda: load_training_data(trained, folder=data_dir())
    )
    detector = load_detector(trained, folder=data_dir())
    if detector.missing:
        effect = "so predict cannot determine which predictions are unsure"
        say(wrap(f"{detector.missing}, {effect}") + "\n")
    preprocessed = preprocess_for(trained.spec, source, keep_steps=MAX_PLOTTED_IMAGES)
    if source.has_files and source.labels != [None]:
        number = counted(len(source.images), "file")
        say(wrap(f"{number}: {source.description}") + "\n")
    predictions = classify(preprocessed, trained, detector, alone=True)
    for row, file in enumerate(predictions.source.files):
        say(wrap(f"{printable(file)}: {describe_prediction(predictions, row)}"))
    with busy("writing the results"), own.new() as partial:
        _write(predictions, partial)
        plotted = _plot(predictions, trained, detector, partial)
    say(_conclusion(predictions))
    _say_advice(predictions)
    trained_on = f"{displayed(trained.path)}, trained on {trained.dataset}"
    say(wrap(trained_on, indent=7, start="model  "))
    say(f"plot   {', '.join([str(displayed(own.path / plotted[0])), *plotted[1:]])}")
    say(f"files  {displayed(own.path)}")
    say(_next_step(cfg, predictions))
    result = PredictResult(predictions, own.path)
    if problems := preprocessed.source.problems:
        message = "\n  ".join(["not all images were classified", *problems])
        raise PartlyFailed(message, result)
    return result


def _conclusion(predictions: Predictions) -> str:
    """Return bars for one image, or the numbers of correct and unsure predictions."""
    if len(predictions) == 1:
        probabilities = predictions.probabilities[0].tolist()
        return f"{probability_bars(probabilities, predictions.spec.class_names)}\n"
    is_labeled = [label is not None for label in predictions.source.labels]
    is_correct = predictions.is_correct[is_labeled]
    lines = [""]
    if is_correct.size:
        noun = "image" if is_correct.size == len(predictions) else "labeled image"
        lines.append(count_correct(is_correct, noun))
    if predictions.has_all_reasons:
        lines.append(count_unsure(predictions))
    return "\n".join([*lines, ""]) if lines[1:] else ""


def _say_advice(predictions: Predictions) -> None:
    """Print advice if predictions for preprocessed files are unsure."""
    spec, source = predictions.spec, predictions.source
    if not (source.has_files and spec.preprocessed_as_mnist):
        return
    found = [text for reason, text in ADVICE.items() if reason in predictions.reasons]
    if found:
        say("\n".join(wrap(text, indent=0) for text in dict.fromkeys(found)) + "\n")


def _next_step(cfg: PredictConfig, predictions: Predictions) -> str:
    """Suggest a user's own image or, after such an image, how it was classified."""

    def command(stage: str, *settings: str) -> str:
        return command_line(stage, *settings, run=cfg.run, model=cfg.model)

    source = predictions.source
    if not source.has_files:
        own_image = command("predict", "images=photo.jpg")
        return next_steps({own_image: "classifies your own image"})
    steps = {command("evaluate"): "evaluates the network"}
    if len(predictions) == 1 and str(cfg.images).endswith(source.files[0]):
        neuron = neuron_name(2, int(predictions.classes[0]))
        name = predictions.spec.class_names[predictions.classes[0]]
        inspect = command("inspect", f"neuron={neuron}", f"image={cfg.images}")
        steps = {inspect: f"shows how {neuron} computed the logit of {name}", **steps}
    return next_steps(steps)


def _write(predictions: Predictions, folder: Path) -> None:
    """Write the predictions as JSON and CSV."""
    records = predictions.records()
    files.write_json(folder / "predictions.json", records)
    for record in records:
        for label, probability in enumerate(record.pop("probabilities")):
            record[f"p{label}"] = probability
    csv_files.write_csv(folder / "predictions.csv", records, exact=False)


def _plot(
    predictions: Predictions, trained: TrainedNetwork, detector: Detector, folder: Path
) -> list[str]:
    """Plot the preprocessing steps: wrong predictions, then unsure predictions.

    Predictions without a label follow, because they can be wrong without being unsure.
    Returns the names of the files: preprocessing.png, preprocessing-2.png and so on.
    """
    labels = predictions.source.labels
    total = len(predictions)
    is_correct, is_unsure = predictions.is_correct, predictions.is_unsure
    each = zip(labels, is_correct.tolist(), is_unsure.tolist(), strict=True)
    keys = [
        (label is None or correct, not unsure, label is not None)
        for label, correct, unsure in each
    ]
    rows = sorted(range(total), key=keys.__getitem__)
    has_steps = any(predictions.preprocessed.steps)
    shown = "Preprocessing steps, and" if has_steps else "The images and"
    title = f"{shown} the probability of each class"
    if total > 1:
        has_labels = any(label is not None for label in labels)
        first = "wrong predictions first, then unsure ones"
        title += f"; {first if has_labels else 'unsure predictions first'}"
    if total > MAX_PLOTTED_IMAGES:  # the steps of some images were not kept
        title += f" ({MAX_PLOTTED_IMAGES} of {total:,} images)"
        source = predictions.source.pick(rows[:MAX_PLOTTED_IMAGES], problems=())
        preprocessed = preprocess_for(
            trained.spec, source, keep_steps=MAX_PLOTTED_IMAGES
        )
        predictions = classify(preprocessed, trained, detector, alone=True)
        rows = [*range(len(predictions))]
    aligned = plots.align([_plotted_row(predictions, row, detector) for row in rows])
    starts = range(0, len(aligned), MAX_ROWS)
    names = list[str]()
    for number, start in enumerate(starts, 1):
        part = f"; part {number} of {len(starts)}" if len(starts) > 1 else ""
        image = plots.image_rows(aligned[start : start + MAX_ROWS], title=title + part)
        names.append(f"preprocessing{f'-{number}' if start else ''}.png")
        image.save(folder / names[-1])
    return names


def _plotted_row(
    predictions: Predictions, row: int, detector: Detector
) -> plots.ImageRow:
    """Return the steps of an image, and the probabilities of its prediction."""
    preprocessed, source = predictions.preprocessed, predictions.source
    steps = [*preprocessed.steps[row].items()]
    name = shortened(printable(source.files[row]), MAX_NAME_CHARACTERS)
    title = f"{name}: {describe_prediction(predictions, row)}"
    if isinstance(detector, OodDetector):
        mean = detector.components.means[predictions.classes[row]].reshape(SIDE, SIDE)
        if mean.any():  # the class may have no training images
            steps.append(("class mean", mean))
    names = predictions.spec.class_names
    values = predictions.probabilities[row]
    return plots.ImageRow(steps, title, dict(zip(names, values.tolist(), strict=True)))
