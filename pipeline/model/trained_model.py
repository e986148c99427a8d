"""A trained network together with the files in its folder.

`storage` and `records` read the files.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.model.components import load_components
from pipeline.model.network import Network
from pipeline.model.ood import OodDetector
from pipeline.model.records import read_curves, read_run_file
from pipeline.model.storage import (
    Snapshot,
    load_history,
    load_network,
    snapshot,
    tensors_sha256,
)
from pipeline.paths import CURVES_FILE, HISTORY_FILE, RUN_FILE


@dataclass(frozen=True)
class TrainedModel:
    """A trained network, and the metadata of its training."""

    network: Network
    metadata: dict[str, Any]  # of its file; see FinishedTraining.write
    path: Path  # the network's file
    sha256: str  # `tensors_sha256` of the network
    run_id: str | None  # the MLflow run of the training; None if not recorded

    @property
    def dataset(self) -> str:
        """The data set of the training (see `datasets.spec`); by default MNIST."""
        return str(self.metadata.get("dataset", "mnist"))

    @property
    def split(self) -> str:
        """How the data set was split in the training."""
        return str(self.metadata.get("split", "exercise"))

    @property
    def epochs(self) -> int:
        """The number of epochs; 0 if that is not recorded."""
        return int(self.metadata.get("epochs", 0))

    @property
    def history_path(self) -> Path:
        """The file of the weight history, which may be missing."""
        return self.path.with_name(HISTORY_FILE)

    @cached_property
    def detector(self) -> OodDetector | None:
        """The out-of-distribution detector; None if its training data are missing.

        Raises:
            UserError: If the file of its components is damaged.
        """
        if "min_margin" not in self.metadata:
            return None
        sha256 = str(self.metadata.get("data_sha256"))
        components = load_components(sha256, self.split)
        margin = self.metadata["min_margin"]
        return components and replace(components, min_margin=margin)

    def missing_detector(self) -> str:
        """Return why there is no detector, and the remedy."""
        if "min_margin" not in self.metadata:
            return f"{self.path} does not record its training"
        command = f"python -m pipeline.data dataset={self.dataset}"
        return f"its training images are missing ({command} prepares them)"

    @cached_property
    def history(self) -> Snapshot | None:
        """The tensors of all epochs, from 0, stacked along a first axis, by name.

        It is None if there is no history file.

        Raises:
            UserError: If the file is damaged or its last epoch is another network.
        """
        if not self.history_path.exists():
            return None
        return load_history(self.history_path, network=self.network)

    @cached_property
    def curves(self) -> dict[str, list[float]]:
        """The metrics after each epoch, by name; {} if they have no file.

        Raises:
            OSError: If the file cannot be read.
            UserError: If it is damaged or has a different number of epochs.
        """
        path = self.path.with_name(CURVES_FILE)
        return read_curves(path, epochs=self.epochs) if path.is_file() else {}

    def with_history_read(self) -> "TrainedModel":
        """Read the files beside it now, before another training replaces them.

        They take 2 ms with 20 hidden neurons and 40 ms with 1,000.

        Raises:
            OSError: If one of the files cannot be read.
            UserError: If it is damaged or belongs to another network.
        """
        _ = self.history, self.curves
        return self


def load_trained_model(path: Path) -> TrainedModel:
    """Read a network, and the id of its run from `run.json` beside it.

    Raises:
        FileNotFoundError: If there is no network at `path`.
        UserError: If one of the two files is damaged.
    """
    network, metadata = load_network(path)
    run = path.with_name(RUN_FILE)
    run_id = read_run_file(run).run_id if run.is_file() else None
    sha256 = tensors_sha256(snapshot(network))
    return TrainedModel(network, metadata, path, sha256, run_id)
