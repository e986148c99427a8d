"""Runs that are recorded: the module that knows MLflow.

Every run goes to the embedded store, `mlflow.db` and `mlflow-artifacts` in one folder,
which needs no server and no network. Where a server is named, it gets a copy of what is
closed; `copies.py` makes it.
"""

import errno
import json
import os
import platform
import re
import shlex
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline import files
from pipeline.tracking import mirror, provenance

if TYPE_CHECKING:
    import mlflow.entities
    import torch
    from mlflow import MlflowClient
    from PIL import Image

EXPERIMENT = "digits"
NO_LEASE = "nobody"  # the claim of a run that is closed as soon as it is made
UI_ADDRESS = "http://127.0.0.1:5000"


@dataclass(frozen=True)
class ChildRun:
    """A training of a sweep, as its run stands."""

    run_id: str
    setting: str
    status: str
    folder: Path  # of its artifacts


class Run:
    """A run that is open: what is handed to it stands in the store when it returns."""

    def __init__(
        self, client: "MlflowClient", created: "mlflow.entities.Run", store: Path
    ) -> None:
        """Wrap a run that was created in the store; `run` is what opens one."""
        self._client = client
        self._id: str = created.info.run_id
        self.name = created.info.run_name
        self.store = store
        self._experiment = created.info.experiment_id
        self._files = _files_of(created)
        page = f"experiments/{self._experiment}/runs/{self._id}"
        self._drawn = self._pictures()
        self.address = f"{UI_ADDRESS}/#/{page}?workflowType=machine_learning"

    @property
    def id(self) -> str | None:
        """The id under which MLflow finds the run; None if nothing is recorded."""
        return self._id

    def log_metrics(
        self, metrics: Mapping[str, float], *, step: int, time: int
    ) -> None:
        """Record numbers that belong to an epoch; one call an epoch is cheap.

        Args:
            metrics: The numbers, by name.
            step: The epoch.
            time: When they were found, in milliseconds since 1970. The same number
                of the same time, recorded twice, stays one.
        """
        from mlflow.entities import Metric

        points = [Metric(name, value, time, step) for name, value in metrics.items()]
        self._client.log_batch(self._id, metrics=points)

    def log_image(self, name: str, image: "Image.Image", *, step: int) -> None:
        """Record a picture of an epoch, once; the UI shows them on a slider."""
        if (name, step) not in self._drawn:
            self._client.log_image(self._id, image, key=name, step=step)

    def _pictures(self) -> set[tuple[str, int]]:
        """Return name and step of the pictures that were recorded before, whole.

        MLflow writes the small .webp after the picture itself.
        """
        found = [file.path for file in self._client.list_artifacts(self._id, "images")]
        whole = [
            re.fullmatch(r"images/(.+)[+%]step[+%](\d+)[+%].*\.webp", p) for p in found
        ]
        # MLflow writes another letter for the / of a name.
        return {(re.sub(r"\W", "/", name[1]), int(name[2])) for name in whole if name}

    def log_text(self, name: str, text: str) -> None:
        """Record text as a file of the run."""
        self._client.log_text(self._id, text, name)

    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        """Record files, in a folder of the run's artifacts."""
        for path in paths:
            self._client.log_artifact(self._id, str(path), folder)

    def describe(self, text: str) -> None:
        """Say, in markdown, what the run's page shows on top."""
        self.set_tags({"mlflow.note.content": text})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Attach what the run can be searched by."""
        from mlflow.entities import RunTag

        entries = [RunTag(name, value) for name, value in tags.items()]
        self._client.log_batch(self._id, tags=entries)

    def log_dataset(
        self,
        name: str,
        *,
        sha256: str,
        source: str,
        counts: Mapping[str, int],
        use: str,
    ) -> None:
        """Record a data set that the run reads, with its digest.

        Args:
            name: What it is called.
            sha256: Of its bytes.
            source: Where they are from.
            counts: How many pictures each part of it has.
            use: What for: training or evaluation.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        shape = {"name": "image", "type": "tensor"}
        spec = {"dtype": "uint8", "shape": [-1, 28, 28]}
        dataset = Dataset(
            name=name,
            digest=sha256[:32],  # MLflow keeps 36 characters
            source_type="local",
            source=json.dumps({"uri": source}),
            schema=json.dumps(
                {"mlflow_tensorspec": {"features": [{**shape, "tensor-spec": spec}]}}
            ),
            profile=json.dumps(dict(counts)),
        )
        tag = InputTag("mlflow.data.context", use)
        with _making(self.store):  # two at once, of a new data set: one would fail
            self._client.log_inputs(self._id, datasets=[DatasetInput(dataset, [tag])])

    def log_model(self, network: "torch.nn.Module", pixels: "torch.Tensor") -> None:
        """Record the network as an MLflow model: pixels in 0..1 in, probabilities out.

        The saved program is a torch.export archive, which holds no pickle.

        Args:
            network: From pixels (n, 28, 28) to logits (n, 10).
            pixels: An example of two pictures; a program exported from one alone
                would answer single pictures only.
        """
        import mlflow.pytorch
        import torch
        from mlflow.entities import LoggedModelStatus
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        example = pixels.numpy()
        inputs = Schema([TensorSpec(example.dtype, (-1, 28, 28))])
        outputs = Schema([TensorSpec(example.dtype, (-1, 10))])
        for known in self._models():
            if known.status == LoggedModelStatus.READY:
                return  # it was recorded before the run was killed and carried on
            self._client.delete_logged_model(known.model_id)
        packages = [
            f"{p}=={provenance.version(p)}" for p in ("torch", "mlflow", "numpy")
        ]
        mlflow.pytorch.log_model(
            torch.nn.Sequential(deepcopy(network), torch.nn.Softmax(dim=1)).eval(),
            name="model",
            signature=ModelSignature(inputs, outputs),
            input_example=example,
            pip_requirements=packages,
        )

    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record a table, pictures included; recorded again, it is replaced.

        MLflow would give each picture a new name each time, and copies would keep them
        all.
        """
        from PIL.Image import Image

        drawn = f"table_images/{name.removesuffix('.json')}"
        data: dict[str, list[Any]] = {column: [] for column in rows[0]}
        for at, row in enumerate(rows):
            for column, value in row.items():
                if not isinstance(value, Image):
                    data[column].append(value)
                    continue
                cell = {"type": "image"}
                for key, ending in (
                    ("filepath", "png"),
                    ("compressed_filepath", "webp"),
                ):
                    cell[key] = f"{drawn}/{column}-{at}.{ending}"
                    with files.atomic_file(self._files / cell[key]) as written:
                        value.save(written, ending)
                data[column].append(cell)
        (self._files / name).unlink(missing_ok=True)  # else MLflow would add rows
        self._client.log_table(self._id, data, name)

    def child_tags(self) -> dict[str, str]:
        """Return the tags that make another run a child of this one."""
        return {"mlflow.parentRunId": self._id}

    def children(self) -> "list[ChildRun] | None":
        """Return the trainings of this sweep; None if nothing is recorded."""
        ours = f"tags.`mlflow.parentRunId` = '{self._id}'"
        found = self._client.search_runs([self._experiment], ours, max_results=50_000)
        return [
            ChildRun(
                start_run.info.run_id,
                start_run.data.tags.get("setting", ""),
                start_run.info.status,
                _files_of(start_run),
            )
            for start_run in found
        ]

    def settle(
        self,
        name: str,
        tries: Sequence[ChildRun],
        *,
        params: dict[str, str],
        tags: dict[str, str],
        error: str,
    ) -> None:
        """See to it that a setting of this sweep has one child: trained, or failed.

        A try that failed is forgotten once another was trained. A setting that failed
        before its run was opened gets one now.

        Args:
            name: What people call it; the tag `setting` of its run.
            tries: The children of this sweep that have it, the last first.
            params: What shaped it.
            tags: Of its run.
            error: Why it failed; empty if it was trained.
        """
        from mlflow.entities import Param, RunTag

        failed = [child.run_id for child in tries if child.status != "FINISHED"]
        for earlier in failed[1:] if error else failed:  # the last comes first
            self._client.delete_run(earlier)
        if not error:
            return
        if not failed:
            known = _identity({**tags, **self.child_tags(), "setting": name}, NO_LEASE)
            made = self._client.create_run(self._experiment, tags=known, run_name=name)
            failed = [made.info.run_id]
        entries = [Param(key, value) for key, value in params.items()]
        reason = [RunTag("error", error[:5000])]
        self._client.log_batch(failed[0], params=entries, tags=reason)
        self._client.set_terminated(failed[0], "FAILED")

    def comparison(self) -> str:
        """Return where the UI shows the children side by side, as a link within it."""
        runs = quote(json.dumps([child.run_id for child in self.children() or ()]))
        experiments = quote(json.dumps([self._experiment]))
        where = f"runs={runs}&experiments={experiments}&workflowType=machine_learning"
        return f"#/compare-runs?{where}"

    @property
    def label(self) -> str:
        """Name and id, as people are told of the run."""
        return f"{self.name} ({self._id})"

    def _models(self) -> "list[mlflow.entities.LoggedModel]":
        """Return the models that were recorded before, whole or not."""
        its_own = f"source_run_id = '{self._id}'"
        return list(self._client.search_logged_models([self._experiment], its_own))

    def epilogue(self) -> str:
        """Say how to look at the run."""
        uri = shlex.quote(mirror.sqlite_uri(self.store / "mlflow.db"))
        return (
            f"run    {self.label}\n"
            "look   MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 "
            f"--backend-store-uri {uri}\n"
            f"       then open {self.address}\n"
        )


class NullRun(Run):
    """A run that takes everything and keeps nothing, so that no stage asks."""

    id = None
    label = "a training"

    def __init__(self) -> None:
        """Open nothing."""

    def epilogue(self) -> str:
        """Say that there is no run to look at."""
        return "run    not recorded (tracking=none)\n"

    def _drop(self, *values: object, **named: object) -> None:
        """Keep nothing of it."""

    log_metrics = log_image = log_text = log_files = log_table = _drop
    set_tags = describe = log_dataset = log_model = settle = _drop

    def child_tags(self) -> dict[str, str]:
        """Return none."""
        return {}

    def children(self) -> None:
        """Return None: nothing is recorded."""

    def comparison(self) -> str:
        """Return nowhere."""
        return ""


@contextmanager
def start_run(
    *,
    store: Path | None,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    claim: str,
    server: str | None,
) -> Iterator[Run]:
    """Open a run, and close it as what became of it: FINISHED, FAILED or KILLED.

    Args:
        store: The folder of the embedded store, made where there is none; None for a
            run that is not recorded.
        name: What people call the run.
        params: What shaped it, few and short.
        tags: What it can be searched by, beside where it ran.
        claim: A folder, below that of the store, in which this process holds a lock
            while it lives. A run that was opened with it before is carried on; runs
            whose lock nobody holds are marked KILLED.
        server: The address of a server that gets a copy when the run is closed; None
            for no copy. Children of a sweep come with their parent.

    Raises:
        ValueError: If the store can't take a run; it says why and what to do.
    """
    if store is None:
        yield NullRun()
        return
    client, experiment = _open(store)
    import mlflow
    from mlflow.entities import Param, RunTag
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    identity = _identity(tags, claim)
    with _translate_store_errors(store):
        _mark_orphaned_runs_killed(client, experiment, store)
        opened = _opened_with(claim, client, experiment)
        if opened is None:
            opened = client.create_run(experiment, tags=identity, run_name=name)
        run_id = opened.info.run_id
        mlflow.start_run(run_id=run_id, nested=True)  # what log_model writes to
    status, reason = "KILLED", ""
    try:
        entries = [Param(key, str(value)) for key, value in params.items()]
        known = [RunTag(key, value) for key, value in identity.items()]
        with _translate_store_errors(store):
            client.log_batch(run_id, params=entries, tags=known)
            yield Run(client, opened, store)
        status = "FINISHED"
    except Exception as error:
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
        raise
    finally:
        try:
            mlflow.end_run(status)
            client.set_terminated(run_id, status)
            if reason:
                client.set_tag(run_id, "error", reason[:5000])
            elif "error" in opened.data.tags:  # of before it was carried on
                client.delete_tag(run_id, "error")
            if status != "FINISHED":  # a sweep's workers may have been killed with it
                _mark_orphaned_runs_killed(client, experiment, store)
        except (MlflowException, SQLAlchemyError):
            print(f"run {run_id} could not be marked {status}", file=sys.stderr)
        if server and status != "KILLED" and "mlflow.parentRunId" not in tags:
            _copy(store, server, run_id)


def _identity(tags: Mapping[str, str], claim: str) -> dict[str, str]:
    """Return the tags with which a run is created, by which the dead are known."""
    return {**provenance.tags(), **tags, "host": platform.node(), "claim": claim}


@contextmanager
def _translate_store_errors(store: Path) -> Iterator[None]:
    """Say of an error of the database what a person can use."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        lines = str(error).splitlines()
        why = next((line for line in lines if "Error) " in line), lines[0])
        told = f"{store / 'mlflow.db'} took no more: {why}"
        if "disk is full" in str(error):
            raise OSError(errno.ENOSPC, told) from error
        raise OSError(told) from error


