"""Exact copies of runs on an MLflow server: what the copying process does.

`mirror` starts this process and limits its time. It can be killed at any point; the
next copy continues, and nothing is lost or stored twice.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlparse

from mlflow import MlflowClient, entities
from mlflow.entities import LoggedModel, Metric, Run, ViewType
from mlflow.exceptions import MlflowException

from pipeline import files
from pipeline.tracking.addresses import EXPERIMENT, path_from_uri, sqlite_uri

ORIGINAL_TAG = "copy.of"  # of a copied run or model: the id of its original
NAMES_TAG = "copy.tags"  # the names of the tags that the original had
STATE_TAG = "copy.state"  # a hash of the original as it was copied
MAX_METRICS = 1000  # that MLflow accepts in one call
MAX_ENTRIES = 100  # params or tags that MLflow accepts in one call


def copy_runs(
    folder: Path, server: str, run_id: str | None, parent: Connection
) -> None:
    """Copy a run and its children, or all runs, and report progress to the parent.

    The messages are ("run", id, address), ("file",), ("end",) and ("error", reason).
    """

    def report_progress() -> None:
        if run_id is None:
            parent.send(("file",))

    errors: list[str] = []
    try:
        source = MlflowClient(sqlite_uri(folder / "mlflow.db"))
        runs = _runs_to_copy(source, run_id)
        with _only_copier(folder):
            mirror = _Mirror(source, MlflowClient(server), report_progress)
        for run in runs:
            try:
                with _only_copier(folder):
                    copy_id = mirror.update(run.info.run_id)
            except (MlflowException, OSError) as error:
                mirror.check_server()  # if the server is gone, stop here
                errors.append(f"run {run.info.run_id}: {_reason(error)}")
                continue
            if copy_id:
                page = f"#/experiments/{mirror.experiment_id}/runs/{copy_id}"
                parent.send(("run", run.info.run_id, f"{server.rstrip('/')}/{page}"))
        if not errors:
            return parent.send(("end",))
        message = f"{len(errors)} of {len(runs)} runs were not copied; the first: "
        parent.send(("error", message + errors[0]))
    except Exception as error:  # after an odd answer, MLflow's client raises anything
        parent.send(("error", _reason(error)))


def _runs_to_copy(source: MlflowClient, run_id: str | None) -> list[Run]:
    """Return the runs, parents last: a description links to the copies of children."""
    experiment = source.get_experiment_by_name(EXPERIMENT)
    assert experiment, "open_store creates it"
    condition = f"tags.`mlflow.parentRunId` = '{run_id}'" if run_id else ""
    ids = [experiment.experiment_id]
    found = source.search_runs(ids, condition, ViewType.ALL, max_results=50_000)
    runs = sorted(found, key=lambda run: "mlflow.parentRunId" not in run.data.tags)
    return [*runs, source.get_run(run_id)] if run_id else runs


def _only_copier(folder: Path) -> AbstractContextManager[None]:
    """Hold a lock, because two processes at once would create two copies of a run."""
    return files.lock(folder / ".server.lock", waiting="")


def _reason(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    system_error = re.search(r"\[Errno -?\d+\] ([\w ]+)", text)
    if system_error:
        return system_error[1]
    return re.split("Caused by |Response body: ", text)[-1][:200]


@dataclass
class _Mirror:
    """The experiment on the server, and the copies in it."""

    source: MlflowClient
    server: MlflowClient
    report_progress: Callable[[], None]  # called after each file
    copy_ids: dict[str, str] = field(default_factory=dict)  # by the original's id

    def __post_init__(self) -> None:
        """Find or create the experiment on the server."""
        experiment = self.server.get_experiment_by_name(EXPERIMENT)
        found = experiment.experiment_id if experiment else None
        self.experiment_id: str = found or self.server.create_experiment(EXPERIMENT)
        self.check_server()

    def check_server(self) -> None:
        """Raise an error if the server does not answer or does not accept files."""
        experiment = self.server.get_experiment(self.experiment_id)
        _check_artifact_location(experiment.artifact_location)

    def update(self, run_id: str) -> str | None:
        """Bring the copy of a run up to date.

        Returns:
            The id of the copy; None if the run is open, or one of both was deleted.
        """
        run = self.source.get_run(run_id)  # now that no other process copies it
        is_deleted = run.info.lifecycle_stage != "active"
        copy = self._find(run_id)
        is_kept = not copy or copy.info.lifecycle_stage == "active"
        if is_deleted and copy and is_kept and run.info.status != "FINISHED":
            self.server.delete_run(copy.info.run_id)  # another attempt replaced it
        if is_deleted or not is_kept or run.info.status in ("RUNNING", "SCHEDULED"):
            return None
        copy = copy or self._create(run)
        copy_id: str = copy.info.run_id
        _check_artifact_location(copy.info.artifact_uri)
        self.copy_ids[run_id] = copy_id
        points = [
            Metric(name, point.value, point.timestamp, point.step)
            for name in run.data.metrics
            for point in self.source.get_metric_history(run_id, name)
        ]
        folder = path_from_uri(run.info.artifact_uri)
        artifacts = sorted(path for path in folder.rglob("*") if path.is_file())
        state = _state(run, points, folder, artifacts)
        if copy.data.tags.get(STATE_TAG) == state:
            return copy_id
        self._copy_data(run, points, copy)
        for artifact in artifacts:
            place = str(artifact.relative_to(folder).parent)
            path = None if place == "." else place
            self.server.log_artifact(copy_id, str(artifact), path)
            self.report_progress()
        self._copy_models(run, copy)
        self.server.set_terminated(copy_id, run.info.status, run.info.end_time)
        self.server.set_tag(copy_id, STATE_TAG, state)
        return copy_id

    def _find(self, run_id: str) -> Run | None:
        """Return the copy of a run, even if it was deleted."""
        condition = f"tags.`{ORIGINAL_TAG}` = '{run_id}'"
        ids = [self.experiment_id]
        return next(iter(self.server.search_runs(ids, condition, ViewType.ALL)), None)

    def _create(self, run: Run) -> Run:
        """Create the copy of a run and, if necessary, that of its parent."""
        return self.server.create_run(
            self.experiment_id,
            start_time=run.info.start_time,
            tags=self._tags(run),
            run_name=run.info.run_name,
        )

    def _find_parent(self, run: Run, parent: str) -> None:
        """Find or create the copy of a parent, unless the parent was deleted.

        A new copy stays open until the parent itself is copied.
        """
        condition, ids = f"attributes.run_id = '{parent}'", [run.info.experiment_id]
        copy = self._find(parent)
        if copy is None and (parents := self.source.search_runs(ids, condition)):
            copy = self._create(parents[0])
        if copy:
            self.copy_ids[parent] = copy.info.run_id

    def _tags(self, run: Run) -> dict[str, str]:
        """Return the tags of the copy; they refer to copies, not to originals."""
        tags = dict(run.data.tags)
        parent = tags.get("mlflow.parentRunId")
        if parent and parent not in self.copy_ids:
            self._find_parent(run, parent)
        query = _experiment_query(run.info.experiment_id)
        replacements = {**self.copy_ids, query: _experiment_query(self.experiment_id)}
        for tag in {"mlflow.parentRunId", "mlflow.note.content"} & set(tags):
            for original, copied in replacements.items():
                tags[tag] = tags[tag].replace(original, copied)
        names = json.dumps(sorted(tags))
        return {NAMES_TAG: names, **tags, ORIGINAL_TAG: run.info.run_id}

    def _copy_data(self, run: Run, points: list[Metric], copy: Run) -> None:
        """Send metrics, params, tags and data sets; sent twice, they are stored once.

        A tag that the original no longer has is deleted; a tag that somebody added to
        the copy stays.
        """
        copy_id, tags, server = copy.info.run_id, self._tags(run), self.server
        copied_names = {*json.loads(copy.data.tags[NAMES_TAG])} & copy.data.tags.keys()
        for name in copied_names - tags.keys():
            server.delete_tag(copy_id, name)
        for metrics in _batches(points, MAX_METRICS):
            server.log_batch(copy_id, metrics=metrics)
        params = [entities.Param(*param) for param in run.data.params.items()]
        for batch in _batches(params, MAX_ENTRIES):
            server.log_batch(copy_id, params=batch)
        for batch in _batches(
            [entities.RunTag(*tag) for tag in tags.items()], MAX_ENTRIES
        ):
            server.log_batch(copy_id, tags=batch)
        if run.inputs and run.inputs.dataset_inputs:
            server.log_inputs(copy_id, datasets=run.inputs.dataset_inputs)

    def _copy_models(self, run: Run, copy: Run) -> None:
        """Send the models of a run that the copy does not have, and link them to it."""
        copies = {
            model.tags[ORIGINAL_TAG]: model for model in _models(self.server, copy)
        }
        steps, linked = _model_steps(run), _model_steps(copy)
        for original in _models(self.source, run):
            model = copies.get(original.model_id) or self.server.create_logged_model(
                self.experiment_id,
                name=original.name,
                source_run_id=copy.info.run_id,
                tags={**original.tags, ORIGINAL_TAG: original.model_id},
                params=original.params,
                model_type=original.model_type,
            )
            if model.status != original.status:
                self._copy_model(original, model, copy.info.run_id)
            if original.model_id in steps and model.model_id not in linked:
                step = steps[original.model_id]
                output = entities.LoggedModelOutput(model.model_id, step)
                self.server.log_outputs(copy.info.run_id, [output])
            self.report_progress()

    def _copy_model(
        self, original: LoggedModel, model: LoggedModel, copy_id: str
    ) -> None:
        """Send the files and metrics of a model, then give it its status."""
        _check_artifact_location(model.artifact_location)
        folder = str(path_from_uri(original.artifact_location))
        self.server.log_model_artifacts(model.model_id, folder)
        metrics = [
            Metric(m.key, m.value, m.timestamp, m.step, model.model_id)
            for m in original.metrics or ()
        ]
        for batch in _batches(metrics, MAX_METRICS):
            self.server.log_batch(copy_id, metrics=batch)
        self.server.finalize_logged_model(model.model_id, original.status)


def _check_artifact_location(address: str) -> None:
    """Refuse a server that would write artifacts to a folder of this machine."""
    if urlparse(address).scheme in ("", "file"):
        raise OSError(
            f"it stores artifacts in {address}, which other machines cannot reach: "
            "start it with --artifacts-destination"
        )


def _models(client: MlflowClient, run: Run) -> Sequence[LoggedModel]:
    """Return the models that a run recorded."""
    condition = f"source_run_id = '{run.info.run_id}'"
    return client.search_logged_models([run.info.experiment_id], condition)


def _model_steps(run: Run) -> dict[str, int]:
    """Return the step of each model that is linked to a run, by the model's id."""
    outputs = run.outputs.model_outputs if run.outputs else ()
    return {output.model_id: output.step for output in outputs}


def _state(run: Run, points: list[Metric], folder: Path, artifacts: list[Path]) -> str:
    """Return a hash that changes when anything in a run changes."""
    entries = run.to_dictionary()
    del entries["info"]["artifact_uri"]  # changes when the project is moved
    metrics = [(p.key, p.value, p.timestamp, p.step) for p in points]
    stats = [(str(path.relative_to(folder)), path.stat()) for path in artifacts]
    sizes = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    state = json.dumps([entries, metrics, sizes], sort_keys=True, default=str)
    return hashlib.sha256(state.encode()).hexdigest()


def _batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _experiment_query(experiment_id: str) -> str:
    """Return the part of a link in MLflow's UI that names an experiment."""
    return f"experiments={quote(json.dumps([experiment_id]))}"
