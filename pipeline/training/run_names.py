"""The names of runs, for display only.

They contain hidden, seed, and the data set and all other hyperparameters that differ
from the committed conf/config.yaml.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import ConfigError
from pipeline.base.git import git
from pipeline.base.paths import installed, project_dir
from pipeline.base.text import printable, short_id
from pipeline.cli import defaults
from pipeline.records.params import TRAINING_KEYS


@cache  # calls git, and each training run of a sweep has a name
def _unnamed_values() -> Mapping[str, Any]:
    """Return the values that names leave out: those of the committed conf/config.yaml.

    These are not the defaults if the file was edited. `dvc exp run -S lr=0.01` edits
    the file, and the name of its run must contain lr=0.01.
    """
    from pipeline.cli.yaml_files import parse

    if installed():  # the working directory may be another project's
        return defaults()
    name = "conf/config.yaml"
    text = git(project_dir(), "show", f"HEAD:./{name}") or ""  # "" without a commit
    try:
        return {**defaults(), **parse(text, Path(f"HEAD:{name}"))}
    except ConfigError:  # a broken file was committed
        return defaults()


def unusual_keys(values: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ from the committed conf/config.yaml."""
    unnamed = _unnamed_values()
    return [key for key in TRAINING_KEYS if values[key] != unnamed[key]]


def run_name(values: Mapping[str, Any], *, named: Iterable[str] = ()) -> str:
    """Return the name of a training run.

    The name contains the values of `hidden`, `seed`, the keys in `named` and the
    `unusual_keys`.
    """
    keys = {"hidden", "seed", *named, *unusual_keys(values)}
    parts = (f"{key}={values[key]}" for key in TRAINING_KEYS if key in keys)
    return printable(" ".join(parts))


def network_name(params: Mapping[str, Any], *, dataset: str, sha256: str) -> str:
    """Return the name of a network for a page, which is shared: it contains no path.

    Args:
        params: The params of the training run; {} if no run is recorded.
        dataset: The name of the data set of the network.
        sha256: The SHA-256 hash of the weights.

    Returns:
        The name that `train` gives the run by default, or a prefix of the hash.
    """
    return run_name({**params, "dataset": dataset}) if params else short_id(sha256)
