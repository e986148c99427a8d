"""What a training records: metrics and images in MLflow at once, files at its end.

The numbers come from `loop.py`; only the tensor statistics are computed here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.datasets import LabelledImages
from pipeline.model import Network, fit_detector, save_history, save_model
from pipeline.model.metrics import tensor_statistics
from pipeline.model.ood import save_detector
from pipeline.plots import learning_curves, templates
from pipeline.tracking import Run
from pipeline.training.checkpoints import EpochState

MAX_IMAGES = 20  # template images of a training, beside that of the initial weights
METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")


@dataclass
class Recorder:
    """The history of a training, which is also logged to its run."""

    run: Run
    epochs: int  # of the finished training
    history: list[EpochState] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)  # of the trained network

    @property
    def last(self) -> EpochState:
        """The state after the latest epoch."""
        return self.history[-1]

    def add(self, state: EpochState) -> None:
        """Log metrics, tensor statistics and templates; a second time has no effect."""
        self.history.append(state)
        epoch, tensors = state.epoch, state.tensors
        metrics = state.metrics | tensor_statistics(tensors)
        if epoch:
            metrics["train/seconds"] = state.seconds
        self.run.log_metrics(metrics, step=epoch, time=state.time)
        interval = -(-self.epochs // MAX_IMAGES)  # rounded up
        if epoch in (0, self.epochs) or epoch % interval == 0:
            title = f"after epoch {epoch}" if epoch else "initial weights"
            image = templates(tensors["layer_1.weight"], tensors, title=title)
            self.run.log_image("weights/templates", image, step=epoch)

    def finish(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Log the scores of the trained network on the training images.

        Returns:
            The metrics of the last epoch, and these scores.
        """
        final = {f"final/train_{name}": value for name, value in scores.items()}
        self.run.log_metrics(final, step=self.epochs, time=self.last.time)
        self.metrics = {name: self.last.metrics[name] for name in METRICS} | final
        return self.metrics

    def write(
        self,
        folder: Path,
        network: Network,
        metadata: Mapping[str, Any],
        train: LabelledImages,
    ) -> str:
        """Write network, detector, history, metrics and learning curves to a folder.

        Equal trainings write equal bytes, except in run.json: the run and the duration.

        Returns:
            The sha256 of model.safetensors.
        """
        sha256 = save_model(folder / "model.safetensors", network, metadata)
        detector = fit_detector(network, train.images, train.labels)
        save_detector(folder / "familiar.safetensors", detector, network=sha256)
        tensors = [state.tensors for state in self.history]
        save_history(folder / "history.safetensors", tensors, metadata)
        rows = [{k: state.metrics[k] for k in METRICS} for state in self.history[1:]]
        table = [{"epoch": epoch, **row} for epoch, row in enumerate(rows, start=1)]
        files.write_csv(folder / "history.csv", table)
        learning_curves(rows).save(folder / "learning_curves.png")
        metrics = json.dumps(self.metrics, indent=1)
        (folder / "metrics.json").write_text(metrics + "\n")
        seconds = round(sum(state.seconds for state in self.history), 3)
        run = json.dumps({"run_id": self.run.id, "seconds": seconds})
        (folder / "run.json").write_text(run + "\n")
        return sha256
