"""The data of a training run, which the process that trains submits to its run.

The functions of `log`, which get the data, run in the process that records the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.base import files
from pipeline.base.metric_names import FINAL_ACCURACY, VAL_ACCURACY, ordered
from pipeline.base.params import params_of
from pipeline.base.tags import DATA_TAG, FINGERPRINT_TAG, KIND_TAG, Kind
from pipeline.base.text import counted
from pipeline.core.dataset import DataFile
from pipeline.core.fingerprint import code_hashes
from pipeline.model.program import export_network
from pipeline.tracking import EpochPoint, OpenRun, RecordedRun
from pipeline.training.log import (
    log_inputs,
    log_model,
    log_result,
)
from pipeline.training.training_run import TrainingRun


@dataclass(frozen=True)
class TrainingInputs:
    """The data and settings of a training run, which its run records at the start."""

    data: DataFile  # with the hash that the file had when it was read
    values: Mapping[str, Any]  # all settings, by key
    options: Mapping[str, str]  # the options of config groups
    fingerprint: str

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
            DATA_TAG: self.data.sha256,
            FINGERPRINT_TAG: self.fingerprint,
        }

    def submit(
        self, run: OpenRun, *, plots: bool, reused: RecordedRun | None = None
    ) -> None:
        """Submit the data, the settings and the code; see `log_inputs`."""
        run.submit(
            log_inputs,
            self.data,
            files.as_yaml(self.values),
            code_hashes(),
            plots=plots,
            reused=reused,
        )


def submit_result(run: OpenRun, training: TrainingRun) -> None:
    """Submit the scores of a finished training run."""
    run.submit(
        log_result,
        _describe(training),
        training.final_metrics,
        time=training.last.time,
        sha256=training.weights_sha256,
    )


def _describe(training: TrainingRun) -> str:
    """Return the description of the run of a training run, in Markdown."""
    network, settings = training.network, training.hyperparameters
    accuracy = training.metrics[VAL_ACCURACY]
    final = training.metrics[FINAL_ACCURACY]
    epochs = counted(training.last.number, "epoch")
    sizes = network.sizes.replace("->", "→")
    best, epoch = training.best
    return (
        f"A {sizes} network with {network.parameter_count:,} parameters, trained on "
        f"{training.metadata.dataset} for {epochs}. It classifies "
        f"**{final:.2%}** of the training images and "
        f"**{accuracy:.2%}** of the validation images "
        f"correctly (split={settings.split}). The highest validation accuracy was "
        f"{best:.2%}, after epoch {epoch}."
    )


def submit_model(run: OpenRun, training: TrainingRun, path: Path) -> None:
    """Export the network in a file, and submit it as a model."""
    last = training.last
    metrics = [
        EpochPoint(0, last.time, training.final_metrics),
        EpochPoint(last.number, last.time, ordered(last.metrics)),
    ]
    with TemporaryDirectory() as folder:
        exported = Path(folder, "model.pt2")
        export_network(path, exported, hidden=training.hyperparameters.hidden)
        run.submit(
            log_model,
            path,
            exported,
            metrics,
            (training.metadata.dataset, training.metadata.data_sha256),
        )
        run.wait()  # the recording process reads `exported` before it is removed
