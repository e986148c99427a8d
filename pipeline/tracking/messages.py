"""Messages about runs that the stages print.

Runs in the main process.
"""

from pathlib import Path

from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.tracking.store.location import database_path, names_another_store


def announce_store(store: Path) -> None:
    """Print where runs are recorded if MLflow's variable names another store."""
    if names_another_store(store):
        other = "the store of MLFLOW_TRACKING_URI or mlflow.set_tracking_uri"
        say(wrap(f"runs are recorded in {database_path(store)}, not in {other}"))


def announce_kept_name(name: str, run_name: str | None) -> None:
    """Print a message if the continued run `name` is not named `run_name`."""
    # A run can have the name "<run_name> #2".
    if run_name and not f"{name} #".startswith(f"{run_name} #"):
        say("run_name has no effect: this run was started with a different name")
