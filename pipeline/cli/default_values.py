"""The default values, from conf/config.yaml."""

import os
from typing import Any

from pipeline.base.paths import conf_dir
from pipeline.cli.problems import located, reject
from pipeline.cli.schema import KEYS
from pipeline.records.params import params_of


def defaults() -> dict[str, Any]:
    """Return the values of conf/config.yaml.

    Raises:
        ConfigError: If the file cannot be read, or lacks settings.
    """
    from pipeline.cli.yaml_files import read  # imports OmegaConf

    path = conf_dir() / "config.yaml"
    values, _ = read(path)
    reject(
        located(f"lacks the line `{key}:`, but every setting needs a default", path)
        for key in KEYS
        if key not in values
    )
    return values


def expected_params() -> dict[str, Any]:
    """Return the params that the network of a stage must have, by key.

    A stage that DVC runs must have the network of conf/config.yaml. Without DVC, the
    result is {}.
    """
    if not os.environ.get("DVC_STAGE"):
        return {}
    return params_of(defaults())
