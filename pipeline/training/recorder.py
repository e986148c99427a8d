"""Logs a training run: metrics and images after each epoch, everything else at the end.

`loop` trains; `finished` computes what is logged at the end.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline import paths
from pipeline.model.metrics import tensor_statistics
from pipeline.plots import weight_images
from pipeline.tracking import Run
from pipeline.training.checkpoints import EpochState
from pipeline.training.finished import METRICS, FinishedTraining

MAX_IMAGES = 20  # of the weights, in addition to the initial ones


@dataclass
class Recorder:
    """The history of a training run, which is also logged to its run."""

    run: Run
    epochs: int  # of the finished training run
    history: list[EpochState] = field(default_factory=list)

    def add(self, state: EpochState) -> None:
        """Log metrics and images of weights; logging them again has no effect."""
        self.history.append(state)
        log_epoch(self.run, state)
        log_weights(self.run, state, self.epochs)


def log_epoch(run: Run, state: EpochState) -> None:
    """Log the metrics of an epoch; epoch 0, before the training, has none."""
    if state.epoch.number:
        metrics = {name: state.epoch.metrics[name] for name in METRICS}
        metrics["train/seconds"] = state.epoch.seconds
        run.log_metrics(metrics, step=state.epoch.number, time=state.time)


def log_weights(run: Run, state: EpochState, epochs: int) -> None:
    """Log an image of the weights of layer 1, but not more than `MAX_IMAGES`."""
    epoch, tensors = state.epoch.number, state.tensors
    interval = -(-epochs // MAX_IMAGES)  # rounded up
    if epoch in (0, epochs) or epoch % interval == 0:
        weights = tensors["layer_1.weight"]
        image = weight_images(weights, tensors, title=f"epoch {epoch}")
        run.log_image("weights/layer_1", image, step=epoch)


def log_finished(
    run: Run, finished: FinishedTraining, folder: Path, *, sha256: str
) -> None:
    """Log what is known at the end: scores, statistics of the tensors, files, model.

    Args:
        run: The run, which has the metrics of the epochs.
        finished: The training.
        folder: Its files.
        sha256: The `tensors_sha256` of the network.
    """
    # MLflow draws a single value as a labelled bar if its step is 0.
    run.log_metrics(finished.summary(), step=0, time=finished.states[-1].time)
    for state in finished.states:
        statistics = tensor_statistics(state.tensors)
        run.log_metrics(statistics, step=state.epoch.number, time=state.time)
    run.log_files("train", sorted(folder.iterdir()))
    run.log_model(folder / paths.MODEL_FILE)
    run.set_tags({"weights.sha256": sha256})
