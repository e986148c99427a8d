"""The tracker that the keys `tracking`, `server` and `experiment_name` select.

MLflow is imported when a tracker is opened, because it takes a second.
"""

import os
from pathlib import Path

from pipeline.base.call import say
from pipeline.base.process import disable_telemetry
from pipeline.base.terminal import status, wrap
from pipeline.base.urls import database_path, names_another_store
from pipeline.tracking.null import NullTracker
from pipeline.tracking.tracker import LocalTracker

DEFAULT_EXPERIMENT = "digits"


def experiment_of(name: str | None) -> str:
    """Return the experiment of new runs, for the value of the key experiment_name."""
    return name or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT


def open_tracker(
    kind: str, store: Path, *, server: str | None, experiment: str | None = None
) -> LocalTracker:
    """Return the tracker for a value of the key `tracking`: "mlflow" or "none".

    The folder `store` is created if necessary, and a server receives copies of the
    runs. New runs belong to `experiment`; None is the default.

    Raises:
        UserError, OSError: If the store cannot be opened.
    """
    if kind == "none":
        return NullTracker()
    disable_telemetry()
    with status("opening the store"):
        from pipeline.tracking.mlflow_tracker import MlflowTracker
        from pipeline.tracking.store.client import open_store

        client = open_store(store)
    if names_another_store(store):
        other = "the store of MLFLOW_TRACKING_URI or mlflow.set_tracking_uri"
        say(wrap(f"runs are recorded in {database_path(store)}, not in {other}"))
    return MlflowTracker(client, server, experiment_of(experiment))
