"""The data of a run in MLflow: metrics, images, files, models and the description.

Runs in the process that records.

`run_opener` opens a run as a `ParentRun` of `mlflow_children`.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Concatenate

from mlflow import entities
from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image

from pipeline.base import files
from pipeline.base.paths import DIFF_FILE
from pipeline.core import SIDE
from pipeline.tracking import description
from pipeline.tracking.interface import (
    Arguments,
    EpochPoint,
    ModelData,
    Params,
    Run,
    Tags,
)
from pipeline.tracking.logged_model import write_model
from pipeline.tracking.store import pages
from pipeline.tracking.store.client import StoreClient, model_outputs
from pipeline.tracking.store.database import run_label
from pipeline.tracking.store.locks import write_lock
from pipeline.tracking.store.mlflow_internals import image_files
from pipeline.tracking.store.sqlite import path_from_uri

THUMBNAIL_SIDE = 512  # pixels; on a large screen, a card is up to 500 pixels wide


class MlflowRun(Run):
    """A run in the store."""

    def __init__(self, client: StoreClient, run: entities.Run) -> None:
        """Wrap a run of the store."""
        self._client, self._info = client, run.info
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
        **keywords: Arguments.kwargs,
    ) -> None:
        function(self, *arguments, **keywords)

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

    def log_model(self, model: ModelData) -> None:
        client, run = self._client, self._client.get_run(self.run_id)
        # A model of an earlier process may be incomplete. Users can log other models.
        condition = f"source_run_id = '{self.run_id}' AND name = 'model'"
        models = client.search_logged_models([self._experiment_id], condition)
        logged = next(iter(models), None) or client.create_logged_model(
            self._experiment_id,
            name="model",
            source_run_id=self.run_id,
            params=run.data.params,
        )
        folder = path_from_uri(logged.artifact_location)
        ids = {"run_id": self.run_id, "model_id": logged.model_id}
        write_model(folder, model, **ids)
        if logged.model_id not in {output.model_id for output in model_outputs(run)}:
            output = entities.LoggedModelOutput(logged.model_id, step=0)
            client.log_outputs(self.run_id, [output])
        client.finalize_logged_model(logged.model_id, entities.LoggedModelStatus.READY)
        measured_with = {
            "dataset_name": model.dataset,
            "dataset_digest": digest(model.data_sha256),
        }
        self._log(metrics=_metrics(model.points, **ids, **measured_with))

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


def _metrics(points: Iterable[EpochPoint], **keywords: str) -> list[Metric]:
    """Return each value as MLflow's type, with fields such as its data set."""
    return [
        Metric(name, value, time, step, **keywords)
        for step, time, values in points
        for name, value in values.items()
    ]


def digest(sha256: str) -> str:
    """Return the first 32 characters of a hash, because MLflow accepts at most 36."""
    return sha256[:32]
