"""Makes exact copies of runs on an MLflow server.

The process can be killed at any point: the next one continues, and nothing is lost or
stored twice.
"""

import hashlib
import json
import os
import re
import signal
from types import FrameType
from urllib.parse import urlparse

from mlflow import MlflowClient, entities
from mlflow.entities import Metric, Run, ViewType
from mlflow.exceptions import MlflowException

from pipeline import UserError, files
from pipeline.console import progress
from pipeline.terminal import print_error
from pipeline.tracking import pages
from pipeline.tracking.database import named_runs, path_from_uri, runs_to_copy
from pipeline.tracking.mlflow_internals import VIEW_TAG
from pipeline.tracking.mlflow_run import NOTE_TAG, RESULTS_TAG, model_outputs
from pipeline.tracking.store import Store, complete_experiment
from pipeline.tracking.tags import COPY_TAG, ERROR_TAG, PARENT_TAG

LIMIT = 120  # seconds for a run, which has up to 10 MB
STATE_TAG = "copy.state"  # a hash of the original as it was copied


def copy_runs(store: Store, server: str, run_id: str | None) -> dict[str, str]:
    """Copy a run and its children, or all runs, to a server.

    A run that is already there unchanged is not sent again; an open run is skipped. If
    the server takes too long for a run, this process ends.

    Returns:
        The URL of each copy by the id of the original; that of `run_id` is last.

    Raises:
        UserError: If not all runs were copied; the message says why.
    """
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # a retry would create twice
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    signal.signal(signal.SIGALRM, _give_up)
    runs = runs_to_copy(store.folder, run_id)
    # Parents are last, because a description links to the copies of children.
    runs.sort(key=lambda run: PARENT_TAG not in run.tags)
    addresses: dict[str, str] = {}
    errors: list[str] = []
    try:
        mirror = _Mirror(store, server)
        for run in progress(f"copying runs to {server}")(runs):
            try:
                addresses |= mirror.update(run.run_id)
            except (MlflowException, OSError, UserError) as error:
                mirror.experiment_id(run.experiment)  # if the server is gone, stop here
                errors.append(f"run {run.run_id}: {_describe(error)}")
    except (MlflowException, OSError, UserError) as error:
        message = f"{server} did not accept the copy: {_describe(error)}"
        raise UserError(message) from error
    finally:
        signal.alarm(0)
    if errors:
        count = f"{len(errors)} of {len(runs)} runs were not copied"
        raise UserError(f"{count} to {server}; the first: {errors[0]}")
    return addresses


def _give_up(number: int, frame: FrameType | None) -> None:
    """End this process, even if threads of MLflow are waiting for the server.

    MLflow's own limit applies to each read, and a server can answer in small pieces.
    """
    print_error(f"error: the server did not answer within {LIMIT} s")
    os._exit(1)


def _describe(error: Exception) -> str:
    """Return the reason for an error, in one line without control characters."""
    text = " ".join(str(error).split())
    system_error = re.search(r"\[Errno -?\d+\] ([\w ]+)", text)
    if system_error:
        return system_error[1]
    return files.printable(re.split("Caused by |Response body: ", text)[-1][:300])


