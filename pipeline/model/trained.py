"""A trained network and the files that its training wrote beside it.

`pipeline/training/trained.py` finds the network of a run or of the last training.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.model import ood
from pipeline.model.network import Network
from pipeline.model.storage import (
    Snapshot,
    load_model_with_metadata,
    read_tensors,
    snapshot,
)


@dataclass(frozen=True)
class TrainedModel:
    """A trained network, and what its files say about the training."""

    network: Network
    metadata: dict[str, Any]  # hyperparameters and data_sha256; {} if not recorded
    path: Path  # the network's file
    sha256: str  # of that file
    run_id: str | None  # the MLflow run of the training; None if not recorded

    @property
    def dataset(self) -> str:
        """The data set of the training; MNIST if that is not recorded."""
        return str(self.metadata.get("dataset", "mnist"))

    @property
    def prepared_as_mnist(self) -> bool:
        """Whether new images are preprocessed like MNIST's, unlike clothes."""
        return self.dataset != "fashion_mnist"

    @property
    def split(self) -> str:
        """The split of the data set in the training."""
        return str(self.metadata.get("split", "exercise"))

    @property
    def epochs(self) -> int:
        """The number of epochs; 0 if that is not recorded."""
        return int(self.metadata.get("epochs", 0))

    @property
    def detector_path(self) -> Path:
        """The file of the out-of-distribution detector, which may be missing."""
        return self.path.with_name("familiar.safetensors")

    @property
    def history_path(self) -> Path:
        """The file of the weight history, which may be missing."""
        return self.path.with_name("history.safetensors")

    @cached_property
    def detector(self) -> ood.OodDetector:
        """The detector that was fitted with this network; see `ood.load_detector`."""
        return ood.load_detector(self.detector_path, network=self.sha256)

    def history(self) -> Snapshot | None:
        """Read the tensors of all epochs, from 0, which are an additional first axis.

        Returns:
            The tensors by name; None if there is no history file.

        Raises:
            ValueError: If the file is damaged or ends with another network.
        """
        if not self.history_path.exists():
            return None
        history, _ = read_tensors(self.history_path)
        if not _ends_with(snapshot(self.network), history):
            path = self.history_path
            raise ValueError(f"{path} is not the history of the network beside it")
        return history


def _ends_with(network: Snapshot, history: Snapshot) -> bool:
    if history.keys() != network.keys():
        return False
    epochs = max(history["layer_1.bias"].shape[:1], default=0)
    return epochs > 0 and all(
        tensor.dtype == np.float32
        and tensor.shape == (epochs, *network[name].shape)
        and tensor[-1].tobytes() == network[name].tobytes()
        and np.isfinite(tensor).all()
        for name, tensor in history.items()
    )


def load_trained_model(path: Path) -> TrainedModel:
    """Read a network, and the id of its run from `run.json` beside it.

    Raises:
        FileNotFoundError: If there is no network at `path`.
        ValueError: If one of the two files is damaged.
    """
    network, metadata = load_model_with_metadata(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    run = path.with_name("run.json")
    try:
        run_id = json.loads(run.read_text())["run_id"] if run.is_file() else None
        if run_id is not None and not re.fullmatch("[0-9a-f]{32}", run_id):
            raise ValueError
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{run} is damaged: it has no valid run_id") from None
    return TrainedModel(network, metadata, path, sha256, run_id)
