"""The params of a training run: what MLflow shows, and a network's file records."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.hyperparameters import Hyperparameters

PARAM_KEYS = ("dataset", *Hyperparameters.model_fields)


def params_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the name of the data set and the hyperparameters, without other keys."""
    return {key: values[key] for key in PARAM_KEYS}
