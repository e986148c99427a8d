"""Records a training run: the inputs, each epoch, and the results at the end.

`run.record` calls a function `log_...` in the recorder. For `train`, this is the
recording process, which does not need PyTorch. Therefore, this module does not import
PyTorch. All other functions run in the process that trains, or in both.
`record_<name>` computes the arguments of `log_<name>`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from pipeline import datasets
from pipeline.base import files
from pipeline.base.text import command_line, short_id
from pipeline.core.dataset import DataFile
from pipeline.core.epoch import Epoch
from pipeline.plots import weight_images
from pipeline.records.file_names import (
    CODE_FILE,
    DATA_FOLDER,
    DIFF_FILE,
    HISTORY_FILE,
    PACKAGES_FILE,
    SETTINGS_FILE,
    TRAINING_FOLDER,
)
from pipeline.records.metric_names import SECONDS, ordered
from pipeline.records.params import params_of
from pipeline.records.software import CORE
from pipeline.records.tags import (
    DATA_TAG,
    FINGERPRINT_TAG,
    KIND_TAG,
    REPRODUCED_TAG,
    WEIGHTS_TAG,
    Kind,
)
from pipeline.tracking import (
    ModelData,
    OpenRun,
    RecordedRun,
    StepMetrics,
    provenance,
)

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun
    from pipeline.training.training_run import TrainingRun

MAX_SHOWN_EPOCHS = 10  # with images and statistics of the weights, besides epoch 0
FINAL_STEP = 0  # MLflow draws a single value as a labeled bar if its step is 0


@dataclass(frozen=True)
class TrainingInputs:
    """The data and settings of a training run, which its run records at the start."""

    data_file: DataFile  # with the hash that the file had when it was read
    values: Mapping[str, Any]  # all settings, by key
    options: Mapping[str, str]  # the options of config groups
    fingerprint: str

    def __post_init__(self) -> None:
        """Check that the data set has one name: the setting can be a folder."""
        assert self.values["dataset"] == self.data_file.name, self.values["dataset"]

    @property
    def params(self) -> dict[str, Any]:
        """The params of the run."""
        return params_of(self.values, self.options)

    @property
    def tags(self) -> dict[str, str]:
        """The tags that identify the training run, and the tags of the options."""
        return {
            **self.options,
            KIND_TAG: Kind.TRAINING,
            DATA_TAG: self.data_file.sha256,
            FINGERPRINT_TAG: self.fingerprint,
        }


def record_inputs(
    run: OpenRun,
    inputs: TrainingInputs,
    *,
    plots: bool,
    reused: RecordedRun | None = None,
) -> None:
    """Record the data, the settings and the code of a training run."""
    settings = files.as_yaml(inputs.values)
    run.record(
        log_inputs,
        inputs.data_file,
        settings,
        CORE.hashes,
        plots=plots,
        reused=reused,
    )


def log_inputs(
    run: "MlflowRun",
    data_file: DataFile,
    settings: str,
    code: Mapping[str, str],
    *,
    plots: bool,
    reused: RecordedRun | None = None,
) -> None:
    """Log what determines a training run.

    Args:
        run: The run.
        data_file: The file of the data set, with the hash that the file had when it
            was read.
        settings: The settings as YAML.
        code: The hash of each module of `core`, in the process that trains.
        plots: Whether to log the plots of the data set, which take 100 KB.
        reused: The recorded run whose results are reused, with its packages and code.

    Raises:
        UserError: If the file of the data set was replaced since it was read.
    """
    summary = datasets.read_summary(data_file.path)
    data_file.check(summary.sha256)
    run.log_dataset(
        data_file.name,
        sha256=data_file.sha256,
        source=str(data_file.path),
        counts={"train": summary.train.images, "test": summary.test.images},
        use="training",
    )
    paths = datasets.companion_files(data_file.path)
    plotted = [paths.samples, paths.means] if plots else []
    run.log_files(DATA_FOLDER, [paths.summary, *plotted])
    run.log_text(SETTINGS_FILE, settings)
    run.log_text(CODE_FILE, files.as_json(code))
    if reused is None:
        run.log_text(PACKAGES_FILE, provenance.packages())
        return
    recorded = (reused.artifacts / name for name in (PACKAGES_FILE, DIFF_FILE))
    run.log_files("", [path for path in recorded if path.exists()])


def record_epochs(run: OpenRun, epochs: Sequence[Epoch], total: int) -> None:
    """Record epochs of a training run; see `shown_epochs`."""
    run.record(log_epochs, metrics_of(epochs), shown_epochs(epochs, total))


def metrics_of(epochs: Iterable[Epoch]) -> list[StepMetrics]:
    """Return the metrics of epochs; epoch 0, before training, has no metrics."""
    return [
        StepMetrics(
            each.number, each.time, ordered(each.metrics) | {SECONDS: each.seconds}
        )
        for each in epochs
        if each.number
    ]


def shown_epochs(epochs: Iterable[Epoch], total: int) -> list[Epoch]:
    """Return the epochs whose weights a run shows.

    `total` is the planned number of epochs, or the number in a finished training run.
    """
    interval = math.ceil(total / MAX_SHOWN_EPOCHS)
    return [
        epoch
        for epoch in epochs
        if epoch.number in (0, total) or epoch.number % interval == 0
    ]


def log_epochs(
    run: "MlflowRun", metrics: Sequence[StepMetrics], shown: Sequence[Epoch]
) -> None:
    """Log the metrics of epochs, and the weights of those that are shown.

    The weights are logged as statistics of all tensors, and as an image of the weights
    of layer 1. Logging an epoch again has no effect.

    MLflow lists the names of the metrics in the order in which they are first logged.
    Therefore, the statistics are last, and epoch 0 is logged together with epoch 1.
    """
    statistics = [
        StepMetrics(each.number, each.time, tensor_statistics(each.tensors))
        for each in shown
    ]
    run.log_points([*metrics, *statistics])
    for each in shown:
        weights = each.tensors["layer_1.weight"]
        # MLflow shows the first image, which is noise, until the slider is moved.
        title = f"epoch {each.number}" if each.number else "epoch 0: move the slider"
        image = weight_images(weights, each.tensors, title=title)
        run.log_image("weights/layer_1", image, step=each.number)


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


def record_result(run: OpenRun, training: "TrainingRun") -> None:
    """Record the scores of a finished training run."""
    run.record(
        log_result,
        training.description_text,
        training.final_metrics,
        time=training.last.time,
        sha256=training.trained.weights_sha256,
    )


def log_result(
    run: "MlflowRun",
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
        sha256: See `TrainedNetwork.weights_sha256`.
    """
    run.log_metrics(final_metrics, step=FINAL_STEP, time=time)
    run.set_tags({WEIGHTS_TAG: sha256})
    command = command_line("inspect", run=short_id(run.run_id))
    links = {
        "page": f"interactive page: run `{command}`",
        "curves": run.link("learning curves", "model-metrics"),
        "history": run.link(
            HISTORY_FILE, f"artifacts/{TRAINING_FOLDER}/{HISTORY_FILE}"
        ),
    }
    run.describe(description, links)