class _Mirror:
    """The copies on a server."""

    def __init__(self, store: Store, address: str) -> None:
        """Connect to a server."""
        self.store, self.source, self.address = store, store.client, address
        self.server = MlflowClient(address)
        self.copy_ids: dict[str, str] = {}  # by the id of the original

    def update(self, run_id: str) -> dict[str, str]:
        """Bring the copy of a run up to date, and return its URL by `run_id`.

        Nothing is done if the run is open, or if the run or its copy was deleted; then
        the result is empty.
        """
        signal.alarm(0)  # LIMIT does not include waiting for another process
        # Two processes at once would create two copies of a run.
        waiting = "waiting for another process that copies runs to a server"
        with files.lock(self.store.folder / ".server.lock", waiting=waiting):
            signal.alarm(LIMIT)
            run = self.source.get_run(run_id)
            copy = self._find(run)
            if copy and copy.info.lifecycle_stage != "active":
                return {}
            if run.info.lifecycle_stage != "active":
                # An attempt that failed was replaced by another one.
                if copy and run.info.status != "FINISHED":
                    self.server.delete_run(copy.info.run_id)
                return {}
            if run.info.status in ("RUNNING", "SCHEDULED"):
                return {}
            copy = copy or self._create(run)
            self._copy(run, copy)
        page = pages.run_page(copy.info.experiment_id, copy.info.run_id)
        return {run_id: files.printable(f"{self.address.rstrip('/')}/{page}")}

    def experiment_id(self, name: str) -> str:
        """Return the id of the experiment with this name, which is created if missing.

        Raises:
            UserError: If the server would write artifacts to a folder of this machine.
        """
        experiment = self.server.get_experiment_by_name(name)
        if experiment is None:
            created = self.server.create_experiment(name)
            experiment = self.server.get_experiment(created)
        complete_experiment(self.server, experiment)
        if urlparse(experiment.artifact_location).scheme in ("", "file"):
            raise UserError(
                f"it stores artifacts in {experiment.artifact_location}, which other "
                "machines cannot reach: start it with --artifacts-destination"
            )
        return str(experiment.experiment_id)

    def _experiment_of(self, run: Run) -> str:
        """Return the experiment of a copy; it has the name of the original."""
        original = self.source.get_experiment(run.info.experiment_id)
        return self.experiment_id(original.name)

    def _find(self, run: Run) -> Run | None:
        """Return the copy of a run, even if it was deleted."""
        condition = f"tags.`{COPY_TAG}` = '{run.info.run_id}'"
        experiment_id = self._experiment_of(run)
        runs = self.server.search_runs([experiment_id], condition, ViewType.ALL)
        return next(iter(runs), None)

    def _create(self, run: Run) -> Run:
        """Create the copy of a run and, if necessary, that of its parent."""
        return self.server.create_run(
            self._experiment_of(run),
            start_time=run.info.start_time,
            tags=self._tags(run),
            run_name=run.info.run_name,
        )

    def _tags(self, run: Run) -> dict[str, str]:
        """Return the tags of the copy; they refer to copies, not to originals."""
        tags = dict(run.data.tags)
        parent = tags.get(PARENT_TAG)
        if parent and parent not in self.copy_ids:
            # Create its copy, which stays open until the parent itself is copied.
            for recorded in named_runs(self.store.folder, parent):  # none if deleted
                original = self.source.get_run(recorded.run_id)
                copy = self._find(original) or self._create(original)
                self.copy_ids[parent] = copy.info.run_id
        for tag in {PARENT_TAG, NOTE_TAG, RESULTS_TAG} & set(tags):
            ids = run.info.experiment_id, self._experiment_of(run)
            tags[tag] = pages.move_links(tags[tag], *ids)
            for original_id, copied_id in self.copy_ids.items():
                tags[tag] = tags[tag].replace(original_id, copied_id)
        return {**tags, COPY_TAG: run.info.run_id}

    def _copy(self, run: Run, copy: Run) -> None:
        """Send everything in a run, unless the copy has it; sending it again is safe.

        Tags that users added to the copy remain.
        """
        server, copy_id = self.server, copy.info.run_id
        self.copy_ids[run.info.run_id] = copy_id
        points = [
            Metric(name, point.value, point.timestamp, point.step)
            for name in run.data.metrics
            for point in self.source.get_metric_history(run.info.run_id, name)
        ]
        state = _state(run, points)
        if copy.data.tags.get(STATE_TAG) == state:
            return
        tags = self._tags(run)
        if ERROR_TAG in copy.data.tags and ERROR_TAG not in tags:  # it was resumed
            server.delete_tag(copy_id, ERROR_TAG)
        server.log_batch(
            copy_id,
            metrics=points,
            params=[entities.Param(*param) for param in run.data.params.items()],
            tags=[entities.RunTag(*tag) for tag in tags.items()],
        )
        if run.inputs and run.inputs.dataset_inputs:
            server.log_inputs(copy_id, datasets=run.inputs.dataset_inputs)
        server.log_artifacts(copy_id, str(path_from_uri(run.info.artifact_uri)))
        self._copy_models(run, copy)
        views = self.source.get_experiment(run.info.experiment_id).tags
        if view := views.get(VIEW_TAG + run.info.run_id):  # of the children of a sweep
            view = view.replace(run.info.run_id, copy_id)
            server.set_experiment_tag(copy.info.experiment_id, VIEW_TAG + copy_id, view)
        server.set_terminated(copy_id, run.info.status, run.info.end_time)
        server.set_tag(copy_id, STATE_TAG, state)

    def _copy_models(self, run: Run, copy: Run) -> None:
        """Send the models of a run that the copy does not have, and link them to it."""
        server = self.server
        linked = {output.model_id for output in model_outputs(copy)}
        condition = f"source_run_id = '{copy.info.run_id}'"
        models = server.search_logged_models([copy.info.experiment_id], condition)
        copies = {model.tags.get(COPY_TAG): model for model in models}
        for output in model_outputs(run):
            original = self.source.get_logged_model(output.model_id)
            model = copies.get(original.model_id) or server.create_logged_model(
                copy.info.experiment_id,
                name=original.name,
                source_run_id=copy.info.run_id,
                tags={**original.tags, COPY_TAG: original.model_id},
                params=original.params,
            )
            if model.status != original.status:
                folder = path_from_uri(original.artifact_location)
                server.log_model_artifacts(model.model_id, str(folder))
                server.finalize_logged_model(model.model_id, original.status)
            if model.model_id not in linked:
                copied = entities.LoggedModelOutput(model.model_id, output.step)
                server.log_outputs(copy.info.run_id, [copied])


def _state(run: Run, points: list[Metric]) -> str:
    """Return a hash that changes when anything in a run changes."""
    entries = run.to_dictionary()
    folder = path_from_uri(entries["info"].pop("artifact_uri"))  # the project may move
    metrics = [(p.key, p.value, p.timestamp, p.step) for p in points]
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = [(str(path.relative_to(folder)), path.stat()) for path in paths]
    sizes = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    state = json.dumps([entries, metrics, sizes], sort_keys=True, default=str)
    return hashlib.sha256(state.encode()).hexdigest()
