"""Read single pictures: what the network answers, how sure it is, and why.

Reads outputs/train/ (or what run=<id> left, or model=<file>) and the pictures of
images=: the index of a test picture, a file, or a folder. Files are prepared as MNIST
was made, whatever their size, paper and pen; for a network of clothes they are brought
to 28x28 pixels and nothing else. Writes to outputs/predict/
predictions.json, predictions.csv and preparation.png, which shows every step. Takes
3 s; test image 0 is a 7 with 99.8 %.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.command import stage
from pipeline.cli.config import PredictConfig
from pipeline.cli.paths import outputs_dir, store_dir
from pipeline.cli.terminal import probability_bars
from pipeline.files import printable

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

    from pipeline.datasets.dataset import Dataset
    from pipeline.images.preprocessing import PreparedImage
    from pipeline.model.ood import Verdict

DRAWN = 60  # pictures whose preparation one figure shows at most


@dataclass(frozen=True)
class Picture:
    """A picture to be read, ready for the network."""

    file: str
    label: int | None  # where it is known
    named: bool  # it is the first digit of the file's name
    image: "UInt8[np.ndarray, '28 28']"
    count: int  # digits on it
    drawn: bool  # whether a pen can have made them
    steps: "dict[str, np.ndarray]"  # of its preparation


def predict(cfg: PredictConfig) -> None:
    """Load, compute, write, in this order."""
    import numpy as np
    import torch

    from pipeline import files
    from pipeline.images import preprocessing
    from pipeline.training import load_trained, load_training_data

    torch.set_num_threads(1)
    outputs, store = outputs_dir(), store_dir()
    trained = load_trained(
        run=cfg.run, model=cfg.model, outputs=outputs, store=store, detector=True
    )
    dataset = load_training_data(trained, outputs=outputs)
    answers: list[Answer] = []
    problems: list[str] = []
    ready = (
        preprocessing.preprocess
        if trained.prepared_as_mnist
        else preprocessing.resize_only
    )
    for picture in _pictures(str(cfg.images), dataset, ready, problems):
        image, count = picture.image[None], np.array([picture.count])
        probabilities = trained.network.predict(image).numpy()
        drawn = np.array([picture.drawn])
        (verdict,) = trained.detector.judge(image, probabilities, count, drawn)
        kept = picture if len(answers) < DRAWN else replace(picture, steps={})
        answers.append(Answer(kept, probabilities[0].tolist(), verdict))
        _print(answers[-1])
    if not answers:
        raise ValueError("\n  ".join(["no picture could be read", *problems]))
    with files.atomic_folder(outputs_dir() / "predict") as written:
        _write(answers, written, means=dataset.means())
    print(f"files  {outputs_dir() / 'predict'}")
    if problems:
        what = "picture was" if len(problems) == 1 else "pictures were"
        told = "\n  ".join([f"{len(problems)} {what} not read", *problems])
        raise ValueError(told)


@dataclass(frozen=True)
class Answer:
    """What the network made of a picture."""

    picture: Picture
    probabilities: list[float]
    verdict: "Verdict"

    def record(self) -> dict[str, Any]:
        """Return it as predictions.json holds it."""
        return {
            "file": self.picture.file,
            "digit": self.verdict.digit,
            "probabilities": [round(p, 6) for p in self.probabilities],
            "sure": self.verdict.sure,
            "reason": self.verdict.reason,
            "label": self.picture.label,
        }

    @property
    def blank(self) -> bool:
        """Whether there is nothing that could be an answer."""
        return self.verdict.reason == "blank"

    def told(self) -> list[str]:
        """Say it in lines: the answer, how sure it is, the second guess, the label."""
        digit, sure = self.verdict.digit, self.verdict.sure
        order = sorted(range(10), key=lambda d: -self.probabilities[d])
        second = f"then {order[1]} ({self.probabilities[order[1]]:.1%})"
        label = self.picture.label
        known = "its label is"
        if self.picture.named:
            known = "by its name it is an" if label == 8 else "by its name it is a"
        if self.blank:
            return ["blank: there is nothing to be read"]
        return [
            f"{digit} ({self.probabilities[digit]:.1%}), {second}",
            "sure" if sure else f"unsure: {self.verdict.reason}",
            *([] if label is None else [f"{known} {label}"]),
        ]


def _pictures(
    images: str,
    dataset: "Dataset",
    ready: "Callable[[UInt8[np.ndarray, 'h w']], PreparedImage]",
    problems: list[str],
) -> Iterator[Picture]:
    """Read the pictures that were asked for; and note those that can't be read.

    Raises:
        ValueError: If there is no such place, or no such test picture.
    """
    from pipeline.images import reading

    if re.fullmatch("-?[0-9]+", images):
        yield _test_picture(int(images), dataset)
        return
    finding = reading.list_images(Path(images).expanduser())
    problems += finding.problems
    if len(finding.pictures) > 1:
        print(f"{len(finding.pictures):,} pictures: {finding.told}\n")
    for each in finding.pictures:
        try:
            made = ready(reading.read_image(each.path))
        except ValueError as error:
            problems.append(str(error))
            continue
        yield Picture(
            file=reading.relative_name(each.path, images),
            label=each.label,
            named=finding.named,
            image=made.image,
            count=made.count,
            drawn=made.drawn,
            steps=made.steps,
        )


def _test_picture(row: int, dataset: "Dataset") -> Picture:
    test = dataset.test
    if not 0 <= row < len(test):
        raise ValueError(
            f"images must be 0 to {len(test) - 1}, a test picture of {dataset.name}, "
            f"or a file or folder, got {row}"
        )
    name, image = f"{dataset.name} test picture {row}", test.images[row]
    return Picture(
        file=name,
        label=int(test.labels[row]),
        named=False,
        image=image,
        count=1,
        drawn=True,
        steps={"as it is": image},
    )


def _print(answer: Answer) -> None:
    """Print the ten probabilities as bars, and what they mean."""
    print(f"{printable(answer.picture.file)}: {', '.join(answer.told())}")
    if answer.blank:
        print()
        return
    print("\n".join(probability_bars(answer.probabilities)))
    print()


def _write(
    answers: list[Answer], folder: Path, *, means: "Mapping[int, np.ndarray]"
) -> None:
    """Write predictions as JSON and CSV, and a picture of how they came about."""
    from pipeline import files, plots

    records = [answer.record() for answer in answers]
    (folder / "predictions.json").write_text(json.dumps(records, indent=1) + "\n")
    for record in records:
        for digit, probability in enumerate(record.pop("probabilities")):
            record[f"p{digit}"] = probability
    files.write_csv(folder / "predictions.csv", records)
    drawn = [
        plots.ImageRow(
            answer.picture.steps
            if answer.blank
            else {**answer.picture.steps, "class mean": means[answer.verdict.digit]},
            [printable(answer.picture.file)[-36:], *answer.told()],
        )
        for answer in answers[:DRAWN]
    ]
    plots.image_rows(drawn).save(folder / "preparation.png")


if __name__ == "__main__":
    stage(predict, PredictConfig)
