"""A trained network, and its file in the folder of a training run or elsewhere.

`history_files` reads the weights and metrics by epoch in the same folder.
`training/training_files.py` writes and reads the whole folder of a training run.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from pipeline import UserError, datasets
from pipeline.base.tensors import tensors_sha256
from pipeline.base.text import short_repr
from pipeline.core import PIXELS
from pipeline.core.dataset import Dataset
from pipeline.core.hyperparameters import SplitName
from pipeline.core.network import Dense, Network, snapshot
from pipeline.model.storage import Metadata, load_network
from pipeline.records.file_names import RUN_FILE
from pipeline.records.run_files import RESTORE, read_run_file
from pipeline.records.tags import WEIGHTS_TAG
from pipeline.tracking import RecordedRun

# If a file records nothing, it is assumed to contain the network of the Keras course.
KERAS_DATASET = "mnist"
KERAS_SPLIT: SplitName = "exercise"


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network and its metadata: a `NetworkFile`, or part of a `TrainingRun`."""

    network: Network
    metadata: Metadata | None  # None if another program wrote the file

    @cached_property
    def weights_sha256(self) -> str:
        """The `tensors_sha256` of the network."""
        return tensors_sha256(snapshot(self.network))

    @property
    def dataset(self) -> str:
        """The name of the data set; if it is not recorded, `KERAS_DATASET`."""
        return self.metadata.dataset if self.metadata else KERAS_DATASET

    @property
    def data_sha256(self) -> str | None:
        """The hash of the file of the data set; None if it is not recorded."""
        return self.metadata.data_sha256 if self.metadata else None

    @property
    def spec(self) -> datasets.DatasetSpec:
        """The registry entry of the data set: words for images, and preprocessing.

        The entry has the recorded name. The loaded data set, which is found by its
        hash, can have a different name on this machine.
        """
        return datasets.spec(self.dataset)

    @property
    def split(self) -> SplitName:
        """The split of the data set; if it is not recorded, `KERAS_SPLIT`."""
        return self.metadata.hyperparameters.split if self.metadata else KERAS_SPLIT

    @property
    def params(self) -> dict[str, Any]:
        """The params of the training run; {} if they are not recorded."""
        return self.metadata.params if self.metadata else {}

    def images_with_ink(self, dataset: Dataset) -> Int[np.ndarray, "784"]:
        """Return the number of images of the run in which each pixel is above 0.

        If a pixel is 0 in all of these images, training cannot change its weights.
        With split=holdout, `dataset` has more training images than the run used.
        """
        train = dataset.split(self.split).train
        return np.asarray(np.count_nonzero(train.images, axis=0).ravel())

    def always_zero(self, dataset: Dataset) -> Bool[np.ndarray, "784"]:
        """Return which pixels are 0 in all images of the training run."""
        return np.asarray(self.images_with_ink(dataset) == 0)


@dataclass(frozen=True, eq=False)
class NetworkFile(TrainedNetwork):
    """The file of a trained network."""

    path: Path
    # The ID in run.json. `reopen_run` uses this run if it has the same weights.
    run_id: str | None

    def __repr__(self) -> str:
        """Return a short description, for a notebook."""
        known = {"dataset": self.dataset, "run_id": self.run_id, "path": self.path}
        return short_repr(self, network=describe_layers(self.network), **known)

    def require_two_layers(self) -> "NetworkFile":
        """Return this object if its network has two layers, for `inspect` and `export`.

        Raises:
            UserError: If `core` was changed, so that networks have another layer.
        """
        if (layers := len(_dense_layers(self.network))) != 2:
            described = describe_layers(self.network)
            raise UserError(
                f"{self.path} has {layers} layers ({described}): inspect and export "
                "work only with two layers"
            )
        return self


def describe_layers(network: Network) -> str:
    """Return the numbers of pixels and of neurons in each layer: 784 -> 20 -> 10."""
    sizes = [PIXELS, *(layer.out_features for layer in _dense_layers(network))]
    return " -> ".join(map(str, sizes))


def _dense_layers(network: Network) -> list[Dense]:
    return [layer for layer in network.children() if isinstance(layer, Dense)]


def load_trained_network(path: Path) -> NetworkFile:
    """Read a network, and the ID of its run from `run.json` in the same folder.

    Raises:
        UserError: If there is no network at `path`, or a file is damaged.
    """
    network, metadata = load_network(path)
    run_file = path.with_name(RUN_FILE)
    run_id = read_run_file(run_file).run_id if run_file.exists() else None
    return NetworkFile(network, metadata, path, run_id)


def load_recorded_network(run: RecordedRun) -> NetworkFile:
    """Read the network of a recorded training run.

    Raises:
        UserError: If the network is missing or damaged, or is not the network whose
            hash the run recorded.
    """
    trained = load_trained_network(run.network_path)
    recorded = run.tags.get(WEIGHTS_TAG)
    if trained.weights_sha256 != recorded:
        raise UserError(
            f"{trained.path} must have the weights that run {run.label} recorded, with "
            f"{WEIGHTS_TAG} {recorded}, got {trained.weights_sha256}: {RESTORE}"
        )
    return trained
