"""A trained network with the files that its training wrote beside it.

`pipeline/training/trained.py` finds the file for a run or for the last training.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

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
    path: Path  # the network's file; its companion files are in the same folder
    sha256: str  # of the network's file
    run_id: str | None  # the MLflow run that trained the network, if recorded

    @property
    def dataset(self) -> str:
        """The data set of the training; MNIST if that is not recorded."""
        return str(self.metadata.get("dataset", "mnist"))

    @property
    def prepared_as_mnist(self) -> bool:
        """Whether new images are preprocessed as MNIST's were: not for clothes."""
        return self.dataset != "fashion_mnist"

    @property
    def split(self) -> str:
        """The split of the data set in the training."""
        return str(self.metadata.get("split", "exercise"))

    @property
    def epochs(self) -> int:
        """The number of epochs of the training; 0 if that is not recorded."""
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
        """The out-of-distribution detector that was fitted with this network.

        Raises:
            FileNotFoundError: If its file is missing.
            ValueError: If its file is damaged or belongs to another network.
        """
        return ood.load_detector(self.detector_path, network=self.sha256)

    def history(self) -> Snapshot | None:
        """Read the parameters before training and after every epoch.

        Returns:
            Each tensor with the epochs, from 0, as an additional first axis; None if
            there is no history file.

        Raises:
            ValueError: If the file is damaged or ends with another network.
        """
        path = self.history_path
        if not path.exists():
            return None
        try:
            tensors, _ = read_tensors(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise ValueError(f"{path} is not a safetensors file: {error}") from None
        if not _is_history_of(snapshot(self.network), tensors):
            raise ValueError(f"{path} is not the history of the network beside it")
        return tensors


def load_trained_model(path: Path) -> TrainedModel:
    """Read a network, and the id of its run from `run.json` beside it.

    Raises:
        FileNotFoundError: If there is no network at `path`.
        ValueError: If one of the two files is damaged.
    """
    network, metadata = load_model_with_metadata(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    run_id = _read_run_id(path.with_name("run.json"))
    return TrainedModel(network, metadata, path, sha256, run_id)


def _read_run_id(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        run_id: str | None = json.loads(path.read_text())["run_id"]
        if run_id is not None and not re.fullmatch("[0-9a-f]{32}", run_id):
            raise ValueError
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path} is damaged: it has no valid run_id") from None
    return run_id


def _is_history_of(network: Snapshot, history: Snapshot) -> bool:
    """Check names, shapes and values, and that the last epoch is the network."""
    lengths = {tensor.shape[:1] for tensor in history.values()}
    return (
        history.keys() == network.keys()
        and len(lengths) == 1
        and not {(), (0,)} & lengths
        and all(
            tensor.dtype == np.float32
            and tensor.shape[1:] == network[name].shape
            and tensor[-1].tobytes() == network[name].tobytes()
            and bool(np.isfinite(tensor).all())
            for name, tensor in history.items()
        )
    )
