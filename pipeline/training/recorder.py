"""What a training says of itself, told to its run at once and kept for its files."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.model.metrics import tensor_statistics
from pipeline.plots import learning_curves, templates
from pipeline.tracking import Run
from pipeline.training.checkpoints import EpochState

MAX_IMAGES = 20  # steps on the slider of the templates at most, beside the initial ones
METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")  # in files


@dataclass
class Recorder:
    """What a network was before it learned anything, and after each epoch."""

    run: Run
    epochs: int  # that there will be
    moments: list[EpochState] = field(default_factory=list)

    def add(self, moment: EpochState) -> None:
        """Take in an epoch: its metrics, the size of its tensors and their picture."""
        self.moments.append(moment)
        epoch, tensors = moment.epoch, moment.tensors
        measured = moment.metrics | tensor_statistics(tensors)
        if epoch:
            measured["train/seconds"] = moment.seconds
        self.run.log_metrics(measured, step=epoch, time=moment.time)
        if epoch in (0, self.epochs) or epoch % -(-self.epochs // MAX_IMAGES) == 0:
            title = f"after epoch {epoch}" if epoch else "initial weights"
            picture = templates(tensors["layer_1.weight"], tensors, title=title)
            self.run.log_image("weights/templates", picture, step=epoch)

    @property
    def last(self) -> EpochState:
        """The network as it stands."""
        return self.moments[-1]

    def write(self, folder: Path, final: Mapping[str, float]) -> None:
        """Write numbers and curves; equal trainings write equal bytes.

        What differs between them, the id of the run and the time it took, has a file of
        its own, run.json.
        """
        metrics = [
            {name: moment.metrics[name] for name in METRICS}
            for moment in self.moments[1:]
        ]
        numbers = {**metrics[-1], **final}
        (folder / "metrics.json").write_text(json.dumps(numbers, indent=1) + "\n")
        with (folder / "history.csv").open("w", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(["epoch", *METRICS])
            for epoch, row in enumerate(metrics, start=1):
                table.writerow([epoch, *row.values()])
        learning_curves(metrics).save(folder / "learning_curves.png")
        seconds = sum(moment.seconds for moment in self.moments)
        told = {"run_id": self.run.id, "seconds": round(seconds, 3)}
        (folder / "run.json").write_text(json.dumps(told) + "\n")
