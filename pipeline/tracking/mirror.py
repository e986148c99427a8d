"""Exact copies of recorded runs on an MLflow server, which may fail in every way.

The embedded store is written first and stays what counts. Whatever has not arrived is
sent by a process of its own, which is killed when its time is over: a time-out of
MLflow's is one for each read, so a server that drips never lets it run out, and a
thread of MLflow's that waits would keep this process from ending.
"""

import hashlib
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlparse
from urllib.request import url2pathname

from pipeline import files
from pipeline.files import printable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

TIMEOUT = 15  # seconds that a server may cost a person who waits to go on
TIMEOUT_PER_RUN = (
    4  # seconds more for each run that arrives; it takes two on two busy cores
)
SYNC_TIMEOUT = 60  # seconds that one file may take, where nothing else is done
ORIGINAL = "copy.of"  # the tag of a copy, and of its model, by which it is found again
SENT = "copy.tags"  # the tag that names the tags that the original had
STATE = "copy.state"  # the tag that says what of the original has arrived
MAX_BATCH = 1000, 100  # metrics, and params or tags, that MLflow takes at once


def mirror_runs(
    store: Path, server: str, *, experiment: str, run_id: str | None
) -> dict[str, str]:
    """Let a server have a run and its children, or all runs, as they stand.

    What has arrived already is not sent again; a run that goes on is left for later.

    Args:
        store: The folder of the embedded store.
        server: The address of the server.
        experiment: The name of the experiment, there as here.
        run_id: The run; None for all.

    Returns:
        The address of each run that is there now, by the id of the run here.

    Raises:
        OSError: If they didn't all arrive in time; it says why, in a line.
    """
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe(duplex=False)
    arguments = (store, server, experiment, run_id, there)
    process = spawned.Process(target=_work, args=arguments, daemon=True)
    process.start()
    there.close()
    addresses: dict[str, str] = {}
    begun = time.monotonic()
    patience: float = TIMEOUT if run_id else SYNC_TIMEOUT
    why = f"not done after {patience} s"
    try:
        while here.poll(patience):
            kind, *told = map(printable, here.recv())
            if kind == "run":
                addresses[told[0]] = told[1]
            elif kind == "end":
                return addresses
            elif kind == "error":
                why = told[0]
                break
            if run_id:  # all of it together may take no longer
                until = begun + TIMEOUT + TIMEOUT_PER_RUN * len(addresses)
                patience = max(0, until - time.monotonic())
    except EOFError:
        why = "the process that copies was ended"
    finally:
        process.kill()
        process.join()
    raise OSError(f"{server} didn't take it: {why}")


