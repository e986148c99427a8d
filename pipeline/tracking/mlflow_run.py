"""A run in MLflow: metrics, images, files, models and the description.

Runs are opened and closed in `mlflow_tracker`, in the same process.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Concatenate

from filelock import FileLock
from mlflow import entities
from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from pipeline.base import files
from pipeline.base.tags import ENTRIES_TAG, MAX_TAG_LENGTH, NOTE_TAG
from pipeline.core import SIDE
from pipeline.tracking.interface import Arguments, EpochPoint, Params, Run, Tags
from pipeline.tracking.logged_model import write_model
from pipeline.tracking.store import pages
from pipeline.tracking.store.client import StoreClient, model_outputs
from pipeline.tracking.store.locks import write_lock
from pipeline.tracking.store.mlflow_internals import image_files
from pipeline.tracking.store.sqlite import path_from_uri

THUMBNAIL_SIDE = 512  # pixels; a card is up to 500 wide on a large screen
ENTRIES = TypeAdapter(dict[str, dict[str, str]])  # the content of their tag


class MlflowRun(Run):
    """A run in the store."""

    def __init__(
        self, client: StoreClient, run: entities.Run, lock: FileLock | None = None
    ) -> None:
        """Wrap a run of the store; `lock` is its lock, if this process holds it."""
        self._client, self._info, self._lock = client, run.info, lock
        self._experiment_id: str = run.info.experiment_id

    @property
    def run_id(self) -> str:
        return str(self._info.run_id)

    @property
    def label(self) -> str:
        return f"{self._info.run_name} ({self.run_id})"

    @property
    def artifacts(self) -> Path:
        return path_from_uri(self._info.artifact_uri)

    def release(self) -> None:
        """Release and remove the lock of the run; it must be closed."""
        if self._lock:
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def submit(
        self,
        function: Callable[Concatenate[Run, Arguments], None],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> None:
        function(self, *arguments, **options)

    def log_start(self, params: Params, tags: Tags, diff: str) -> None:
        """Record what is known when the run starts; `diff` is the `code_diff`."""
        self._client.log_batch(
            self.run_id,
            params=[Param(key, str(value)) for key, value in params.items()],
            tags=[RunTag(*tag) for tag in tags.items()],
        )
        if diff:
            self.log_text("code.diff", diff)
        else:  # a resumed run may have the one of its first start
            (self.artifacts / "code.diff").unlink(missing_ok=True)

    def log_points(self, points: Sequence[EpochPoint]) -> None:
        metrics = [
            Metric(name, value, time, step)
            for step, time, values in points
            for name, value in values.items()
        ]
        self._log(metrics=metrics)  # MLflow writes 1,000 at a time

    def log_image(self, name: str, image: Image.Image, *, step: int) -> None:
        """Record an image, which the UI displays on a slider over the steps.

        MLflow's own thumbnails are too small: they fill half the area of the UI's card.
        """
        image_path, thumbnail_path = (
            self.artifacts / path for path in image_files(name, step)
        )
        if not image_path.parent.exists():
            self._client.set_tag(self.run_id, MLFLOW_LOGGED_IMAGES, True)
        thumbnail = image.copy()
        thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        with files.atomic_file(image_path) as partial:
            image.save(partial, "PNG")
        with files.atomic_file(thumbnail_path) as partial:
            thumbnail.save(partial, "WEBP", quality=90, method=2)

    def log_text(self, name: str, text: str) -> None:
        path = self.artifacts / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        (self.artifacts / folder).mkdir(parents=True, exist_ok=True)
        for path in paths:
            shutil.copyfile(path, self.artifacts / folder / path.name)

    def log_model(
        self,
        network: Path,
        exported: Path,
        points: Sequence[EpochPoint],
        dataset: tuple[str, str],
    ) -> None:
        client, run = self._client, self._client.get_run(self.run_id)
        # It may be incomplete. A user can have logged another model.
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
        write_model(folder, network, exported, **ids, dataset=name)
        if model.model_id not in {output.model_id for output in model_outputs(run)}:
            output = entities.LoggedModelOutput(model.model_id, step=0)
            client.log_outputs(self.run_id, [output])
        client.finalize_logged_model(model.model_id, entities.LoggedModelStatus.READY)
        metrics = [
            Metric(
                key, x, time, step, model.model_id, name, digest(sha256), self.run_id
            )
            for step, time, values in points
            for key, x in values.items()
        ]
        client.log_batch(self.run_id, metrics=metrics)

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
        # If two processes record the same new data set at once, one of them fails.
        with write_lock(self._client.store):
            entry = entities.DatasetInput(dataset, [tag])
            self._client.log_inputs(self.run_id, datasets=[entry])

    def set_tags(self, tags: Tags) -> None:
        self._log(tags=[RunTag(*tag) for tag in tags.items()])

    def _log(
        self, *, metrics: Sequence[Metric] = (), tags: Sequence[RunTag] = ()
    ) -> None:
        """Record metrics or tags."""
        self._client.log_batch(self.run_id, metrics=metrics, tags=tags)

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        with write_lock(self._client.store):  # another stage may add entries meanwhile
            entries = self._entries()
            entries["links"].update(links)
            before, after = (_markdown(kind, entries[kind]) for kind in entries)
            self._set_note("\n\n".join(filter(None, (before, text, after))), entries)

    def add_links(self, links: Mapping[str, str]) -> None:
        self._add("links", links)

    def add_results(self, results: Mapping[str, str]) -> None:
        self._add("results", results)

    def _add(self, kind: str, new: Mapping[str, str]) -> None:
        """Add entries to the links or results of the description.

        If a user has changed these, they are kept, and the new entries are appended.
        """
        with write_lock(self._client.store):  # evaluate and inspect may run together
            entries = self._entries()
            note = self._client.get_run(self.run_id).data.tags.get(NOTE_TAG, "")
            before = _markdown(kind, entries[kind])
            if before and before in note:
                if kind == "results":  # the newest are last; links keep their places
                    for title in new:
                        entries[kind].pop(title, None)
                entries[kind].update(new)
                note = note.replace(before, _markdown(kind, entries[kind]))
            else:
                entries[kind] = {**new}
                note = f"{note}\n\n{_markdown(kind, new)}".strip()
            self._set_note(note, entries)

    def _entries(self) -> dict[str, dict[str, str]]:
        """Return the links by key and the results by title, the newest last.

        There are none if a user has made the tag unreadable.
        """
        tags, found = self._client.get_run(self.run_id).data.tags, {}
        with suppress(ValidationError):
            found = ENTRIES.validate_json(tags.get(ENTRIES_TAG, "{}"))
        return {kind: found.get(kind, {}) for kind in ("links", "results")}

    def _set_note(self, note: str, entries: Mapping[str, Mapping[str, str]]) -> None:
        """Set both tags; the oldest results are left out if one is too long."""
        results = dict(entries["results"])
        while True:
            text = json.dumps({**entries, "results": results}, ensure_ascii=False)
            if max(len(note), len(text)) <= MAX_TAG_LENGTH or len(results) < 2:
                break
            before = _markdown("results", results)
            del results[next(iter(results))]
            note = note.replace(before, _markdown("results", results))
        self.set_tags({NOTE_TAG: note, ENTRIES_TAG: text})

    def link(self, text: str, page: str) -> str:
        return f"[{text}]({pages.run_page(self._experiment_id, self.run_id, page)})"


def digest(sha256: str) -> str:
    """Return the hash of a data set as MLflow stores it: it accepts 36 characters."""
    return sha256[:32]


def _markdown(kind: str, entries: Mapping[str, str]) -> str:
    """Return links as a line, and results as a list that is sorted by title."""
    if kind == "links":
        return " · ".join(entries.values())
    items = sorted(entries.items())  # this puts all accuracies together
    return "\n".join(f"- **{title}**: {entry}" for title, entry in items)
