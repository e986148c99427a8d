"""Sends one run to its copy on a server, and remembers what this process has sent.

`copies` uses it, in the companion that copies runs.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient, entities
from mlflow.entities import Metric

from pipeline.tracking.store.client import StoreClient, model_outputs
from pipeline.tracking.store.database import RecordedRun, metric_points
from pipeline.tracking.store.mlflow_internals import VIEW_TAG
from pipeline.tracking.store.sqlite import path_from_uri
from pipeline.tracking.store.tags import COPIED_TAG, COPY_TAG, ERROR_TAG, Status

CONNECTIONS = 4  # files that are sent at a time
WRITING_NS = 1_000_000_000  # a file that was written to later may be incomplete
Key = TypeVar("Key")
Value = TypeVar("Value")
Point = tuple[str, str, int, int]  # name, value, time and step of a metric


@dataclass(frozen=True)
class Sent:
    """What this process has sent to a copy; it is compared with the original."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: set[Point] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)  # data sets with their use, as JSON
    files: dict[Path, tuple[int, int]] = field(default_factory=dict)


class Sender:
    """Sends one run to its copy; what this process has sent is not sent again.

    In the arguments of its methods, `original` and `copy` are the two runs as MLflow
    describes them now, and `tags` are the tags for the copy.
    """

    def __init__(
        self, source: StoreClient, server: MlflowClient, copy: entities.Run
    ) -> None:
        """Start without knowing what the copy has."""
        self._source, self._server = source, server
        self.copy_id: str = copy.info.run_id
        self.experiment_id: str = copy.info.experiment_id
        self.copied_content: object = None  # `recorded_content` of the closed original
        self._sent = Sent()

    def send_closed(
        self, original: entities.Run, copy: entities.Run, tags: dict[str, str]
    ) -> bool:
        """Send everything in a closed run, unless the copy is complete.

        Sending it again is safe. Tags that users added to the copy remain.

        Returns:
            Whether anything was sent.
        """
        points = self._read_points(original)
        sha256 = _content_sha256(original, points)
        if copy.data.tags.get(COPIED_TAG) == sha256:
            return False
        self._send(original, copy, tags, points, is_open=False)
        self._send_models(original, copy)
        info, server = original.info, self._server
        views = self._source.get_experiment(info.experiment_id).tags
        if view := views.get(VIEW_TAG + info.run_id):  # the view of a sweep's children
            tag = VIEW_TAG + self.copy_id, view.replace(info.run_id, self.copy_id)
            server.set_experiment_tag(self.experiment_id, *tag)
        server.set_terminated(self.copy_id, info.status, info.end_time)
        server.set_tag(self.copy_id, COPIED_TAG, sha256)
        return True

    def send_open(
        self, original: entities.Run, copy: entities.Run, tags: dict[str, str]
    ) -> None:
        """Send what is new in an open run."""
        if copy.info.status != Status.RUNNING:  # it was resumed
            self._server.update_run(self.copy_id, status=Status.RUNNING)
        points = self._read_points(original)
        self._send(original, copy, tags, points, is_open=True)

    def _send(
        self,
        original: entities.Run,
        copy: entities.Run,
        tags: dict[str, str],
        points: list[Metric],
        *,
        is_open: bool,
    ) -> None:
        """Send the params, points, tags, data sets and files that are new."""
        server, sent = self._server, self._sent
        if ERROR_TAG in copy.data.tags and ERROR_TAG not in tags:  # it was resumed
            server.delete_tag(self.copy_id, ERROR_TAG)
        new_params = _changed(original.data.params, sent.params)
        new_tags = _changed(tags, sent.tags)
        new_points = {_point(each): each for each in points}
        for known in sent.points & new_points.keys():
            del new_points[known]
        server.log_batch(
            self.copy_id,
            metrics=[*new_points.values()],
            params=[entities.Param(*param) for param in new_params.items()],
            tags=[entities.RunTag(*tag) for tag in new_tags.items()],
        )
        sent.params.update(new_params)
        sent.tags.update(new_tags)
        sent.points.update(new_points)
        inputs = original.inputs.dataset_inputs if original.inputs else []
        new_inputs = {json.dumps(each.to_dictionary()): each for each in inputs}
        for known_input in sent.inputs & new_inputs.keys():
            del new_inputs[known_input]
        if new_inputs:
            server.log_inputs(self.copy_id, datasets=[*new_inputs.values()])
            sent.inputs.update(new_inputs)
        self._send_files(path_from_uri(original.info.artifact_uri), is_open=is_open)

    def _send_files(self, artifacts: Path, *, is_open: bool) -> None:
        now = time.time_ns()
        new = {
            path: stat
            for path, stat in _changed(_files(artifacts), self._sent.files).items()
            # A file that is being written has a later time.
            if not is_open or now - stat[1] > WRITING_NS
        }

        def send(path: Path) -> None:
            parent = path.parent.relative_to(artifacts)
            place = parent.as_posix() if parent.name else None
            self._server.log_artifact(self.copy_id, str(path), place)

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            for path, _ in zip(new, threads.map(send, new), strict=True):
                self._sent.files[path] = new[path]

    def _send_models(self, original: entities.Run, copy: entities.Run) -> None:
        """Send the models of a run that the copy does not have, and link them to it."""
        if not model_outputs(original):
            return
        server = self._server
        linked = {output.model_id for output in model_outputs(copy)}
        condition = f"source_run_id = '{self.copy_id}'"
        models = server.search_logged_models([self.experiment_id], condition)
        copies = {model.tags.get(COPY_TAG): model for model in models}
        for output in model_outputs(original):
            source = self._source.get_logged_model(output.model_id)
            model = copies.get(source.model_id) or server.create_logged_model(
                self.experiment_id,
                name=source.name,
                source_run_id=self.copy_id,
                tags={**source.tags, COPY_TAG: source.model_id},
                params=source.params,
            )
            if model.status != source.status:
                folder = path_from_uri(source.artifact_location)
                server.log_model_artifacts(model.model_id, str(folder))
                server.finalize_logged_model(model.model_id, source.status)
            if model.model_id not in linked:
                copied = entities.LoggedModelOutput(model.model_id, output.step)
                server.log_outputs(self.copy_id, [copied])
            ids = {"model_id": model.model_id, "run_id": self.copy_id}
            metrics = [dict(metric) | ids for metric in source.metrics or ()]
            server.log_batch(self.copy_id, [Metric(**each) for each in metrics])

    def _read_points(self, run: entities.Run) -> list[Metric]:
        """Return the metrics of a run at all steps."""
        points = metric_points(self._source.store, run.info.run_id)
        return [Metric(*point) for point in points]


