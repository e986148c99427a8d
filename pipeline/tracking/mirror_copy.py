"""Make exact copies of runs on an MLflow server; runs in the copying process.

`mirror` starts this process and limits its time. It can be killed at any point: the
next one continues, and nothing is lost or stored twice.
"""

import hashlib
import json
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

from mlflow import MlflowClient, entities
from mlflow.entities import LoggedModel, Metric, Run, ViewType
from mlflow.exceptions import MlflowException

from pipeline import files
from pipeline.tracking import pages
from pipeline.tracking.store import complete_experiment, open_store, path_from_uri

ORIGINAL_TAG = "copy.of"  # of a copied run or model: the id of its original
NAMES_TAG = "copy.tags"  # the names of the tags that the original had
STATE_TAG = "copy.state"  # a hash of the original as it was copied


def copy_runs(
    folder: Path, server: str, run_id: str | None
) -> Iterator[dict[str, str]]:
    """Copy a run and its children, or all runs.

    Yields:
        After each run, the address of its copy by the id of the original; after each
        file, an empty dict.

    Raises:
        OSError: If some runs were not copied. MLflow's client may raise other errors.
    """
    store = open_store(folder)
    condition = f"tags.`mlflow.parentRunId` = '{run_id}'" if run_id else ""
    runs = store.search(condition, ViewType.ALL)
    # Parents are last, because a description links to the copies of children.
    runs.sort(key=lambda run: "mlflow.parentRunId" not in run.data.tags)
    runs += [store.client.get_run(run_id)] if run_id else []
    ids = [run.info.run_id for run in runs]
    experiments = [store.experiment_id, *(run.info.experiment_id for run in runs)]
    # Two processes at once would create two copies of a run.
    lock = partial(files.lock, folder / ".server.lock", waiting="")
    with lock():
        mirror = _Mirror(store.client, server, experiments)
    errors: list[str] = []
    for original in ids:
        try:
            with lock():
                yield from mirror.update(original)
        except (MlflowException, OSError) as error:
            mirror.check_server()  # if the server is gone, stop here
            errors.append(f"run {original}: {describe_error(error)}")
    if errors:
        count = f"{len(errors)} of {len(ids)} runs were not copied"
        raise OSError(f"{count}; the first: {errors[0]}")


def describe_error(error: Exception) -> str:
    """Return the reason for an error, in one line without control characters."""
    kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
    text = " ".join(f"{kind}{error}".split())
    system_error = re.search(r"\[Errno -?\d+\] ([\w ]+)", text)
    if system_error:
        return system_error[1]
    timeout = re.search(r"(?:read|connect) timeout=(\d+)", text)
    if timeout:
        return f"no answer within {timeout[1]} s"
    return files.printable(re.split("Caused by |Response body: ", text)[-1][:300])


