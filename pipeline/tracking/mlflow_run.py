"""A run in MLflow: metrics, images, files, models, the description, and children.

Runs in the recorder. Other packages import `MlflowRun` only for type checking; they
pass functions with an `MlflowRun` as first argument to `OpenRun.record`.

`recorder` opens and closes runs.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from mlflow import entities
from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image

from pipeline.base import files
from pipeline.core import SIDE
from pipeline.core.epoch import now
from pipeline.records.file_names import DIFF_FILE
from pipeline.records.tags import ERROR_TAG, Status
from pipeline.tracking import description
from pipeline.tracking.logged_model import record_model
from pipeline.tracking.run_data import Metrics, ModelData, Params, StepMetrics, Tags
from pipeline.tracking.store import pages
from pipeline.tracking.store.client import StoreClient
from pipeline.tracking.store.database import RunInfo
from pipeline.tracking.store.location import path_from_uri
from pipeline.tracking.store.locks import write_lock
from pipeline.tracking.store.mlflow_internals import image_files

THUMBNAIL_SIDE = 512  # pixels; on a large screen, a card is up to 500 pixels wide


class _Batch(NamedTuple):
    """Metrics, params and tags that are recorded together."""

    metrics: list[Metric]
    params: list[Param]
    tags: list[RunTag]


@dataclass(frozen=True, eq=False)
class MlflowRun(RunInfo):
    """A run in the store; each method returns when the data is stored.

    The run can be a sweep, whose training runs are its children. A new child keeps its
    metrics, params and tags until it is complete. They are then recorded together,
    which is faster than many transactions.
    """

    client: StoreClient
    experiment_id: str  # the ID of the run's experiment in MLflow
    lock: FileLock | None  # the lock of the run, if `recorder.end` sets its status
    kept: _Batch | None  # what `recorder.complete_child` records for a new child

    @classmethod
    def of(
        cls,
        client: StoreClient,
        run: entities.Run,
        *,
        lock: FileLock | None = None,
        is_new_child: bool = False,
    ) -> "MlflowRun":
        """Return a run of the store."""
        info, kept = run.info, _Batch([], [], []) if is_new_child else None
        path = path_from_uri(info.artifact_uri)
        name, experiment_id = info.run_name, info.experiment_id
        return cls(info.run_id, name, path, client, experiment_id, lock, kept)

    def _log(
        self,
        *,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        """Record metrics, params or tags."""
        if self.kept is None:
            self.client.log_batch(self.run_id, metrics, params, tags)
            return
        self.kept.metrics.extend(metrics)
        self.kept.params.extend(params)
        self.kept.tags.extend(tags)

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

    def log_metrics(
        self, metrics: Metrics, *, step: int, time: int | None = None
    ) -> None:
        """Record the metrics of an epoch.

        `time` is in milliseconds since 1970; None means now. A value that is recorded
        twice with the same time is stored once.
        """
        time = now() if time is None else time
        self.log_points([StepMetrics(step, time, metrics)])

    def log_points(self, points: Sequence[StepMetrics]) -> None:
        """Record the metrics of many epochs at once.

        One call takes less than a tenth of the time of a `log_metrics` call per epoch.
        """
        self._log(metrics=_metrics(points))  # MLflow writes 1,000 at a time

    def log_image(self, name: str, image: Image.Image, *, step: int) -> None:
        """Record an image of an epoch; it replaces an earlier image of this epoch.

        The UI displays the images on a slider over the steps. MLflow's own thumbnails
        fill only half the area of the UI's card.
        """
        image_path, thumbnail_path = image_files(name, step)
        if not (self.artifacts / image_path).parent.exists():
            self.client.set_tag(self.run_id, MLFLOW_LOGGED_IMAGES, True)
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
        """Record text as an artifact with this name.

        Surrogates, which stand for bytes that are not UTF-8 (as in a patch), are
        written as the original bytes.
        """
        with self._artifact(name) as partial:
            partial.write_text(text, encoding="utf-8", errors="surrogateescape")

    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        """Record files in a folder of the run's artifacts."""
        for path in paths:
            with self._artifact(Path(folder, path.name)) as partial:
                shutil.copyfile(path, partial)

    def log_model(self, model: ModelData) -> None:
        """Record a network as an MLflow model, or replace its files.

        The model maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10).
        """
        run = self.client.get_run(self.run_id)
        model_id = record_model(self.client, run, model)
        origin = {
            "run_id": self.run_id,
            "model_id": model_id,
            "dataset_name": model.dataset,
            "dataset_digest": digest(model.data_sha256),
        }
        self._log(metrics=_metrics(model.points, **origin))

    def log_dataset(
        self, name: str, sha256: str, source: str, counts: Mapping[str, int], use: str
    ) -> None:
        """Record a data set that the run reads from `source`.

        `counts` is the number of images in each part; `use` is "training" or
        "evaluation".
        """
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
        with write_lock(self.client.store):
            entry = entities.DatasetInput(dataset, [tag])
            self.client.log_inputs(self.run_id, datasets=[entry])

    def set_tags(self, tags: Tags) -> None:
        """Set tags, which can be used to search for runs."""
        self._log(tags=[RunTag(*tag) for tag in tags.items()])

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        """Set the text and links of the description, which is Markdown.

        The description is a line of links, the text, and a list of results. The run's
        page shows the first lines, and the rest on demand. See `add_links`.
        """
        with write_lock(self.client.store):  # no other stage adds entries now
            self.set_tags(description.described(self._tags(), text, links))

    def add_links(self, links: Mapping[str, str]) -> None:
        """Add links to the description, or replace the links with the same keys."""
        self._extend_description("links", links)

    def add_results(self, results: Mapping[str, str]) -> None:
        """Add results to the description, or replace results with the same titles."""
        self._extend_description("results", results)

    def _extend_description(self, kind: str, new: Mapping[str, str]) -> None:
        """Add entries to the links or results of the description."""
        with write_lock(self.client.store):  # evaluate and inspect may run together
            self.set_tags(description.extended(self._tags(), kind, new))

    def _tags(self) -> Tags:
        """Return the tags of the run, which may have changed."""
        if self.kept is not None:
            return {tag.key: tag.value for tag in self.kept.tags}
        tags: Tags = self.client.get_run(self.run_id).data.tags
        return tags

    def link(self, text: str, page: str = "") -> str:
        """Return a Markdown link to the run or to a page of the run.

        `page` is "model-metrics", or "artifacts/" and the name of an artifact.
        """
        return f"[{text}]({pages.run_page(self.experiment_id, self.run_id, page)})"

    def reopen_child(self, run_id: str) -> "MlflowRun":
        """Return a finished child to record more data; its status does not change."""
        return MlflowRun.of(self.client, self.client.get_run(run_id))

    def fail_child(self, run_id: str, error: str) -> None:
        """Mark a finished child whose files are damaged as FAILED."""
        self.client.set_tag(run_id, ERROR_TAG, error)
        end = self.client.get_run(run_id).info.end_time
        self.client.set_terminated(run_id, Status.FAILED, end)

    def compare_children(self, params: Sequence[str]) -> dict[str, str]:
        """Return Markdown links, by name, to pages that compare the children.

        `pages.children_tag` describes these pages, which depend on the varied `params`.
        """
        tag = pages.children_tag(self.run_id, params)
        self.client.set_experiment_tag(self.experiment_id, *tag)
        return pages.children_links(self.experiment_id, self.run_id)


def _metrics(points: Iterable[StepMetrics], **keywords: str) -> list[Metric]:
    """Return each value as MLflow's type, with fields such as its data set."""
    return [
        Metric(name, value, time, step, **keywords)
        for step, time, values in points
        for name, value in values.items()
    ]


def digest(sha256: str) -> str:
    """Return the first 32 characters of a hash, because MLflow accepts at most 36."""
    return sha256[:32]
