"""Classify single images, and report whether each answer is sure.

Reads outputs/train/ (or the network of run=<id> or model=<file>) and the images of
images=: the index of a test image, a file, or a folder. Image files can have any size
and any colours of pen and paper; they are preprocessed in the same way as MNIST. For a
network trained on clothes, they are only resized to 28x28 pixels. Writes
predictions.json, predictions.csv and preparation.png, which shows each preprocessing
step, to outputs/predict/. Takes 3 s; test image 0 is a 7 with a probability of 99.8 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import UserError
from pipeline.cli import PredictConfig, outputs_dir, stage, store_dir
from pipeline.files import printable
from pipeline.terminal import probability_bars

if TYPE_CHECKING:
    import numpy as np

    from pipeline.evaluation import InputImage
    from pipeline.model import Verdict

MAX_PLOTTED = 60  # images in preparation.png


def predict(cfg: PredictConfig) -> None:
    """Load the network, classify each image, and write the predictions."""
    import numpy as np
    import torch

    from pipeline import datasets, files
    from pipeline.evaluation import read_inputs
    from pipeline.training import load_trained

    torch.set_num_threads(1)
    outputs, store = outputs_dir(), store_dir()
    trained = load_trained(
        run=cfg.run, model=cfg.model, outputs=outputs, store=store, detector=True
    )
    spec = datasets.spec(trained.dataset)
    dataset = datasets.load(trained.dataset, folder=outputs / "data")
    listing, sources = read_inputs(
        str(cfg.images), dataset, prepare=spec.prepared_as_mnist
    )
    if len(listing.entries) > 1:
        print(f"{len(listing.entries):,} images: {listing.description}\n")
    predictions: list[Prediction] = []
    for source in sources:
        prepared = source.prepared
        images = prepared.image[None]
        probabilities = trained.network.predict(images).numpy()
        counts, drawn = np.array([prepared.digit_count]), np.array([prepared.drawn])
        (verdict,) = trained.detector.judge(
            images,
            probabilities,
            counts,
            drawn,
            class_names=spec.class_names,
            noun=spec.noun,
        )
        if len(predictions) >= MAX_PLOTTED:  # to save memory
            source = replace(source, prepared=replace(prepared, steps={}))
        predictions.append(Prediction(source, probabilities[0].tolist(), verdict))
        print(predictions[-1].text())
    if not predictions:
        raise UserError("\n  ".join(["no image could be read", *listing.problems]))
    with files.atomic_folder(outputs / "predict") as folder:
        _write(predictions, folder, dataset.means())
    print(f"files  {outputs / 'predict'}")
    if listing.problems:
        failed = len(listing.problems)
        summary = f"{failed} {'image was' if failed == 1 else 'images were'} not read"
        raise UserError("\n  ".join([summary, *listing.problems]))


@dataclass(frozen=True)
class Prediction:
    """The answer of the network to an image."""

    source: "InputImage"
    probabilities: list[float]  # of each class, in [0, 1]
    verdict: "Verdict"

    @property
    def is_blank(self) -> bool:
        """Whether the image contains nothing to classify."""
        return self.verdict.reason == "blank"

    def record(self) -> dict[str, Any]:
        """Return the entry of predictions.json."""
        return {
            "file": self.source.name,
            "digit": self.verdict.digit,
            "probabilities": [round(p, 6) for p in self.probabilities],
            "sure": self.verdict.sure,
            "reason": self.verdict.reason,
            "label": self.source.label,
        }

    def summary(self) -> list[str]:
        """Return the two most probable classes, the certainty and the label."""
        if self.is_blank:
            return ["blank: there is nothing to classify"]
        first, second = sorted(range(10), key=lambda d: -self.probabilities[d])[:2]
        lines = [
            f"{first} ({self.probabilities[first]:.1%}), "
            f"then {second} ({self.probabilities[second]:.1%})",
            "sure" if self.verdict.sure else f"unsure: {self.verdict.reason}",
        ]
        if self.source.label is not None:
            origin = " from the file name" if self.source.label_from_name else ""
            lines.append(f"label{origin}: {self.source.label}")
        return lines

    def text(self) -> str:
        """Return the lines for the terminal: the summary and a bar for each class."""
        bars = [] if self.is_blank else probability_bars(self.probabilities)
        title = f"{printable(self.source.name)}: {', '.join(self.summary())}"
        return "\n".join([title, *bars, ""])


def _write(
    predictions: Sequence[Prediction],
    folder: Path,
    class_means: "Mapping[int, np.ndarray]",
) -> None:
    """Write the predictions as JSON and CSV, and a plot of the preprocessing steps."""
    from pipeline import files, plots

    records = [prediction.record() for prediction in predictions]
    files.write_json(folder / "predictions.json", records)
    for record in records:
        for digit, probability in enumerate(record.pop("probabilities")):
            record[f"p{digit}"] = probability
    files.write_csv(folder / "predictions.csv", records)
    rows = []
    for prediction in predictions[:MAX_PLOTTED]:
        steps = dict(prediction.source.prepared.steps)
        if not prediction.is_blank:
            steps["class mean"] = class_means[prediction.verdict.digit]
        name = printable(prediction.source.name)[-36:]
        rows.append(plots.ImageRow(steps, [name, *prediction.summary()]))
    plots.image_rows(rows, text=440).save(folder / "preparation.png")


if __name__ == "__main__":
    stage(predict, PredictConfig)