class _Mirror:
    """The experiments on the server, and the copies in them."""

    def __init__(
        self, source: MlflowClient, address: str, experiments: Iterable[str]
    ) -> None:
        """Find or create experiments on the server, with the names of the originals."""
        self.source, self.server, self.address = source, MlflowClient(address), address
        self.copy_ids: dict[str, str] = {}  # by the id of the original
        self.experiment_ids: dict[str, str] = {}  # by the id of the original
        for original in dict.fromkeys(experiments):
            name = source.get_experiment(original).name
            experiment = self.server.get_experiment_by_name(name)
            if experiment is None:
                created = self.server.create_experiment(name)
                experiment = self.server.get_experiment(created)
            complete_experiment(self.server, experiment)
            self.experiment_ids[original] = experiment.experiment_id
        self.check_server()

    def check_server(self) -> None:
        """Raise an error if the server does not answer or does not accept files."""
        for experiment_id in self.experiment_ids.values():
            experiment = self.server.get_experiment(experiment_id)
            _check_artifact_location(experiment.artifact_location)

    def update(self, run_id: str) -> Iterator[dict[str, str]]:
        """Bring the copy of a run up to date; see `copy_runs`.

        Nothing is done if the run is open, or if the run or its copy was deleted.
        """
        run = self.source.get_run(run_id)  # read again under the lock
        is_deleted = run.info.lifecycle_stage != "active"
        copy = self._find(run_id)
        is_kept = not copy or copy.info.lifecycle_stage == "active"
        if is_deleted and copy and is_kept and run.info.status != "FINISHED":
            self.server.delete_run(copy.info.run_id)  # another attempt replaced it
        if is_deleted or not is_kept or run.info.status in ("RUNNING", "SCHEDULED"):
            return
        copy = copy or self._create(run)
        copy_id: str = copy.info.run_id
        _check_artifact_location(copy.info.artifact_uri)
        self.copy_ids[run_id] = copy_id
        points = [
            Metric(name, point.value, point.timestamp, point.step)
            for name in run.data.metrics
            for point in self.source.get_metric_history(run_id, name)
        ]
        state = _state(run, points)
        if copy.data.tags.get(STATE_TAG) != state:
            self._copy_data(run, points, copy)
            for path, name in _artifacts(run):
                folder = name.rpartition("/")[0] or None
                self.server.log_artifact(copy_id, str(path), folder)
                yield {}
            yield from self._copy_models(run, copy)
            self.server.set_terminated(copy_id, run.info.status, run.info.end_time)
            self.server.set_tag(copy_id, STATE_TAG, state)
        page = pages.run_page(copy.info.experiment_id, copy_id)
        yield {run_id: files.printable(f"{self.address.rstrip('/')}/{page}")}

    def _find(self, run_id: str) -> Run | None:
        """Return the copy of a run, even if it was deleted."""
        condition = f"tags.`{ORIGINAL_TAG}` = '{run_id}'"
        experiments = [*self.experiment_ids.values()]
        runs = self.server.search_runs(experiments, condition, ViewType.ALL)
        return next(iter(runs), None)

    def _create(self, run: Run) -> Run:
        """Create the copy of a run and, if necessary, that of its parent."""
        return self.server.create_run(
            self.experiment_ids[run.info.experiment_id],
            start_time=run.info.start_time,
            tags=self._tags(run),
            run_name=run.info.run_name,
        )

    def _tags(self, run: Run) -> dict[str, str]:
        """Return the tags of the copy; they refer to copies, not to originals."""
        tags = dict(run.data.tags)
        parent = tags.get("mlflow.parentRunId")
        if parent and parent not in self.copy_ids:
            # Create its copy, which stays open until the parent itself is copied.
            parents = self.source.search_runs(
                [*self.experiment_ids], f"attributes.run_id = '{parent}'"
            )
            copy = self._find(parent) or next(map(self._create, parents), None)
            if copy:  # the parent was not deleted
                self.copy_ids[parent] = copy.info.run_id
        original_id = run.info.experiment_id
        copied_id = self.experiment_ids[original_id]
        for tag in {"mlflow.parentRunId", "mlflow.note.content"} & set(tags):
            tags[tag] = pages.move_links(tags[tag], original_id, copied_id)
            for original, copied in self.copy_ids.items():
                tags[tag] = tags[tag].replace(original, copied)
        names = json.dumps(sorted(tags))
        return {NAMES_TAG: names, **tags, ORIGINAL_TAG: run.info.run_id}

    def _copy_data(self, run: Run, points: list[Metric], copy: Run) -> None:
        """Send metrics, params, tags and data sets; sending them again has no effect.

        A tag that the original no longer has is deleted; tags that users added to the
        copy remain.
        """
        copy_id, tags = copy.info.run_id, self._tags(run)
        copied_names = {*json.loads(copy.data.tags[NAMES_TAG])} & copy.data.tags.keys()
        for name in copied_names - tags.keys():
            self.server.delete_tag(copy_id, name)
        self.server.log_batch(
            copy_id,
            metrics=points,
            params=[entities.Param(*param) for param in run.data.params.items()],
            tags=[entities.RunTag(*tag) for tag in tags.items()],
        )
        if run.inputs and run.inputs.dataset_inputs:
            self.server.log_inputs(copy_id, datasets=run.inputs.dataset_inputs)

    def _copy_models(self, run: Run, copy: Run) -> Iterator[dict[str, str]]:
        """Send the models of a run that the copy does not have, and link them to it."""
        server, copy_id = self.server, copy.info.run_id
        copies = {model.tags[ORIGINAL_TAG]: model for model in _models(server, copy)}
        steps, linked = _model_steps(run), _model_steps(copy)
        for original in _models(self.source, run):
            model = copies.get(original.model_id) or server.create_logged_model(
                copy.info.experiment_id,
                name=original.name,
                source_run_id=copy_id,
                tags={**original.tags, ORIGINAL_TAG: original.model_id},
                params=original.params,
                model_type=original.model_type,
            )
            if model.status != original.status:
                _check_artifact_location(model.artifact_location)
                folder = path_from_uri(original.artifact_location)
                server.log_model_artifacts(model.model_id, str(folder))
                metrics = [
                    Metric(m.key, m.value, m.timestamp, m.step, model.model_id)
                    for m in original.metrics or ()
                ]
                server.log_batch(copy_id, metrics=metrics)
                server.finalize_logged_model(model.model_id, original.status)
            if original.model_id in steps and model.model_id not in linked:
                step = steps[original.model_id]
                output = entities.LoggedModelOutput(model.model_id, step)
                server.log_outputs(copy_id, [output])
            yield {}


def _check_artifact_location(address: str) -> None:
    """Refuse a server that would write artifacts to a folder of this machine."""
    if urlparse(address).scheme in ("", "file"):
        raise OSError(
            f"it stores artifacts in {address}, which other machines cannot reach: "
            "start it with --artifacts-destination"
        )


def _artifacts(run: Run) -> list[tuple[Path, str]]:
    """Return the path of each artifact of a run, and its name within the run."""
    folder = path_from_uri(run.info.artifact_uri)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path, str(path.relative_to(folder))) for path in paths]


def _models(client: MlflowClient, run: Run) -> Sequence[LoggedModel]:
    """Return the models that a run recorded."""
    condition = f"source_run_id = '{run.info.run_id}'"
    return client.search_logged_models([run.info.experiment_id], condition)


def _model_steps(run: Run) -> dict[str, int]:
    """Return the step of each model that is linked to a run, by the model's id."""
    outputs = run.outputs.model_outputs if run.outputs else ()
    return {output.model_id: output.step for output in outputs}


def _state(run: Run, points: list[Metric]) -> str:
    """Return a hash that changes when anything in a run changes."""
    entries = run.to_dictionary()
    del entries["info"]["artifact_uri"]  # changes when the project is moved
    metrics = [(p.key, p.value, p.timestamp, p.step) for p in points]
    stats = [(name, path.stat()) for path, name in _artifacts(run)]
    sizes = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    state = json.dumps([entries, metrics, sizes], sort_keys=True, default=str)
    return hashlib.sha256(state.encode()).hexdigest()


def main(folder: str, server: str, run_id: str) -> None:
    """Print what `copy_runs` yields as lines of JSON, at the end the error, or ""."""
    results, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115
    threading.Thread(target=_end_with_input, daemon=True).start()

    def send(message: object) -> None:
        print(json.dumps(message), file=results, flush=True)

    try:
        for addresses in copy_runs(Path(folder), server, run_id or None):
            send(addresses)
        send("")
    except Exception as error:  # MLflow's client can raise anything
        send(describe_error(error))


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
