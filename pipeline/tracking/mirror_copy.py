"""Makes exact copies of runs on an MLflow server, once or while they are open.

The process can be killed at any point: the next one continues, and nothing is lost or
stored twice.
"""

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Literal, NamedTuple
from urllib.parse import urlparse

from mlflow import MlflowClient, entities
from mlflow.entities import Metric, Run, ViewType
from mlflow.exceptions import MlflowException

from pipeline import UserError, files
from pipeline.console import progress
from pipeline.terminal import print_error
from pipeline.tracking import pages
from pipeline.tracking.database import (
    RecordedRun,
    metric_points,
    named_runs,
    path_from_uri,
    runs_to_copy,
)
from pipeline.tracking.mlflow_internals import VIEW_TAG
from pipeline.tracking.mlflow_run import NOTE_TAG, RESULTS_TAG, model_outputs
from pipeline.tracking.quiet import quiet
from pipeline.tracking.runs import find_run
from pipeline.tracking.store import Store, complete_experiment, open_store
from pipeline.tracking.tags import COPY_TAG, ERROR_TAG, PARENT_TAG
from pipeline.tracking.tracker import experiment_of

LIMIT = 120  # seconds for a run, which has up to 10 MB
CONNECTIONS = 4  # for files
COMPLETE = 1_000_000_000  # ns since the last write to a file that is complete
STATE_TAG = "copy.state"  # a hash of the original as it was copied


@cache
def open_mirror(folder: Path, server: str) -> "CopiedRuns":
    """Return the copies on a server; it remembers what this process has sent."""
    return CopiedRuns(open_store(folder, experiment_of(None)), server)


def copy_open_run(folder: Path, server: str, run_id: str) -> None:
    """Copy what is new in an open run, and its closed children; see `Mirror.follow`."""
    with quiet():
        copies = open_mirror(folder, server)
        for run in runs_to_copy(folder, run_id):
            if run.run_id != run_id:
                copies.update(run)
        copies.update(find_run(run_id, store=folder), is_open=True)


def copy_closed_run(folder: Path, server: str, run_id: str) -> str:
    """Copy a closed run and its children; return the URL of the copy.

    Raises:
        UserError: If not all runs were copied; the message says why.
    """
    with quiet():
        copied = copy_runs(open_mirror(folder, server), run_id)
    if not copied[run_id].url:
        raise UserError("it was deleted on the server")
    return copied[run_id].url


def copy_runs(copies: "CopiedRuns", run_id: str | None) -> "dict[str, Copied]":
    """Copy a run and its children, or all runs, to a server.

    A run that is already there unchanged is not sent again; an open run is skipped.

    Returns:
        What was done with each run that was not deleted, by its id; `run_id` is last.

    Raises:
        UserError: If not all runs were copied; the message says why.
    """
    runs = runs_to_copy(copies.store.folder, run_id)
    # Parents are last, because a description links to the copies of children.
    runs.sort(key=lambda run: PARENT_TAG not in run.tags)
    done: dict[str, Copied] = {}
    errors: list[str] = []
    server = copies.url
    try:
        for run in progress(f"copying runs to {server}")(runs):
            try:
                if copied := copies.update(run):
                    done[run.run_id] = copied
            except (MlflowException, OSError, UserError) as error:
                copies.check()  # if the server is gone, stop here
                errors.append(f"run {run.run_id}: {_describe(error)}")
    except (MlflowException, OSError, UserError) as error:
        message = f"{server} did not accept the copy: {_describe(error)}"
        raise UserError(message) from error
    finally:
        signal.alarm(0)  # see `CopiedRuns`
    if errors:
        count = f"{len(errors)} of {len(runs)} runs were not copied"
        raise UserError(f"{count} to {server}; the first: {errors[0]}")
    return done


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


class Copied(NamedTuple):
    """What was done with a run."""

    state: Literal["copied", "complete", "running", "deleted"]
    url: str = ""  # of its copy; "" if the run is running or its copy was deleted