def finished_run(*, store: Path | None, claim: str) -> Run | None:
    """Return the run that was opened with a claim and is finished, as it stands."""
    if store is None or not (store / "mlflow.db").exists():
        return None
    client, experiment = _open(store)
    found = _opened_with(claim, client, experiment)
    if found is None or found.info.status != "FINISHED":
        return None
    return Run(client, found, store)


def claims(prefix: str, *, store: Path | None) -> list[str]:
    """Return the claims of runs that begin so, the newest first."""
    if store is None or not (store / "mlflow.db").exists():
        return []
    client, experiment = _open(store)
    found = client.search_runs([experiment], f"tags.claim LIKE '{prefix}%'")
    return [start_run.data.tags["claim"] for start_run in found]


def _opened_with(
    claim: str, client: "MlflowClient", experiment: str
) -> "mlflow.entities.Run | None":
    return next(iter(client.search_runs([experiment], f"tags.claim = '{claim}'")), None)


def _copy(store: Path, server: str, run_id: str) -> None:
    """Let a server have a run; where it doesn't take it, say so, and go on."""
    try:
        arrived = mirror.mirror_runs(
            store, server, experiment=EXPERIMENT, run_id=run_id
        )
        if run_id in arrived:
            print(f"copy   {arrived[run_id]}")
        else:
            told = f"run {run_id} was not copied: it was deleted there, or goes on here"
            print(told, file=sys.stderr)
        return
    except KeyboardInterrupt:  # whoever won't wait: the run is whole here
        why = "stopped"
    except OSError as error:
        why = str(error)
    print(
        f"run {run_id} was not copied ({why}): "
        f"python -m pipeline.sync server={shlex.quote(server)} sends it later",
        file=sys.stderr,
    )


