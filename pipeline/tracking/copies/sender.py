"""Sends one run to its copy on a server, and remembers what this process has sent.

Runs in the copying process.

While the run is open, new data is sent: params, tags, points, data sets, and files that
did not change in the last second. When the run is closed, the remaining data and the
models are sent, then the tag `copy.sha256`, then the status. All data can be sent
again: MLflow stores equal points once, a file replaces an earlier file with the same
name, and models have the tag `copy.of`.
"""

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient, entities

from pipeline.records.tags import COPIED_TAG, COPY_TAG, OPEN, Status, outdated
from pipeline.tracking.store.client import StoreClient, model_outputs
from pipeline.tracking.store.database import MetricPoint, metric_points
from pipeline.tracking.store.location import path_from_uri
from pipeline.tracking.store.mlflow_calls import using_mlflow
from pipeline.tracking.store.mlflow_internals import VIEW_TAG

CONNECTIONS = 4  # files that are sent at a time
WRITING_NS = 1_000_000_000  # age below which a file may be incomplete
Name = TypeVar("Name")
Value = TypeVar("Value")
FileStats = dict[Path, tuple[int, int]]  # size and time of each file


class Sender:
    """Sends one run to its copy, and sends no data twice."""

    def __init__(
        self, source: StoreClient, server: MlflowClient, copy: entities.Run
    ) -> None:
        """Start with an empty record of the data that was sent."""
        self._source, self._server = source, server
        self.copy_id: str = copy.info.run_id
        self.experiment_id: str = copy.info.experiment_id
        self.sha256 = ""  # the tag copy.sha256 of the copy, as soon as it is complete
        # The data that was sent.
        self._params: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._points: set[MetricPoint] = set()
        self._inputs: set[str] = set()  # each data set with its use, as JSON
        self._files: FileStats = {}

    def send(
        self,
        original: entities.Run,
        copy: entities.Run,
        tags: Mapping[str, str],
        sha256: str,
    ) -> bool:
        """Send the new data of a run and, if the run is closed, complete the copy.

        Tags that users added to the copy remain.

        Args:
            original: The run as MLflow describes it now.
            copy: The copy as MLflow describes it now.
            tags: The tags for the copy.
            sha256: The value of the tag copy.sha256 for a complete copy.

        Returns:
            Whether data was sent: False if the copy of a closed run was complete.
        """
        server, info = self._server, original.info
        if info.status in OPEN:
            if copy.info.status != Status.RUNNING:  # the run was resumed
                if COPIED_TAG in copy.data.tags:  # first: the copy is not complete
                    server.delete_tag(self.copy_id, COPIED_TAG)
                server.update_run(self.copy_id, status=Status.RUNNING)
            self._send(original, copy, tags)
            return True
        is_marked = copy.data.tags.get(COPIED_TAG) == sha256
        is_new = not (is_marked and copy.info.status == info.status)
        if is_new:
            with ThreadPoolExecutor(1) as thread:  # each request takes 3 to 25 ms
                models = thread.submit(self._send_models, original, copy)
                self._send(original, copy, tags)
                metrics = models.result()
            with using_mlflow(self._source.store, "read"):
                views = self._source.get_experiment(info.experiment_id).tags
            if view := views.get(VIEW_TAG + info.run_id):  # view of a sweep's children
                tag = VIEW_TAG + self.copy_id, view.replace(info.run_id, self.copy_id)
                server.set_experiment_tag(self.experiment_id, *tag)
            complete = entities.RunTag(COPIED_TAG, sha256)
            server.log_batch(self.copy_id, metrics=metrics, tags=[complete])
            server.set_terminated(self.copy_id, info.status, info.end_time)
        self.sha256 = sha256
        return is_new

    def _send(
        self, original: entities.Run, copy: entities.Run, tags: Mapping[str, str]
    ) -> None:
        """Send the params, points, tags, data sets and files that are new."""
        server, store = self._server, self._source.store
        for tag in outdated(copy.data.tags, tags):  # the run was resumed
            server.delete_tag(self.copy_id, tag)
        new_params = _changed(original.data.params, self._params)
        new_tags = _changed(tags, self._tags)
        points = metric_points(store, original.info.run_id)
        new_points = [point for point in points if point not in self._points]
        server.log_batch(
            self.copy_id,
            metrics=[entities.Metric(*point) for point in new_points],
            params=[entities.Param(*param) for param in new_params.items()],
            tags=[entities.RunTag(*tag) for tag in new_tags.items()],
        )
        self._params |= new_params
        self._tags |= new_tags
        self._points.update(new_points)
        inputs = original.inputs.dataset_inputs if original.inputs else []
        new_inputs = {
            text: each
            for each in inputs
            if (text := json.dumps(each.to_dictionary())) not in self._inputs
        }
        if new_inputs:
            server.log_inputs(self.copy_id, datasets=[*new_inputs.values()])
            self._inputs |= new_inputs.keys()
        folder = path_from_uri(original.info.artifact_uri)
        self._send_files(folder, is_open=original.info.status in OPEN)

    def _send_files(self, artifacts: Path, *, is_open: bool) -> None:
        now = time.time_ns()
        new = {
            path: stat
            for path, stat in _changed(file_stats(artifacts), self._files).items()
            # A file that is being written has a more recent time.
            if not is_open or now - stat[1] > WRITING_NS
        }

        def send(path: Path) -> None:
            parent = path.parent.relative_to(artifacts)
            place = parent.as_posix() if parent.name else None
            self._server.log_artifact(self.copy_id, str(path), place)

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            for path, _ in zip(new, threads.map(send, new), strict=True):
                self._files[path] = new[path]

    def _send_models(
        self, original: entities.Run, copy: entities.Run
    ) -> list[entities.Metric]:
        """Send the models of a run that the copy lacks, and link them to the copy.

        Returns:
            The metrics of the models, which are not sent.
        """
        metrics = list[entities.Metric]()
        if not model_outputs(original):
            return metrics
        server = self._server
        linked = {output.model_id for output in model_outputs(copy)}
        condition = f"source_run_id = '{self.copy_id}'"
        models = server.search_logged_models([self.experiment_id], condition)
        copies = {model.tags.get(COPY_TAG): model for model in models}
        for output in model_outputs(original):
            with using_mlflow(self._source.store, "read"):
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
                link = entities.LoggedModelOutput(model.model_id, output.step)
                server.log_outputs(self.copy_id, [link])
            ids = {"model_id": model.model_id, "run_id": self.copy_id}
            values = [dict(metric) | ids for metric in source.metrics or ()]
            metrics += [entities.Metric(**each) for each in values]
        return metrics


def _changed(
    entries: Mapping[Name, Value], sent: Mapping[Name, Value]
) -> dict[Name, Value]:
    """Return the entries whose current value was not sent."""
    return {key: value for key, value in entries.items() if sent.get(key) != value}


def file_stats(folder: Path) -> FileStats:
    """Return size and time of each file in a folder, without hidden files.

    Hidden files are incomplete.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = {path: path.stat() for path in paths if path.name[0] != "."}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}