def log_files(run: "MlflowRun", paths: Sequence[Path]) -> None:
    """Log the files that `write_training_run` wrote."""
    run.log_files(TRAINING_FOLDER, paths)


def record_model(run: OpenRun, training: "TrainingRun", path: Path) -> None:
    """Export the network in a file, and record it as a model."""
    with exported_model(run, training, path) as model:
        run.record(log_model, model)


@contextmanager
def exported_model(
    run: OpenRun, training: "TrainingRun", path: Path
) -> Iterator[ModelData]:
    """Export the network in a file, and yield the data of its model.

    The program is removed when the run has recorded the model.
    """
    from pipeline.training.program import export_network  # imports PyTorch

    last, metadata = training.last, training.metadata
    metrics = [
        StepMetrics(FINAL_STEP, last.time, training.final_metrics),
        StepMetrics(last.number, last.time, ordered(last.metrics)),
    ]
    with TemporaryDirectory() as folder:
        exported = Path(folder, "model.pt2")
        export_network(path, exported, hidden=training.hyperparameters.hidden)
        yield ModelData(path, exported, metrics, metadata.dataset, metadata.data_sha256)
        run.wait()


def log_model(run: "MlflowRun", model: ModelData) -> None:
    """Log the model, with a program for `mlflow.pytorch.load_model`.

    In a sweep, only the best network gets a model. `log_epochs` has logged the images
    of its weights.
    """
    run.log_model(model)
    title = "learning curves and images of the weights"
    run.add_links({"curves": run.link(title, "model-metrics")})


def log_comparison(run: "MlflowRun", is_equal: bool) -> None:
    """Log whether a reproduction has the weights of its original."""
    run.set_tags({REPRODUCED_TAG: str(is_equal).lower()})