def sync(*, store: Path, server: str) -> dict[str, str]:
    """Let a server have all closed runs that have not arrived there as they stand.

    Returns:
        The address of each run that is there now, by the id of the run here.

    Raises:
        ValueError: If the store can't be opened, or nothing was recorded yet.
        OSError: If the server doesn't take them.
    """
    if not (store / "mlflow.db").exists():
        raise ValueError(f"{store / 'mlflow.db'} is missing: nothing was recorded yet")
    client, experiment = _open(store)
    _mark_orphaned_runs_killed(client, experiment, store)
    return mirror.mirror_runs(store, server, experiment=EXPERIMENT, run_id=None)


@contextmanager
def reopen_run(
    *, store: Path | None, run_id: str | None, weights_sha256: str, server: str | None
) -> Iterator[Run]:
    """Write into the run that trained a network, without opening it again.

    Its status and its end stay as they are. Where the store doesn't know the run, as
    in a fresh clone, one that holds the same weights takes its place; where there is
    none either, one is made, and a line on the screen says so.

    Args:
        store: The folder of the embedded store; None to record nothing.
        run_id: The run that trained the network, if it was recorded.
        weights_sha256: The sha256 of the network's file.
        server: The address of a server that gets a copy of the run; None for none.
    """
    if store is None:
        yield NullRun()
        return
    client, experiment = _open(store)
    same = f"tags.`weights.sha256` = '{weights_sha256}'"
    its_own = f"attributes.run_id = '{run_id}'"
    with _translate_store_errors(store):
        _mark_orphaned_runs_killed(client, experiment, store)
        known = client.search_runs([experiment], its_own if run_id else same)
        known = known or client.search_runs([experiment], same)
        its = next(iter(known), None)
        if its is None:
            name = f"network {weights_sha256[:8]}"
            tags = _identity({"weights.sha256": weights_sha256}, NO_LEASE)
            its = client.create_run(experiment, tags=tags, run_name=name)
            told = f"{name} ({its.info.run_id})"
            print(f"the store has no run of this network; made {told}")
        # Scores are added to what is closed: a kill meanwhile leaves no run open.
        if its.data.tags.get("claim") == NO_LEASE and its.info.status != "FINISHED":
            client.set_terminated(its.info.run_id)
        yield Run(client, its, store)
    if server:
        _copy(store, server, its.info.run_id)