def _changed(
    entries: Mapping[Key, Value], sent: Mapping[Key, Value]
) -> dict[Key, Value]:
    """Return the entries that were not sent with this value."""
    return {key: value for key, value in entries.items() if sent.get(key) != value}


def _point(metric: Metric) -> Point:
    # Values are compared as text, because NaN differs from itself.
    return metric.key, str(metric.value), metric.timestamp, metric.step


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of each file in a folder; hidden ones are incomplete."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = {path: path.stat() for path in paths if path.name[0] != "."}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def recorded_content(run: RecordedRun) -> object:
    """Return a value that changes when a closed run changes.

    It needs no request to MLflow, so the process that copies an open sweep compares it
    every second. Another process knows only the hash in the tag `copy.sha256`.
    """
    return run.status, dict(run.tags), _files(run.artifacts)


def _content_sha256(run: entities.Run, points: list[Metric]) -> str:
    """Return a hash that changes when anything in a run changes.

    Unlike `recorded_content`, it is the same in another process and in a moved store.
    """
    entries = run.to_dictionary()
    # The project may move.
    artifacts = path_from_uri(entries["info"].pop("artifact_uri"))
    metrics = [(p.key, p.value, p.timestamp, p.step) for p in points]
    stats = _files(artifacts).items()
    sizes = [(str(path.relative_to(artifacts)), *stat) for path, stat in stats]
    content = json.dumps([entries, metrics, sizes], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()