def _work(
    store: Path, server: str, experiment: str, run_id: str | None, parent: Connection
) -> None:
    """Copy in a process of its own, and tell the parent of each file and run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # a retried create makes two
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "5" if run_id else str(SYNC_TIMEOUT)
    from mlflow import MlflowClient
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    def alive() -> None:
        if run_id is None:
            parent.send(("file",))

    refused: list[str] = []
    try:
        source = MlflowClient(sqlite_uri(store / "mlflow.db"))
        named = f"name = '{experiment}'"
        (known,) = source.search_experiments(filter_string=named)
        children = f"tags.`mlflow.parentRunId` = '{run_id}'" if run_id else ""
        runs = source.search_runs(
            [known.experiment_id], children, ViewType.ALL, max_results=50_000
        )
        # A parent comes last: its description leads to the copies of its children.
        runs.sort(key=lambda run: "mlflow.parentRunId" not in run.data.tags)
        if run_id:
            runs.append(source.get_run(run_id))
        with _alone(store):
            copies = _Copies(source, MlflowClient(server), experiment, alive)
        for run in runs:
            try:
                with _alone(store):
                    copied = copies.copy(run.info.run_id)
            except (MlflowException, OSError) as error:
                copies.look()  # of a server that is gone nothing more is asked
                refused.append(f"run {run.info.run_id}: {_cause(error)}")
                continue
            if copied:
                page = f"#/experiments/{copies.experiment}/runs/{copied}"
                parent.send(("run", run.info.run_id, f"{server.rstrip('/')}/{page}"))
        if not refused:
            return parent.send(("end",))
        told = f"{len(refused)} of {len(runs)} runs didn't arrive, the first "
        parent.send(("error", told + refused[0]))
    except Exception as error:  # whatever a server's answer makes of MLflow's client
        parent.send(("error", _cause(error)))


def _cause(error: Exception) -> str:
    told = " ".join(f"{type(error).__name__}: {error}".split())
    of_the_system = re.search(r"\[Errno -?\d+\] ([\w ]+)", told)
    if of_the_system:
        return of_the_system[1]
    return re.split("Caused by |Response body: ", told)[-1][:200]


def _alone(store: Path) -> AbstractContextManager[None]:
    """Keep other copies waiting: of the same run, two at once would make two."""
    return files.lock(store / ".server.lock", waiting="")


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    os._exit(1)


@dataclass
class _Copies:
    """What stands on the server, and what is still to be sent."""

    source: "MlflowClient"
    server: "MlflowClient"
    name: str  # of the experiment
    alive: Callable[[], None]  # called when a file has arrived
    ids: dict[str, str] = field(default_factory=dict)  # of runs, and of their copies

    def __post_init__(self) -> None:
        """Find the experiment of the copies, or make it."""
        known = self.server.get_experiment_by_name(self.name)
        made = known.experiment_id if known else None
        self.experiment = made or self.server.create_experiment(self.name)
        self.look()

    def look(self) -> None:
        """See that the server is there, and keeps files where they can be sent."""
        found = self.server.get_experiment(self.experiment)
        _check_place(found.artifact_location)

    def copy(self, run_id: str) -> str | None:
        """Bring the copy of a run up to date, and return its id."""
        run = self.source.get_run(run_id)  # as it stands now that no other copies it
        gone = run.info.lifecycle_stage != "active"
        copied = self._find(run.info.run_id)
        kept = not copied or copied.info.lifecycle_stage == "active"
        if gone and copied and kept and run.info.status != "FINISHED":
            self.server.delete_run(copied.info.run_id)  # another try took its place
        if gone or not kept or run.info.status in ("RUNNING", "SCHEDULED"):
            return None
        copied = copied or self._create(run)
        copied_id: str = copied.info.run_id
        _check_place(copied.info.artifact_uri)
        self.ids[run.info.run_id] = copied_id
        points = [
            (name, point.value, point.timestamp, point.step)
            for name in run.data.metrics
            for point in self.source.get_metric_history(run.info.run_id, name)
        ]
        folder = path_from_uri(run.info.artifact_uri)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        state = _state(run, points, folder, files)
        if copied.data.tags.get(STATE) == state:
            return copied_id
        self._numbers(run, points, copied)
        for file in files:
            place = str(file.relative_to(folder).parent)
            at = None if place == "." else place
            self.server.log_artifact(copied_id, str(file), at)
            self.alive()
        self._models(run, copied)
        self.server.set_terminated(copied_id, run.info.status, run.info.end_time)
        self.server.set_tag(copied_id, STATE, state)
        return copied_id

    def _find(self, run_id: str) -> "Run | None":
        from mlflow.entities import ViewType

        same = f"tags.`{ORIGINAL}` = '{run_id}'"
        found = self.server.search_runs([self.experiment], same, ViewType.ALL)
        return next(iter(found), None)

    def _create(self, run: "Run") -> "Run":
        """Create a copy, and that of its parent first, which goes on until it comes."""
        return self.server.create_run(
            self.experiment,
            start_time=run.info.start_time,
            tags=self._tags(run),
            run_name=run.info.run_name,
        )

    def _tags(self, run: "Run") -> dict[str, str]:
        """Return the tags of a run, which name the copies of others, not the others."""
        from mlflow.entities import ViewType

        tags = dict(run.data.tags)
        parent = tags.get("mlflow.parentRunId")
        if parent and parent not in self.ids:
            its_own = f"attributes.run_id = '{parent}'"
            active = ViewType.ACTIVE_ONLY  # a child may have outlived its parent
            experiment = [run.info.experiment_id]
            known = self._find(parent) or next(
                map(self._create, self.source.search_runs(experiment, its_own, active)),
                None,
            )
            if known:
                self.ids[parent] = known.info.run_id
        names = {**self.ids, _link(run.info.experiment_id): _link(self.experiment)}
        for tag in {"mlflow.parentRunId", "mlflow.note.content"} & set(tags):
            for own, copied in names.items():
                tags[tag] = tags[tag].replace(own, copied)
        return {SENT: json.dumps(sorted(tags)), **tags, ORIGINAL: run.info.run_id}

    def _numbers(
        self, run: "Run", points: list[tuple[str, float, int, int]], copied: "Run"
    ) -> None:
        """Send metrics, params, tags and data sets; sent twice, each stays one.

        A tag that the original has no more goes; one that somebody gave to the copy
        stays.
        """
        from mlflow.entities import Metric, Param, RunTag

        copied_id, tags, (metrics, others) = (
            copied.info.run_id,
            self._tags(run),
            MAX_BATCH,
        )
        sent = {*json.loads(copied.data.tags[SENT])} & copied.data.tags.keys()
        for gone in sent - tags.keys():
            self.server.delete_tag(copied_id, gone)
        for part in _parts([Metric(*point) for point in points], metrics):
            self.server.log_batch(copied_id, metrics=part)
        for part in _parts([Param(*p) for p in run.data.params.items()], others):
            self.server.log_batch(copied_id, params=part)
        for part in _parts([RunTag(*t) for t in tags.items()], others):
            self.server.log_batch(copied_id, tags=part)
        if run.inputs and run.inputs.dataset_inputs:
            self.server.log_inputs(copied_id, datasets=run.inputs.dataset_inputs)

    def _models(self, run: "Run", copied: "Run") -> None:
        """Send the models of a run that are not there, and tell the copy of them."""
        from mlflow.entities import LoggedModelOutput, Metric

        its_own = f"source_run_id = '{run.info.run_id}'"
        models = self.source.search_logged_models([run.info.experiment_id], its_own)
        there = f"source_run_id = '{copied.info.run_id}'"
        known = {
            model.tags[ORIGINAL]: model
            for model in self.server.search_logged_models([self.experiment], there)
        }
        steps, told = (
            {output.model_id: output.step for output in one.outputs.model_outputs}
            if one.outputs
            else {}
            for one in (run, copied)
        )
        for model in models:
            made = known.get(model.model_id) or self._model(model, copied)
            _check_place(made.artifact_location)
            if made.status != model.status:
                folder = str(path_from_uri(model.artifact_location))
                self.server.log_model_artifacts(made.model_id, folder)
                points = [
                    Metric(m.key, m.value, m.timestamp, m.step, made.model_id)
                    for m in model.metrics or ()
                ]
                for part in _parts(points, MAX_BATCH[0]):
                    self.server.log_batch(copied.info.run_id, metrics=part)
                self.server.finalize_logged_model(made.model_id, model.status)
            if model.model_id in steps and made.model_id not in told:
                output = LoggedModelOutput(made.model_id, steps[model.model_id])
                self.server.log_outputs(copied.info.run_id, [output])
            self.alive()

    def _model(self, model: "LoggedModel", copied: "Run") -> "LoggedModel":
        return self.server.create_logged_model(
            self.experiment,
            name=model.name,
            source_run_id=copied.info.run_id,
            tags={**model.tags, ORIGINAL: model.model_id},
            params=model.params,
            model_type=model.model_type,
        )


def _check_place(address: str) -> None:
    """Refuse a folder as the place of files: it would be one of this machine.

    Raises:
        OSError: If it is one.
    """
    if urlparse(address).scheme in ("", "file"):
        raise OSError(
            f"it keeps files in {address}, which other machines can't reach: start it "
            "with --artifacts-destination"
        )


def _state(
    run: "Run",
    points: list[tuple[str, float, int, int]],
    folder: Path,
    files: list[Path],
) -> str:
    """Return what changes whenever anything of a run does."""
    known = run.to_dictionary()
    del known["info"]["artifact_uri"]  # another where the project was moved to
    stats = [(str(file.relative_to(folder)), file.stat()) for file in files]
    sizes = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    told = json.dumps([known, points, sizes], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def _parts(entries: list[Any], most: int) -> Iterator[list[Any]]:
    return (entries[at : at + most] for at in range(0, len(entries), most))


def sqlite_uri(database: Path) -> str:
    """Return how MLflow is told of an SQLite file; a ? would begin something else.

    With a driver in it, too, MLflow makes no folder whose name has the %3F itself.
    """
    quoted = str(database).replace("%", "%25").replace("?", "%3F")
    driver = "+pysqlite" if "%" in quoted else ""
    return f"sqlite{driver}:///{quoted}"


def path_from_uri(uri: str) -> Path:
    """Return the folder that a file: address of the embedded store means."""
    return Path(url2pathname(urlparse(uri).path))


def _link(experiment: str) -> str:
    """Return how a link of MLflow's pages names an experiment."""
    return f"experiments={quote(json.dumps([experiment]))}"