@dataclass(frozen=True)
class RecordedRun:
    """What a training left in its run."""

    run_id: str
    name: str
    tags: Mapping[str, str]
    folder: Path  # of its artifacts, in the store


def find_training_run(run_id: str, *, store: Path) -> RecordedRun:
    """Find the run of a training, and its files.

    Raises:
        ValueError: If the store has no such run, or one that trained no network.
    """
    client, _ = _open(store)
    from mlflow.exceptions import MlflowException

    try:
        known = client.get_run(run_id)
    except MlflowException:
        raise ValueError(
            f"{store / 'mlflow.db'} has no run {run_id!r}: take the whole id "
            "that python -m pipeline.train printed"
        ) from None
    folder = _files_of(known)
    if not (folder / "train" / "model.safetensors").exists():
        why = f"it is {known.info.status}"
        if (folder / "sweep").exists():
            why = "it is a sweep, so take one of its trainings"
        raise ValueError(f"run {known.info.run_name} ({run_id}) has no network: {why}")
    return RecordedRun(run_id, known.info.run_name, known.data.tags, folder)


def _mark_orphaned_runs_killed(
    client: "MlflowClient", experiment: str, store: Path
) -> None:
    """Mark runs of this machine as KILLED that nobody lives to finish."""
    waiting = "waiting for another training to begin or end"
    filters = f"tags.host = '{platform.node()}' AND attributes.status = 'RUNNING'"
    with files.lock(store / "checkpoints" / ".lock", waiting=waiting):
        for run in client.search_runs([experiment], filters, max_results=50_000):
            if files.is_held(store / run.data.tags["claim"] / "lock"):
                continue
            # Only now is it sure that nobody is about to finish it.
            if client.get_run(run.info.run_id).info.status == "RUNNING":
                client.set_terminated(run.info.run_id, "KILLED")


