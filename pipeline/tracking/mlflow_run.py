"""A run in MLflow: metrics, images, files, models, and the children of a sweep.

`run_opener` opens runs in the same process.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Concatenate

from filelock import FileLock
from mlflow import entities
from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image

from pipeline import UserError
from pipeline.base import files
from pipeline.base.paths import DIFF_FILE
from pipeline.base.tags import ERROR_TAG, PARENT_TAG, PROJECT_TAG, Status
from pipeline.base.terminal import print_error
from pipeline.core import SIDE
from pipeline.tracking import description, provenance
from pipeline.tracking.interface import (
    Arguments,
    EpochPoint,
    Params,
    Run,
    RunStart,
    Tags,
)
from pipeline.tracking.logged_model import write_model
from pipeline.tracking.store import pages
from pipeline.tracking.store.client import StoreClient, model_outputs
from pipeline.tracking.store.database import children_of, run_label
from pipeline.tracking.store.locks import store_lock, write_lock
from pipeline.tracking.store.mlflow_internals import image_files
from pipeline.tracking.store.sqlite import path_from_uri

THUMBNAIL_SIDE = 512  # pixels; on a large screen, a card is up to 500 pixels wide


class MlflowRun(Run):
    """A run in the store."""

    def __init__(
        self, client: StoreClient, run: entities.Run, lock: FileLock | None = None
    ) -> None:
        """Wrap a run of the store; `lock` is its lock, if `close` sets its status."""
        self._client, self._info, self._lock = client, run.info, lock
        self._experiment_id: str = run.info.experiment_id

    @property
    def run_id(self) -> str:
        return str(self._info.run_id)

    @property
    def label(self) -> str:
        return run_label(self._info.run_name, self.run_id)

    @property
    def artifacts(self) -> Path:
        return path_from_uri(self._info.artifact_uri)

    def submit(
        self,
        function: Callable[Concatenate[Run, Arguments], None],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> None:
        function(self, *arguments, **options)

    def close(self, status: Status, error: str | None) -> str:
        if self._lock is None:  # opened to add results: the status does not change
            return self.run_id
        client, failed = self._client, f"run {self.run_id} could not be marked {status}"
        try:
            try:
                client.set_terminated(self.run_id, status)
                if error:
                    client.set_tag(self.run_id, ERROR_TAG, error)
            finally:  # before this process waits for the store's lock
                Path(self._lock.lock_file).unlink(missing_ok=True)
                self._lock.release()
            if status != Status.FINISHED:  # its incomplete children were killed, too
                failed = f"killed runs could not be marked {Status.KILLED}"
                with store_lock(client.store):
                    client.mark_killed_runs()
        except (UserError, OSError) as problem:
            if status == Status.FINISHED:
                raise
            print_error(f"{failed}: {problem}")
        return self.run_id

    def _log(
        self,
        *,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        """Record metrics, params or tags."""
        self._client.log_batch(self.run_id, metrics, params, tags)

    def log_params(self, params: Params) -> None:
        """Record params, which cannot be changed later."""
        self._log(params=[Param(key, str(value)) for key, value in params.items()])

    def log_diff(self, diff: str) -> None:
        """Record the `code_diff`, whose hash is a tag of the run.

        A resumed run may have a file from its first start. If `diff` is empty, an empty
        file replaces it, including in a copy on a server, where no file is removed.
        """
        if diff or (self.artifacts / DIFF_FILE).exists():
            self.log_text(DIFF_FILE, diff)

    def log_points(self, points: Sequence[EpochPoint]) -> None:
        self._log(metrics=_metrics(points))  # MLflow writes 1,000 at a time

    def log_image(self, name: str, image: Image.Image, *, step: int) -> None:
        """Record an image, which the UI displays on a slider over the steps.

        MLflow's own thumbnails fill only half the area of the UI's card.
        """
        image_path, thumbnail_path = image_files(name, step)
        if not (self.artifacts / image_path).parent.exists():
            self._client.set_tag(self.run_id, MLFLOW_LOGGED_IMAGES, True)
        thumbnail = image.copy()
        thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        with self._artifact(image_path) as partial:
            image.save(partial, "PNG")
        with self._artifact(thumbnail_path) as partial:
            thumbnail.save(partial, "WEBP", quality=90, method=2)

    def _artifact(self, name: str | Path) -> AbstractContextManager[Path]:
        """Return a block that writes an artifact, which is complete or absent.

        The artifact is not flushed to the disk, because a run has many artifacts.
        """
        return files.atomic_file(self.artifacts / name, flush=False)

    def log_text(self, name: str, text: str) -> None:
        with self._artifact(name) as partial:
            partial.write_text(text, encoding="utf-8", errors="surrogateescape")

    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        for path in paths:
            with self._artifact(Path(folder, path.name)) as partial:
                shutil.copyfile(path, partial)

    def log_model(
        self,
        network_path: Path,
        exported: Path,
        points: Sequence[EpochPoint],
        dataset: tuple[str, str],
    ) -> None:
        client, run = self._client, self._client.get_run(self.run_id)
        # A model of an earlier process may be incomplete. Users can log other models.
        condition = f"source_run_id = '{self.run_id}' AND name = 'model'"
        models = client.search_logged_models([self._experiment_id], condition)
        model = next(iter(models), None) or client.create_logged_model(
            self._experiment_id,
            name="model",
            source_run_id=self.run_id,
            params=run.data.params,
        )
        folder = path_from_uri(model.artifact_location)
        name, sha256 = dataset
        ids = {"run_id": self.run_id, "model_id": model.model_id}
        write_model(folder, network_path, exported, **ids, dataset=name)
        if model.model_id not in {output.model_id for output in model_outputs(run)}:
            output = entities.LoggedModelOutput(model.model_id, step=0)
            client.log_outputs(self.run_id, [output])
        client.finalize_logged_model(model.model_id, entities.LoggedModelStatus.READY)
        measured = {"dataset_name": name, "dataset_digest": digest(sha256)}
        self._log(metrics=_metrics(points, **ids, **measured))

    def log_dataset(
        self, name: str, sha256: str, source: str, counts: Mapping[str, int], use: str
    ) -> None:
        spec = {"dtype": "uint8", "shape": [-1, SIDE, SIDE]}
        feature = {"name": "image", "type": "tensor", "tensor-spec": spec}
        dataset = entities.Dataset(
            name=name,
            digest=digest(sha256),
            source_type="local",
            source=json.dumps({"uri": source}),
            schema=json.dumps({"mlflow_tensorspec": {"features": [feature]}}),
            profile=json.dumps(dict(counts)),
        )
        tag = entities.InputTag("mlflow.data.context", use)
        # Without the lock, if two processes record the same new data set at the same
        # time, one process fails.
        with write_lock(self._client.store):
            entry = entities.DatasetInput(dataset, [tag])
            self._client.log_inputs(self.run_id, datasets=[entry])

    def set_tags(self, tags: Tags) -> None:
        self._log(tags=[RunTag(*tag) for tag in tags.items()])

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        with write_lock(self._client.store):  # no other stage adds entries now
            self.set_tags(description.described(self._tags(), text, links))

    def add_links(self, links: Mapping[str, str]) -> None:
        self._add("links", links)

    def add_results(self, results: Mapping[str, str]) -> None:
        self._add("results", results)

    def _add(self, kind: str, new: Mapping[str, str]) -> None:
        """Add entries to the links or results of the description."""
        with write_lock(self._client.store):  # evaluate and inspect may run together
            self.set_tags(description.extended(self._tags(), kind, new))

    def _tags(self) -> Tags:
        """Return the tags of the run, which may have changed."""
        tags: Tags = self._client.get_run(self.run_id).data.tags
        return tags

    def link(self, text: str, page: str) -> str:
        return f"[{text}]({pages.run_page(self._experiment_id, self.run_id, page)})"

    @contextmanager
    def child(
        self, start: RunStart, *, end: int | None = None
    ) -> Iterator["MlflowRun"]:
        project = {PROJECT_TAG: provenance.version(provenance.PROJECT)}
        tags = {**project, **start.tags, PARENT_TAG: self.run_id}
        run = self._client.create_named_run(
            self._experiment_id, start.name, tags, start.time
        )
        child = NewChild(self._client, run)
        child.log_params(start.params)
        child.log_diff(start.diff)
        yield child
        child.complete(end)

    def reopen_child(self, run_id: str) -> "MlflowRun":
        return MlflowRun(self._client, self._client.get_run(run_id))

    def fail_child(self, run_id: str, error: str) -> None:
        self._client.set_tag(run_id, ERROR_TAG, error)
        end = self._client.get_run(run_id).info.end_time
        self._client.set_terminated(run_id, Status.FAILED, end)

    def delete_unfinished_children(self) -> None:
        for recorded in children_of(self._client.store, self.run_id):
            if not recorded.is_final:
                self._client.delete_run(recorded.run_id)

    def compare_children(self, params: Sequence[str]) -> dict[str, str]:
        tag = pages.children_tag(self.run_id, params)
        self._client.set_experiment_tag(self._experiment_id, *tag)
        table, chart = (
            pages.children_page(self._experiment_id, self.run_id, mode=mode)
            for mode in ("TABLE", "CHART")
        )
        return {
            "children": f"[training runs, best first]({table})",
            "charts": f"[charts]({chart})",
        }


class NewChild(MlflowRun):
    """An incomplete child, which keeps its metrics and tags until it is complete.

    All are then recorded in one transaction, because each transaction takes 10 ms.
    """

    def __init__(self, client: StoreClient, run: entities.Run) -> None:
        """Wrap a run of the store."""
        super().__init__(client, run)
        self._kept_metrics: list[Metric] = []
        self._kept_params: list[Param] = []
        self._kept_tags: list[RunTag] = []

    def _log(
        self,
        *,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        self._kept_metrics += metrics
        self._kept_params += params
        self._kept_tags += tags

    def _tags(self) -> Tags:
        return {tag.key: tag.value for tag in self._kept_tags}

    def complete(self, end: int | None) -> None:
        """Record everything, and close the run."""
        if self.failure:
            self.set_tags({ERROR_TAG: self.failure})  # MLflow truncates long values
        kept = self._kept_metrics, self._kept_params, self._kept_tags
        self._client.log_batch(self.run_id, *kept)
        status = Status.FAILED if self.failure else Status.FINISHED
        self._client.set_terminated(self.run_id, status, end)


def _metrics(points: Iterable[EpochPoint], **options: str) -> list[Metric]:
    """Return each value as MLflow's type, with options such as its data set."""
    return [
        Metric(name, value, time, step, **options)
        for step, time, values in points
        for name, value in values.items()
    ]


def digest(sha256: str) -> str:
    """Return the first 32 characters of a hash, because MLflow accepts at most 36."""
    return sha256[:32]
