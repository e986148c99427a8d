"""The params of a training run: what MLflow shows, and a network's file records."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.hyperparameters import Hyperparameters

# Their keys, in the order in the name of a run; a new hyperparameter is the last one.
TRAINING_KEYS = tuple(
    dict.fromkeys(["hidden", "seed", "dataset", *Hyperparameters.model_fields])
)


def params_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the name of the data set and the hyperparameters, without other keys."""
    hyperparameters = {key: values[key] for key in Hyperparameters.model_fields}
    return {"dataset": values["dataset"], **hyperparameters}
