"""Finds the network that a command uses, its training data and its detector.

The functions `load_...` of this package read given files. `select_network` first finds
the file that the settings of a command select.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

from pipeline import UserError, datasets
from pipeline.base import files
from pipeline.base.paths import results_dir, user_path
from pipeline.base.text import command_line
from pipeline.core.dataset import Dataset
from pipeline.model.ood import Detector, MissingDetector, OodDetector
from pipeline.model.trained_network import (
    NetworkFile,
    TrainedNetwork,
    load_recorded_network,
    load_trained_network,
)
from pipeline.records.file_names import NETWORK_PATH
from pipeline.records.params import differing_params
from pipeline.tracking import find_training_run


class Selection(TypedDict, total=False):
    """How a command selects a network; by default, it is the last trained one."""

    run: Required[str | None]  # the ID of an MLflow run
    model: Required[str | None]  # the path of a network's file
    store: Required[Path]  # the folder of the store
    server: str | None  # is mentioned in a message if only this server has the run
    # The params that the last trained network must have, if it records any.
    expected: Mapping[str, Any]


def select_network(**selection: Unpack[Selection]) -> NetworkFile:
    """Read the network that a command selects.

    Raises:
        UserError: If the store does not contain the run; if a file is missing or
            damaged, or is not the network that the run recorded; or if the params of
            the network are not the expected ones.
    """
    with locked_network(**selection) as trained:
        return trained


@contextmanager
def locked_network(**selection: Unpack[Selection]) -> Iterator[NetworkFile]:
    """Yield the network of `select_network`, to read other files in its folder.

    No training run replaces the folder in the block.
    """
    if model := selection["model"]:
        path = user_path(model, key="model")
        if not os.path.lexists(path):
            raise UserError(f"model must be an existing file, got {model!r}")
        yield load_trained_network(path)
        return
    if (text := selection["run"]) is not None:
        server = selection.get("server")
        run = find_training_run(text, store=selection["store"], server=server)
        yield load_recorded_network(run)
        return
    last = results_dir() / NETWORK_PATH
    with files.folder_lock(last.parent):
        if not os.path.lexists(last):
            raise UserError(f"{last} is missing: run {command_line('train')}")
        trained = load_trained_network(last)
        _check_params(trained, selection.get("expected", {}))
        yield trained


def _check_params(trained: NetworkFile, expected: Mapping[str, Any]) -> None:
    """Raise a UserError if the params of a network differ from the settings."""
    found = trained.params  # {} if the file records none
    actual, wanted = differing_params(found, expected if found else {})
    if wanted:
        raise UserError(
            f"the network in {trained.path} was trained with {actual}, but "
            f"conf/config.yaml has {wanted}: another command has replaced the network; "
            "run the same DVC command with --force"
        )


def load_training_data(trained: TrainedNetwork, *, folder: Path) -> Dataset:
    """Load the data set of a training run from the folder of all data sets.

    Raises:
        UserError: If the data set is not available, or its hash is not the recorded
            hash.
    """
    return datasets.load(trained.dataset, folder=folder, sha256=trained.data_sha256)


def load_detector(trained: TrainedNetwork, *, folder: Path) -> Detector:
    """Load the out-of-distribution detector from the folder of all data sets.

    The components are read from their file. If the file is missing, they are computed
    and written.

    Raises:
        UserError: If the components cannot be computed or written.
    """
    metadata = trained.metadata
    if metadata is None:
        missing = "the file of the network does not record its training run"
        return MissingDetector(missing)
    components = datasets.load_components(
        metadata.data_sha256, trained.split, folder=folder
    )
    if components:
        return OodDetector(components, metadata.min_margin)
    command = datasets.preparing_command(trained.dataset)
    missing = f"the training images are missing ({command} prepares them)"
    return MissingDetector(missing)
