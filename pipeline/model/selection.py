"""Finds the network that a command uses, its training data and its detector.

`pipeline/model/trained_model.py` reads the files themselves.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import UserError, datasets
from pipeline.base import files
from pipeline.base.params import differing_params
from pipeline.base.paths import NETWORK_PATH, outputs_dir, user_path
from pipeline.core.dataset import Dataset
from pipeline.model.ood import Detector, MissingDetector, OodDetector
from pipeline.model.trained_model import (
    TrainedModel,
    load_recorded_network,
    load_trained_model,
)
from pipeline.tracking import find_training_run


def select_trained_model(
    *,
    run: str | None,
    model: str | None,
    store: Path,
    server: str | None = None,
    with_histories: bool = False,
    expected: Mapping[str, Any] | None = None,
) -> TrainedModel:
    """Read the network that a command selects or, by default, the last trained one.

    Args:
        run: The id of an MLflow run.
        model: The path of a network's file.
        store: The folder of the store.
        server: The server to mention in a message if only this server has the run.
        with_histories: Whether the histories of the weights and of the metrics of the
            last trained network are needed.
        expected: The params that the last trained network must have, if it records any.

    Raises:
        UserError: If the store does not contain the run; if a file is missing or
            damaged, or is not the network that the run recorded; or if the params of
            the network are not the expected ones.
    """
    if model:
        return load_trained_model(user_path(model, key="model"))
    if run is not None:
        return load_recorded_model(run, store=store, server=server)
    last = outputs_dir() / NETWORK_PATH
    # Another training run must not replace one of the files while they are read.
    with files.folder_lock(last.parent):
        if not os.path.lexists(last):
            raise UserError(f"{last} is missing: run python -m pipeline.train")
        trained = load_trained_model(last)
        _check_params(trained, expected or {})
        if with_histories:  # 2 ms with 20 hidden neurons, and 40 ms with 1,000
            _ = trained.weight_history, trained.history
        return trained


def load_recorded_model(run: str, *, store: Path, server: str | None) -> TrainedModel:
    """Find a run and read its network.

    Raises:
        UserError: See `find_training_run` and `load_recorded_network`.
    """
    return load_recorded_network(find_training_run(run, store=store, server=server))


def _check_params(trained: TrainedModel, expected: Mapping[str, Any]) -> None:
    """Raise a UserError if the params of a network differ from the settings."""
    found = trained.params  # {} if the file records none
    actual, wanted = differing_params(found, expected if found else {})
    if wanted:
        raise UserError(
            f"{trained.path} was trained with {actual}, but conf/config.yaml has "
            f"{wanted}: another command has replaced the network; run the same DVC "
            "command with --force"
        )


def load_training_data(trained: TrainedModel, *, folder: Path) -> Dataset:
    """Load the data set of a training run from the folder of all data sets.

    Raises:
        UserError: If the data set is not available, or its hash is not the recorded
            hash.
    """
    return datasets.load(trained.dataset, folder=folder, sha256=trained.data_sha256)


def load_detector(trained: TrainedModel, *, folder: Path) -> Detector:
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
