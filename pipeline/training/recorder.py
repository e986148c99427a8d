"""Logs a training run: metrics and images after each epoch, everything else at the end.

`loop` trains; `finished` computes what is logged at the end.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Concatenate, ParamSpec

from pipeline import datasets, paths
from pipeline.model import parameter_count
from pipeline.model.export import export_network
from pipeline.model.metrics import tensor_statistics
from pipeline.plots import weight_images
from pipeline.tracking import Run, provenance, sources
from pipeline.training.finished import METRICS, FinishedTraining
from pipeline.training.loop import Epoch

Arguments = ParamSpec("Arguments")

MAX_IMAGES = 20  # of the weights, in addition to the initial ones


class Recorder:
    """Logs to a run, in a thread and in the order of the calls.

    An epoch is logged while the next one is trained. This takes 40 ms, of which this
    process computes 8 ms; the process of `tracking.recording` does the rest.
    """

    def __init__(self, run: Run, thread: ThreadPoolExecutor) -> None:
        """Use an executor with one thread; `open` starts and ends it."""
        self._run, self._thread = run, thread
        self._unchecked: list[Future[None]] = []

    @classmethod
    @contextmanager
    def open(cls, run: Run) -> "Iterator[Recorder]":
        """Open a recorder; when the block ends, everything is logged."""
        with ThreadPoolExecutor(1) as thread:
            recorder = cls(run, thread)
            yield recorder
            recorder._check(wait=True)

    def log(
        self,
        function: Callable[Concatenate[Run, Arguments], None],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> None:
        """Call a function that logs data to the run.

        Raises:
            OSError, UserError: If the run was not opened, or earlier data not logged.
        """
        self._check(wait=False)
        self._unchecked.append(
            self._thread.submit(function, self._run, *arguments, **options)
        )

    def _check(self, *, wait: bool) -> None:
        """Raise the error of an earlier call that could not log its data."""
        while self._unchecked and (wait or self._unchecked[0].done()):
            self._unchecked.pop(0).result()


def log_epoch(run: Run, epoch: Epoch, epochs: int) -> None:
    """Log metrics and an image of the weights; logging them again has no effect."""
    log_epochs(run, [epoch])
    log_weights(run, epoch, epochs)


def log_inputs(run: Run, data: Path, settings: str, *, plots: bool) -> None:
    """Log what determines a training: data, settings (as YAML), code and packages.

    The plots of the data set take 100 KB.
    """
    summary = datasets.summary(data)
    run.log_dataset(
        data.stem,
        sha256=summary["sha256"],
        source=str(data),
        counts={part: summary[part]["images"] for part in ("train", "test")},
        use="training",
    )
    companions = datasets.companion_files(data)
    run.log_files("data", companions if plots else companions[:1])
    run.log_text("config.yaml", settings)
    run.log_text("code.json", json.dumps(sources.training_hashes(), indent=1))
    run.log_text("packages.txt", provenance.packages())


def log_epochs(run: Run, epochs: Sequence[Epoch]) -> None:
    """Log the metrics of epochs; epoch 0, before the training, has none."""
    run.log_history(
        [
            (
                epoch.number,
                epoch.time,
                {name: epoch.metrics[name] for name in METRICS}
                | {"train/seconds": epoch.seconds},
            )
            for epoch in epochs
            if epoch.number
        ]
    )


def log_weights(run: Run, epoch: Epoch, epochs: int) -> None:
    """Log an image of the weights of layer 1, but not more than `MAX_IMAGES`."""
    number, tensors = epoch.number, epoch.tensors
    interval = math.ceil(epochs / MAX_IMAGES)
    if number in (0, epochs) or number % interval == 0:
        weights = tensors["layer_1.weight"]
        image = weight_images(weights, tensors, title=f"epoch {number}")
        run.log_image("weights/layer_1", image, step=number)


def log_scores(run: Run, finished: FinishedTraining, *, sha256: str) -> None:
    """Log the scores of the trained network, and the `tensors_sha256` as a tag."""
    # MLflow draws a single value as a labelled bar if its step is 0.
    last = finished.epochs[-1].time
    run.log_metrics(finished.summary(), step=0, time=last)
    run.set_tags({"weights.sha256": sha256})


def log_details(
    run: Run,
    finished: FinishedTraining,
    folder: Path,
    settings: Mapping[str, Any],
    *,
    dataset: str,
) -> None:
    """Log what a single training run has, and in a sweep only the best network.

    This is the statistics of each tensor after each epoch, and the model with a program
    for `mlflow.pytorch.load_model`. The run has the scores and the images of the
    weights already; `folder` has the files of the training.
    """
    if run.id is None:
        return
    with TemporaryDirectory() as temporary:
        network, exported = folder / paths.MODEL_FILE, Path(temporary, "model.pt2")
        export_network(network, exported, hidden=settings["hidden"])
        run.log_model(network, exported)
    run.log_history(
        [
            (epoch.number, epoch.time, tensor_statistics(epoch.tensors))
            for epoch in finished.epochs
        ]
    )
    metrics = finished.metrics()
    describe_training(run, settings, metrics, dataset=dataset, images=True)


def describe_training(
    run: Run,
    settings: Mapping[str, Any],
    metrics: Mapping[str, float],
    *,
    dataset: str,
    images: bool,
) -> None:
    """Set the description of a run.

    `settings` are the hyperparameters, `metrics` the content of metrics.json, and
    `images` is whether the run has images of the weights.
    """
    hidden, epochs = settings["hidden"], settings["epochs"]
    duration = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    curves = run.link("Model metrics", "model-metrics")
    slider = run.link("images, with a slider for the epoch", "model-metrics")
    history = run.link("history.csv", "artifacts/train/history.csv")
    run.describe(
        f"A network 784 → {hidden} → 10 with {parameter_count(hidden):,} "
        f"parameters, trained on {dataset} for {duration}. It classifies "
        f"**{metrics['train/final_accuracy']:.2%}** of the training images and "
        f"**{metrics['val/accuracy']:.2%}** of the validation images correctly "
        f"(split={settings['split']}; {best_epoch(metrics)}).",
        {
            "Interactive page": "to create it, run "
            f"`python -m pipeline.inspect run={str(run.id)[:8]}`",
            "Learning curves": f"{curves}, {history}",
            **({"Weights of layer 1": slider} if images else {}),
        },
    )


def best_epoch(metrics: Mapping[str, float]) -> str:
    """Describe the epoch with the highest validation accuracy."""
    best, epoch = metrics["val/best_accuracy"], metrics["val/best_epoch"]
    return f"best: {best:.2%} after epoch {epoch:.0f}"
