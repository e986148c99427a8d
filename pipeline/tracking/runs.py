"""Finds the run that a user selects by an ID, a prefix of an ID, or a name.

Runs in the main process.

If there is no such run, this module asks a server, so that the message can say where
the run is.
"""

from datetime import datetime
from pathlib import Path

from pipeline import UserError
from pipeline.base.terminal import say
from pipeline.base.text import command_line, wrap
from pipeline.records.file_names import METRICS_FILE, MODEL_FILE, NETWORK_PATH
from pipeline.records.metric_names import VAL_ACCURACY
from pipeline.records.run_files import read_metrics
from pipeline.records.tags import COPY_TAG, ERROR_TAG, KIND_TAG, Kind, Status
from pipeline.records.urls import server_url
from pipeline.tracking.server_request import tags_on
from pipeline.tracking.store.database import RecordedRun, named_runs
from pipeline.tracking.store.location import database_path, mlflow_command

MAX_LISTED_RUNS = 10  # runs in a message about several runs


def find_run(text: str, *, store: Path, server: str | None = None) -> RecordedRun:
    """Return the run with this ID or name, or else with an ID that has this prefix.

    If there is no such run, the message says whether the run is on a server, by default
    the server at MLFLOW_TRACKING_URI.

    Raises:
        UserError: If there is not exactly one such run, or if the run was deleted.
    """
    has_store = database_path(store).exists()
    if not has_store and (message := _on_server(text, server, store)):
        raise UserError(message)
    matching = named_runs(store, text)
    runs = [run for run in matching if text in (run.name, run.run_id)] or matching
    if not runs:
        raise UserError(_why_missing(text, server, store))
    if len(runs) > 1:
        raise UserError(_ambiguous(text, runs))
    return runs[0]


def _why_missing(text: str, server: str | None, store: Path) -> str:
    """Return a message that says where a run is that the store does not list."""
    if deleted := named_runs(store, text, deleted=True):
        run_id = deleted[0].run_id
        command = mlflow_command(store, f"runs restore --run-id {run_id}")
        return f"run {run_id} was deleted: restore it ({command})"
    if deleted := named_runs(store, text, experiments="deleted"):
        run = deleted[0]
        return (
            f"run {run.run_id} belongs to the experiment {run.experiment!r}, which was "
            "deleted: restore it in MLflow's UI, or with mlflow experiments restore"
        )
    unknown = (
        f"{database_path(store)} has no run {text!r}: enter the ID that "
        f"{command_line('train')} printed, a prefix of this ID, or the run's name"
    )
    return _on_server(text, server, store) or unknown


def _on_server(text: str, server: str | None, store: Path) -> str:
    """Return the message for a run that is on a server; "" if no server has it."""
    try:
        server = server_url(server)
    except ValueError:  # MLFLOW_TRACKING_URI is invalid
        return ""
    tags = tags_on(server, text) if server else None
    if tags is None:
        return ""
    original = tags.get(COPY_TAG, "")
    if original and database_path(store).exists() and named_runs(store, original):
        return (
            f"run {text} on {server} is the copy of run {original}, "
            "which is in the store: enter that ID"
        )
    remedy = "run this command where the network was trained"
    if tags.get(KIND_TAG) == Kind.TRAINING:
        command = f"artifacts download --run-id {text} -a {NETWORK_PATH} -d ."
        remedy += f", or download its network and use model={MODEL_FILE}:"
        remedy += f"\n  MLFLOW_TRACKING_URI={server} mlflow {command}"
    return f"run {text} is only on {server}, not in the store: {remedy}"


def _ambiguous(text: str, runs: list[RecordedRun]) -> str:
    """Return a message with a line for each run: ID, start, accuracy and name."""
    lines = [f"{text!r} matches several runs: enter the ID of one"]
    for run in runs[:MAX_LISTED_RUNS]:
        start = datetime.fromtimestamp(run.start / 1000).strftime("%Y-%m-%d %H:%M")
        lines.append(f"{run.run_id}  {start}  {_result(run):>8}  {run.name}")
    if len(runs) > MAX_LISTED_RUNS:
        lines.append(f"and {len(runs) - MAX_LISTED_RUNS:,} more")
    return "\n  ".join(lines)


def _result(run: RecordedRun) -> str:
    """Return the accuracy of a trained network, or the status of another run."""
    try:
        metrics = read_metrics(run.network_path.with_name(METRICS_FILE))
    except UserError:  # not a training run, or not finished
        return run.status
    return f"{metrics[VAL_ACCURACY]:.2%}"


def find_training_run(
    text: str, *, store: Path, server: str | None = None
) -> RecordedRun:
    """Find a recorded training run that has a network, whatever its status.

    A user can look at a network of a killed or failed run. If the run failed, a line
    says why. See `find_run`.

    Raises:
        UserError: If there is not exactly one such run, or if the run has no network.
    """
    run = find_run(text, store=store, server=server)
    if not run.network_path.exists():
        reason = f"is {run.status} and has no network"
        if run.tags.get(KIND_TAG) == Kind.SWEEP:
            reason = (
                "is a sweep: enter the ID or the name of one of its child runs, which "
                f"{command_line('ui')} shows"
            )
        raise UserError(f"run {run.label} {reason}")
    if run.status == Status.FAILED:
        say(wrap(f"run {run.label} is {run.status}: {run.tags.get(ERROR_TAG, '')}"))
    return run