@dataclass
class Sent:
    """What this process has sent of a run."""

    points: set[tuple[str, str, int, int]] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[Path, tuple[int, int]] = field(default_factory=dict)


class CopiedRuns:
    """The copies on a server; what was sent before is not sent again."""

    def __init__(self, store: Store, url: str, *, has_limit: bool = False) -> None:
        """Connect to a server; `has_limit` ends this process if it is too slow."""
        self.store, self.source, self.url = store, store.client, url
        self.server = MlflowClient(url)
        self.copy_ids: dict[str, str] = {}  # by the id of the original
        self._experiments: dict[str, str] = {}  # their ids by those of the originals
        self._sent: dict[str, Sent] = {}
        self._closed: dict[str, object] = {}  # the `_signature` of each copied run
        self._places: dict[str, tuple[str, str]] = {}  # experiment and run of a copy
        self._has_limit = has_limit
        # A retry would create twice.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        if has_limit:
            signal.signal(signal.SIGALRM, _give_up)

    def update(self, recorded: RecordedRun, *, is_open: bool = False) -> Copied | None:
        """Bring the copy of a run up to date.

        Nothing is done if the run is running, unless `is_open`, or if its copy was
        deleted; the result is None if the run itself was deleted.
        """
        run_id, signature = recorded.run_id, _signature(recorded)
        if self._closed.get(run_id) == signature and not is_open:
            return Copied("complete", self._url(*self._places[run_id]))
        if self._has_limit:
            signal.alarm(0)  # LIMIT does not include waiting for another process
        # Two processes at once would create two copies of a run.
        waiting = "waiting for another process that copies runs to a server"
        with files.lock(self.store.folder / ".server.lock", waiting=waiting):
            if self._has_limit:
                signal.alarm(LIMIT)
            run = self.source.get_run(run_id)
            copy = self._find(run)
            is_deleted = copy is not None and copy.info.lifecycle_stage != "active"
            if run.info.lifecycle_stage != "active":
                # An attempt that failed was replaced by another one.
                is_kept = run.info.status == "FINISHED" or is_deleted
                if copy and not is_kept:
                    self.server.delete_run(copy.info.run_id)
                return None
            if is_deleted:
                return Copied("deleted")
            is_closed = run.info.status not in ("RUNNING", "SCHEDULED")
            if not (is_open or is_closed):
                return Copied("running")
            copy, is_new = copy or self._create(run), True
            if is_closed:
                is_new = self._copy(run, copy)
                self._closed[run_id] = signature
            else:
                self._copy_news(run, copy, self._points(run), is_open=True)
        self._places[run_id] = copy.info.experiment_id, copy.info.run_id
        url = self._url(*self._places[run_id])
        return Copied("copied" if is_new else "complete", url)

    def check(self) -> None:
        """Raise an error if the server does not answer."""
        self.server.search_experiments(max_results=1)

    def _url(self, experiment_id: str, run_id: str) -> str:
        page = pages.run_page(experiment_id, run_id)
        return files.printable(f"{self.url.rstrip('/')}/{page}")

    def _experiment_of(self, run: Run) -> str:
        """Return the experiment of a copy; it has the name of the original.

        Raises:
            UserError: If the server would write artifacts to a folder of this machine.
        """
        original_id = run.info.experiment_id
        if original_id in self._experiments:
            return self._experiments[original_id]
        name = self.source.get_experiment(original_id).name
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
        self._experiments[original_id] = str(experiment.experiment_id)
        return self._experiments[original_id]

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

    def _copy(self, run: Run, copy: Run) -> bool:
        """Send everything in a closed run, unless the copy has it; return whether.

        Sending it again is safe. Tags that users added to the copy remain.
        """
        server, copy_id = self.server, copy.info.run_id
        points = self._points(run)
        state = _state(run, points)
        if copy.data.tags.get(STATE_TAG) == state:
            self.copy_ids[run.info.run_id] = copy_id
            return False
        self._copy_news(run, copy, points, is_open=False)
        self._copy_models(run, copy)
        views = self.source.get_experiment(run.info.experiment_id).tags
        if view := views.get(VIEW_TAG + run.info.run_id):  # of the children of a sweep
            view = view.replace(run.info.run_id, copy_id)
            server.set_experiment_tag(copy.info.experiment_id, VIEW_TAG + copy_id, view)
        server.set_terminated(copy_id, run.info.status, run.info.end_time)
        server.set_tag(copy_id, STATE_TAG, state)
        return True

    def _copy_news(
        self, run: Run, copy: Run, recorded: Iterable[Metric], *, is_open: bool
    ) -> None:
        """Send the points, tags and files that this process has not sent."""
        server, copy_id = self.server, copy.info.run_id
        self.copy_ids[run.info.run_id] = copy_id
        sent = self._sent.setdefault(run.info.run_id, Sent())
        if is_open and copy.info.status != "RUNNING":  # it was resumed
            server.update_run(copy_id, status="RUNNING")
        tags = self._tags(run)
        if ERROR_TAG in copy.data.tags and ERROR_TAG not in tags:  # it was resumed
            server.delete_tag(copy_id, ERROR_TAG)
        params = run.data.params if not sent.tags else {}
        new_tags = {k: x for k, x in tags.items() if sent.tags.get(k) != x}
        points = {
            (each.key, str(each.value), each.timestamp, each.step): each
            for each in recorded
        }
        points = {key: each for key, each in points.items() if key not in sent.points}
        server.log_batch(
            copy_id,
            metrics=[*points.values()],
            params=[entities.Param(*param) for param in params.items()],
            tags=[entities.RunTag(*tag) for tag in new_tags.items()],
        )
        if params and run.inputs and run.inputs.dataset_inputs:
            server.log_inputs(copy_id, datasets=run.inputs.dataset_inputs)
        sent.tags |= new_tags
        sent.points |= points.keys()
        folder, now = path_from_uri(run.info.artifact_uri), time.time_ns()
        news = {
            path: stat
            for path, stat in _files(folder).items()
            if sent.files.get(path) != stat
            # One that is being written is newer.
            and (not is_open or now - stat[1] > COMPLETE)
        }

        def send(path: Path) -> None:
            parent = path.parent.relative_to(folder)
            place = parent.as_posix() if parent.name else None
            server.log_artifact(copy_id, str(path), place)

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            for path, _ in zip(news, threads.map(send, news), strict=True):
                sent.files[path] = news[path]

    def _points(self, run: Run) -> list[Metric]:
        """Return the metrics of a run at all steps."""
        points = metric_points(self.store.folder, run.info.run_id)
        return [Metric(*point) for point in points]

    def _copy_models(self, run: Run, copy: Run) -> None:
        """Send the models of a run that the copy does not have, and link them to it."""
        if not model_outputs(run):
            return
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
            ids = {"model_id": model.model_id, "run_id": copy.info.run_id}
            metrics = [dict(metric) | ids for metric in original.metrics or ()]
            server.log_batch(copy.info.run_id, [Metric(**each) for each in metrics])


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of each file in a folder; hidden ones are incomplete."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = {path: path.stat() for path in paths if path.name[0] != "."}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def _signature(run: RecordedRun) -> object:
    """Return a value that changes when a closed run changes, without MLflow."""
    return run.status, dict(run.tags), _files(run.folder)


def _state(run: Run, points: list[Metric]) -> str:
    """Return a hash that changes when anything in a run changes."""
    entries = run.to_dictionary()
    folder = path_from_uri(entries["info"].pop("artifact_uri"))  # the project may move
    metrics = [(p.key, p.value, p.timestamp, p.step) for p in points]
    sizes = [(str(path.relative_to(folder)), *x) for path, x in _files(folder).items()]
    state = json.dumps([entries, metrics, sizes], sort_keys=True, default=str)
    return hashlib.sha256(state.encode()).hexdigest()
