"""The params of a training run, which MLflow and the file of the network record."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.hyperparameters import Hyperparameters

# The keys in the order of names and tables, with new hyperparameters at the end.
TRAINING_KEYS = tuple(
    dict.fromkeys(["hidden", "seed", "dataset", *Hyperparameters.model_fields])
)
NO_OPTION = "null"  # stands for no option of a config group


def params_of(
    values: Mapping[str, Any], options: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the values of `TRAINING_KEYS`, in this order.

    The `options` of config groups, by group, come first; a run records them too.
    """
    return {**(options or {}), **{key: values[key] for key in TRAINING_KEYS}}


def differing_params(
    found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the params that differ as two texts: `found` and `wanted`.

    Both texts are "" if all params are equal.
    """
    keys = [key for key in wanted if found.get(key) != wanted[key]]
    actual = " ".join(f"{key}={found.get(key)}" for key in keys)
    return actual, " ".join(f"{key}={wanted[key]}" for key in keys)
