"""The networks that a sweep has trained, for stages that use all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.cli import TRAINING_KEYS
from pipeline.model import TrainedModel, load_trained_model
from pipeline.sweeps.configurations import order
from pipeline.tracking import RecordedRun, find_sweep


def read_networks(
    text: str, *, store: Path
) -> tuple[RecordedRun, list[tuple[Mapping[str, Any], TrainedModel]]]:
    """Read the finished networks of a sweep, in the order of their swept values.

    Args:
        text: The id of its run, the first characters of its id, or its name.
        store: The folder of the store.

    Returns:
        The run, and for each network the values of the keys that the sweep varies.

    Raises:
        UserError: If there is no such sweep, a file is damaged, or the networks were
            trained on different data sets, so that they have no test images in common.
    """
    sweep, children = find_sweep(text, store=store)
    # A later command can vary more keys: hidden=20, then hidden=[20].
    tags = {tag for child in children for tag in child.tags}
    keys = [key for key in TRAINING_KEYS if key in tags]
    networks = []
    for child in children:
        trained = load_trained_model(child.network_path)
        params = trained.metadata.params
        networks.append(({key: params[key] for key in keys}, trained))
    hashes = {trained.metadata.data_sha256 for _, trained in networks}
    if len(hashes) > 1:
        raise UserError(
            f"the networks of sweep {text} were trained on {len(hashes)} data sets, so "
            "they cannot be compared: select a sweep with a single data set"
        )
    return sweep, sorted(networks, key=lambda each: order(each[0].values()))
