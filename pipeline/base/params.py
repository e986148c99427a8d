"""The params of a training run, which MLflow and the file of the network record."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.hyperparameters import Hyperparameters

# The keys in the order of the name of a run, with new hyperparameters at the end.
TRAINING_KEYS = tuple(
    dict.fromkeys(["hidden", "seed", "dataset", *Hyperparameters.model_fields])
)
NO_OPTION = "null"  # stands for no option of a config group


def params_of(
    values: Mapping[str, Any], options: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the name of the data set and the hyperparameters, without other keys.

    The `options` of config groups, by group, come first; a run records them too.
    """
    hyperparameters = {key: values[key] for key in Hyperparameters.model_fields}
    return {**(options or {}), "dataset": values["dataset"], **hyperparameters}


def differing_params(
    found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the params that differ as two texts: `found` and `wanted`.

    Both texts are "" if all params are equal.
    """
    keys = [key for key in wanted if found.get(key) != wanted[key]]
    actual = " ".join(f"{key}={found.get(key)}" for key in keys)
    return actual, " ".join(f"{key}={wanted[key]}" for key in keys)
