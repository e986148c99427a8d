"""Records a training run: metrics and images after each epoch, files at the end.

`loop` trains; `pipeline/train.py` opens the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import SIDE, files, paths
from pipeline.datasets import Split
from pipeline.model import Network, fit_detector, storage, to_pixels
from pipeline.model.metrics import tensor_statistics
from pipeline.plots import learning_curves, weight_images
from pipeline.tracking import Run
from pipeline.training.checkpoints import EpochState
from pipeline.training.loop import score

MAX_IMAGES = 20  # of the weights, in addition to the initial ones
# MLflow's pages show the metrics in the order in which a run logs them.
METRICS = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")


@dataclass
class Recorder:
    """The history of a training run, which is also logged to its run."""

    run: Run
    epochs: int  # of the finished training run
    history: list[EpochState] = field(default_factory=list)

    def add(self, state: EpochState) -> None:
        """Log metrics and images of weights; logging them again has no effect."""
        self.history.append(state)
        epoch, tensors = state.epoch.number, state.tensors
        if epoch:
            metrics = {name: state.epoch.metrics[name] for name in METRICS}
            metrics["train/seconds"] = state.epoch.seconds
            self.run.log_metrics(metrics, step=epoch, time=state.time)
        interval = -(-self.epochs // MAX_IMAGES)  # rounded up
        if epoch in (0, self.epochs) or epoch % interval == 0:
            weights = tensors["layer_1.weight"]
            image = weight_images(weights, tensors, title=f"epoch {epoch}")
            self.run.log_image("weights/layer_1", image, step=epoch)

    def finish(
        self,
        folder: Path,
        network: Network,
        split: Split,
        metadata: Mapping[str, Any],
    ) -> tuple[str, dict[str, float]]:
        """Write and log the trained network, its detector, its scores and its history.

        Equal training runs write equal files, except for run.json (id and duration).

        Args:
            folder: An empty folder, to which the files are written.
            network: The trained network.
            split: The images of the training, to which the detector is fitted.
            metadata: The hyperparameters, and the sha256 of the data.

        Returns:
            The `tensors_sha256` of the network, and the content of metrics.json.
        """
        train, states = split.train, self.history[1:]
        train_score = score(network, train)
        detector = fit_detector(network, train.images, train.labels)
        # Two, so that the exported model accepts any number of images.
        example = np.resize(split.val.images[:2], (2, SIDE, SIDE))
        best = max(states, key=lambda state: state.epoch.metrics["val/accuracy"])
        single: dict[str, float] = {
            "val/best_accuracy": best.epoch.metrics["val/accuracy"],
            "val/best_epoch": best.epoch.number,
            **{f"train/final_{name}": train_score[name] for name in train_score},
        }
        # MLflow draws a single value as a labelled bar if its step is 0.
        self.run.log_metrics(single, step=0, time=self.history[-1].time)
        for state in self.history:
            statistics = tensor_statistics(state.tensors)
            self.run.log_metrics(statistics, step=state.epoch.number, time=state.time)
        sha256 = storage.save_model(folder / paths.MODEL_FILE, network, metadata)
        storage.save_detector(folder / paths.DETECTOR_FILE, detector, network=sha256)
        tensors = [state.tensors for state in self.history]
        storage.save_history(folder / paths.HISTORY_FILE, tensors, metadata)
        epochs = [state.epoch for state in states]
        rows = [{name: epoch.metrics[name] for name in METRICS} for epoch in epochs]
        table = [{"epoch": number, **row} for number, row in enumerate(rows, start=1)]
        files.write_csv(folder / paths.CURVES_FILE, table)
        learning_curves(rows).save(folder / "learning_curves.png")
        metrics = rows[-1] | single
        files.write_json(folder / paths.METRICS_FILE, metrics)
        seconds = round(sum(epoch.seconds for epoch in epochs), 3)
        run = {"run_id": self.run.id, "seconds": seconds}
        files.write_json(folder / paths.RUN_FILE, run)
        self.run.log_files("train", sorted(folder.iterdir()))
        self.run.log_model(network, to_pixels(example))
        self.run.set_tags({"weights.sha256": sha256})
        return sha256, metrics
