"""Logs a training run: the inputs, each epoch, and the results at the end.

`OpenRun.submit` calls these functions in the process that records the run. For `train`,
this is a helper process, which does not need PyTorch. Therefore, this module does not
import PyTorch.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pipeline import datasets
from pipeline.base import files
from pipeline.base.metric_names import SECONDS, ordered
from pipeline.base.paths import DIFF_FILE, HISTORY_FILE, TRAINING_FOLDER
from pipeline.base.tags import REPRODUCED_TAG, WEIGHTS_TAG
from pipeline.base.text import command_line
from pipeline.core.dataset import DataFile
from pipeline.core.epoch import Epoch
from pipeline.plots import weight_images
from pipeline.tracking import EpochPoint, RecordedRun, Run, provenance

MAX_IMAGES = 10  # epochs with images and statistics of the weights, besides epoch 0
# A folder of data and a file in the artifacts of a run, which a reproduction reads.
DATA_FOLDER, CODE_FILE = "data", "code.json"


def log_inputs(
    run: Run,
    data: DataFile,
    settings: str,
    code: Mapping[str, str],
    *,
    plots: bool,
    reused: RecordedRun | None = None,
) -> None:
    """Log what determines a training run.

    Args:
        run: The run.
        data: The file of the data set, with the hash that the file had when it was
            read.
        settings: The settings as YAML.
        code: The `code_hashes` of the process that trains.
        plots: Whether to log the plots of the data set, which take 100 KB.
        reused: The recorded run whose results are reused, with its packages and code.

    Raises:
        UserError: If the file of the data set was replaced since it was read.
    """
    summary = datasets.summary(data.path)
    data.check(summary.sha256)
    run.log_dataset(
        data.name,
        sha256=data.sha256,
        source=str(data.path),
        counts={"train": summary.train.images, "test": summary.test.images},
        use="training",
    )
    beside = datasets.files_beside(data.path)
    plotted = [beside.samples, beside.means] if plots else []
    run.log_files(DATA_FOLDER, [beside.summary, *plotted])
    run.log_text("config.yaml", settings)
    run.log_text(CODE_FILE, files.as_json(code))
    if reused is None:
        run.log_text("packages.txt", provenance.packages())
        return
    recorded = (reused.artifacts / name for name in ("packages.txt", DIFF_FILE))
    run.log_files("", [path for path in recorded if path.exists()])


def with_shown_tensors(epochs: Iterable[Epoch], total: int) -> list[Epoch]:
    """Return epochs, with tensors only if a run shows the weights after this epoch.

    `total` is the planned number of epochs, or the number in a finished training run.
    """
    interval = math.ceil(total / MAX_IMAGES)
    return [
        epoch
        if epoch.number in (0, total) or epoch.number % interval == 0
        else replace(epoch, tensors={})
        for epoch in epochs
    ]


def log_epochs(run: Run, epochs: Sequence[Epoch]) -> None:
    """Log the metrics of epochs; epoch 0, before training, has no metrics.

    For an epoch with tensors, the function also logs statistics of the tensors and an
    image of the weights of layer 1. Logging an epoch again has no effect.

    MLflow lists the names of the metrics in the order in which they are first logged.
    Therefore, the statistics are last, and epoch 0 is logged together with epoch 1.
    """
    metrics = [
        EpochPoint(
            each.number, each.time, ordered(each.metrics) | {SECONDS: each.seconds}
        )
        for each in epochs
        if each.number
    ]
    statistics = [
        EpochPoint(each.number, each.time, tensor_statistics(each.tensors))
        for each in epochs
        if each.tensors
    ]
    run.log_points([*metrics, *statistics])
    for each in epochs:
        if each.tensors:
            weights = each.tensors["layer_1.weight"]
            image = weight_images(weights, each.tensors, title=f"epoch {each.number}")
            run.log_image("weights/layer_1", image, step=each.number)


def log_files(run: Run, paths: Sequence[Path]) -> None:
    """Log the files that `TrainingRun.write` wrote."""
    run.log_files(TRAINING_FOLDER, paths)


def log_result(
    run: Run,
    description: str,
    final_metrics: Mapping[str, float],
    *,
    time: int,
    sha256: str,
) -> None:
    """Log the scores and the hash of the trained network, and a description.

    Args:
        run: The run.
        description: The text of the description, without links.
        final_metrics: See `TrainingRun.final_metrics`.
        time: The end of the last epoch, in milliseconds since 1970.
        sha256: See `TrainingRun.weights_sha256`.
    """
    # MLflow draws a single value as a labeled bar if its step is 0.
    run.log_metrics(final_metrics, step=0, time=time)
    run.set_tags({WEIGHTS_TAG: sha256})
    command = command_line("inspect", run=str(run.run_id)[:8])
    links = {
        "page": f"interactive page: run `{command}`",
        "curves": run.link("learning curves", "model-metrics"),
        "history": run.link(
            HISTORY_FILE, f"artifacts/{TRAINING_FOLDER}/{HISTORY_FILE}"
        ),
    }
    run.describe(description, links)


def log_model(
    run: Run,
    network_path: Path,
    exported: Path,
    metrics: Sequence[EpochPoint],
    dataset: tuple[str, str],
) -> None:
    """Log the model, with a program for `mlflow.pytorch.load_model`.

    In a sweep, only the best network gets a model. `log_epochs` has logged the images
    of its weights.
    """
    run.log_model(network_path, exported, metrics, dataset)
    title = "learning curves and images of the weights"
    run.add_links({"curves": run.link(title, "model-metrics")})


def log_comparison(run: Run, is_equal: bool) -> None:
    """Log whether a reproduction has the weights of its original."""
    run.set_tags({REPRODUCED_TAG: str(is_equal).lower()})


def tensor_statistics(
    tensors: Mapping[str, Float[np.ndarray, "..."]],
) -> dict[str, float]:
    """Return Euclidean norm, minimum, maximum and fraction of zeros of each tensor."""
    return {
        f"weights/{name}/{statistic}": float(value)
        for name, tensor in tensors.items()
        for statistic, value in (
            ("norm", np.linalg.norm(tensor)),
            ("min", tensor.min()),
            ("max", tensor.max()),
            ("zeros", np.mean(tensor == 0)),
        )
    }
