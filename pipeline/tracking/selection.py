"""The tracker that the keys `tracking`, `server` and `experiment_name` select.

MLflow is imported only when a tracker is created, because the import takes a second.
"""

import os
from pathlib import Path

from pipeline.base.printing import say
from pipeline.base.process import disable_telemetry
from pipeline.base.terminal import busy, wrap
from pipeline.base.urls import database_path, names_another_store
from pipeline.tracking.null import NullTracker
from pipeline.tracking.provenance import CodeState
from pipeline.tracking.store.sqlite import require_store
from pipeline.tracking.tracker import LocalTracker

DEFAULT_EXPERIMENT = "digits"


def experiment_of(name: str | None, default: str = DEFAULT_EXPERIMENT) -> str:
    """Return the experiment of new runs, for the value of the key experiment_name."""
    return name or os.environ.get("MLFLOW_EXPERIMENT_NAME") or default


def announce_kept_name(name: str, run_name: str | None) -> None:
    """Print a message if the continued run `name` is not named `run_name`."""
    # A run can have the name "<run_name> #2".
    if run_name and not f"{name} #".startswith(f"{run_name} #"):
        say("run_name has no effect: this run was started under a different name")


def check_store(store: Path) -> None:
    """Reject an unusable store; print a message if a variable selects another store."""
    if database_path(store).exists():
        require_store(store)
    if names_another_store(store):
        other = "the store of MLFLOW_TRACKING_URI or mlflow.set_tracking_uri"
        say(wrap(f"runs are recorded in {database_path(store)}, not in {other}"))


def new_tracker(
    store: Path,
    *,
    server: str | None,
    experiment: str | None = None,
    code: CodeState | None = None,
    is_recorded: bool = True,
) -> LocalTracker:
    """Return the tracker of this process; see `RecordedConfig.is_recorded`.

    The store in the folder `store` is opened now, so that an unusable store is rejected
    before any work. If there is no store, the first run creates it. A server receives
    copies of the runs. New runs belong to `experiment`; None means the default
    experiment. The runs record `code`. If `code` is None, the state of the code is read
    when a run needs it.

    Raises:
        UserError, OSError: If the store cannot be used.
    """
    if not is_recorded:
        return NullTracker(store, code=code)
    check_store(store)
    name = experiment_of(experiment)
    return open_tracker(store, server=server, experiment=name, code=code)


def open_tracker(
    store: Path, *, server: str | None, experiment: str, code: CodeState | None
) -> LocalTracker:
    """Import MLflow, and open the store; see `new_tracker`, which prints a message."""
    disable_telemetry()
    with busy("importing MLflow"):
        from pipeline.tracking.mlflow_tracker import MlflowTracker
    tracker = MlflowTracker(store, server=server, experiment=experiment, code=code)
    if database_path(store).exists():
        _ = tracker.client
    return tracker