def _open(store: Path) -> tuple["MlflowClient", str]:
    """Return a client of the embedded store, and the id of its experiment."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # nothing leaves this machine
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    import logging

    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow", "alembic"):  # what they log at length is raised as well
        logging.getLogger(name).setLevel(logging.CRITICAL)
    database = store / "mlflow.db"
    uri = mirror.sqlite_uri(database)
    try:
        with _making(store):
            if not database.exists():
                _create(database, _artifacts(store))
        mlflow.set_tracking_uri(uri)
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:  # MLflow made the database, not this program
            with _making(store):
                experiment = client.get_experiment_by_name(EXPERIMENT)
                if experiment is None:
                    made = client.create_experiment(EXPERIMENT, _artifacts(store))
                    experiment = client.get_experiment(made)
    except (MlflowException, SQLAlchemyError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"{database} can't be opened: {why}") from error
    if experiment.lifecycle_stage != "active":
        raise ValueError(
            f"the experiment {EXPERIMENT!r} of {database} was deleted: restore it "
            f"(MLFLOW_TRACKING_URI={shlex.quote(uri)} mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}), or move the file away and "
            "a new one is made"
        )
    place, before = _artifacts(store), experiment.artifact_location
    if before != place:
        ours = before.startswith("file:") and before.endswith(
            f"/mlflow-artifacts/{EXPERIMENT}"
        )
        if not ours or not mirror.path_from_uri(place).is_dir():
            raise ValueError(
                f"{database} was made for artifacts in {before}, and this is {place}: "
                "bring mlflow-artifacts along, or move mlflow.db away and a new store "
                "is made"
            )
        try:
            with _making(store):
                _move(database, before, place)
        except sqlite3.Error as error:
            raise ValueError(f"{database} can't be moved to {place}: {error}") from None
        print(
            f"{store} was moved or copied: artifacts are looked for there from now on"
        )
    return client, experiment.experiment_id


def _move(database: Path, before: str, place: str) -> None:
    """Let runs and models find their files where the project is now.

    MLflow keeps absolute addresses. All change in one transaction, or none.
    """
    addresses = ("experiments.artifact_location", "runs.artifact_uri")
    with closing(sqlite3.connect(database)) as connection, connection:
        for address in (*addresses, "logged_models.artifact_location"):
            table, column = address.split(".")
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE substr({column} || '/', 1, ?) = ?",
                (place, len(before) + 1, len(before) + 1, f"{before}/"),
            )


def _making(store: Path) -> AbstractContextManager[None]:
    """Hold the lock of what MLflow itself makes without one."""
    waiting = f"waiting for another process that writes to {store / 'mlflow.db'}"
    return files.lock(store / ".mlflow.db.lock", waiting=waiting)


def _files_of(run: "mlflow.entities.Run") -> Path:
    """Return the folder of a run's artifacts, which the embedded store has at hand."""
    return mirror.path_from_uri(run.info.artifact_uri)


def _artifacts(store: Path) -> str:
    return f"{(store / 'mlflow-artifacts').as_uri()}/{EXPERIMENT}"


def _create(database: Path, artifacts: str) -> None:
    """Make the database beside its place and move it there whole.

    MLflow creates its tables one by one and without a lock: several processes at once,
    or one that is killed, leave a database that nothing can open.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with files.atomic_file(database) as new:
        made = SqlAlchemyStore(mirror.sqlite_uri(new), artifacts)
        made.create_experiment(EXPERIMENT, artifact_location=artifacts)
        made.engine.dispose()
