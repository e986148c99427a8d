"""The names of runs and networks, for display only."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.base.params import TRAINING_KEYS
from pipeline.base.text import printable
from pipeline.cli.default_values import committed_defaults


def run_name(values: Mapping[str, Any], *, named: Iterable[str] = ()) -> str:
    """Return the name of a training run: its hidden, its seed, the keys in `named`.

    The name also contains the keys that differ from the defaults. `values` lacks a
    hyperparameter that was added to the project after the network was trained.
    """
    default_values, named = committed_defaults(), {"hidden", "seed", *named}
    parts = (
        f"{key}={values[key]}"
        for key in TRAINING_KEYS
        if key in values
        if key in named or values[key] != default_values[key]
    )
    return printable(" ".join(parts))


def network_name(params: Mapping[str, Any], *, dataset: str, sha256: str) -> str:
    """Return the name of a network for a page, which is shared: it contains no path.

    Args:
        params: The params of the training run; {} if no run is recorded.
        dataset: The name of the data set of the network.
        sha256: The sha256 of the weights.

    Returns:
        The name that `train` gives the run by default, or the start of the hash.
    """
    return run_name({**params, "dataset": dataset}) if params else sha256[:8]
