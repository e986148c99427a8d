"""Finds, creates and updates the copies of runs on an MLflow server.

Runs in the copying process.

A copy is a run with its own ID in the experiment with the same name. The tag `copy.of`
of the copy is the ID of the original. Nothing else identifies the copy, so two
processes could create two copies. Therefore, `copy_run` holds `server_lock`. In tags
and links of a copy, the IDs of runs are replaced by the IDs of their copies, so the
runs that a run refers to are copied first (see `copier`). The ID of a run without a
copy is replaced as soon as the run has a copy.

The copy of a closed run is complete if it has the status of the run, and if its tag
`copy.sha256` is `Copies._sha256` of the run. A process that has completed the copy
remembers the tag, so it needs no request to see that nothing has changed since.

The helper process can be killed at any point. The next helper process continues, and
nothing is lost or stored twice. `sender` sends the data of each run.
"""

import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

from mlflow import MlflowClient, entities
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from pipeline import UserError
from pipeline.base.files import json_sha256
from pipeline.base.text import printable
from pipeline.records.tags import COPY_TAG, ID_TAGS, OPEN, PARENT_TAG, RUN_TAGS, Status
from pipeline.tracking.copies.copier import DELETED, RUNNING, CopyStatus
from pipeline.tracking.copies.sender import Sender, file_stats
from pipeline.tracking.store import pages
from pipeline.tracking.store.client import StoreClient, complete_experiment, open_store
from pipeline.tracking.store.database import RecordedRun, content_of, named_runs
from pipeline.tracking.store.mlflow_calls import using_mlflow

# Errors whose text is clear, from a run or from the server. If a server sends a
# response that MLflow cannot read, any other error can be raised.
ERRORS = (MlflowException, OSError, UserError)


@cache
def connect(store: Path, url: str) -> "Copies":
    """Return the copies on a server, which remember what this process has sent."""
    # MLflow must not repeat requests, because this could create a run twice.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    return Copies(open_store(store), url)


class Copies:
    """The copies of the runs of one store on one server."""

    def __init__(self, source: StoreClient, url: str) -> None:
        """Connect to a server."""
        self._source, self.url = source, url
        self._client = MlflowClient(url)
        self._senders: dict[str, Sender] = {}  # by the ID of the run
        self._experiments: dict[str, str] = {}  # the ID of the copy, by original ID

    def copy(
        self, recorded: RecordedRun, *, is_open: bool = False
    ) -> CopyStatus | None:
        """Bring the copy of a run up to date; see `update`.

        The result is "failed" if the server responds, but rejects this run.

        Raises:
            UserError: If the server does not respond.
        """
        try:
            return self.update(recorded, is_open=is_open)
        except Exception as error:  # noqa: BLE001 - the result has the reason
            reason = _describe(error)
        try:
            self._client.search_experiments(max_results=1)
        except Exception as error:
            reason = _describe(error)
            rule = "cannot be reached" if _system_error(error) else "rejected the copy"
            raise UserError(f"{self.url} {rule}: {reason}") from error
        return CopyStatus("failed", reason=reason)

    def update(
        self, recorded: RecordedRun, *, is_open: bool = False
    ) -> CopyStatus | None:
        """Bring the copy of a run up to date; the caller holds `server_lock`.

        Nothing is done if the copy was deleted, or if the run is running and `is_open`
        is False. The result is None if the run itself was deleted.
        """
        sender = self._senders.get(recorded.run_id)
        # The content is read before the run, so that data that is added in the meantime
        # is sent by the next call.
        content = self._content(recorded)
        if sender and sender.sha256 == self._sha256(recorded, content):
            return CopyStatus("complete", self._url(sender))
        run = self._original(recorded.run_id)
        copy = self._find(run)
        if _is_deleted(run):
            # The run failed, and another attempt has replaced it.
            if copy and not _is_deleted(copy) and run.info.status != Status.FINISHED:
                self._client.delete_run(copy.info.run_id)
            return None
        if copy and _is_deleted(copy):
            return DELETED
        if run.info.status in OPEN and not is_open:
            return RUNNING
        self._find_related(run)
        copy = copy or self._create(run)
        sender = self._sender(run, copy)
        complete = self._sha256(recorded, content)  # with all IDs that are known now
        is_sent = sender.send(run, copy, self._tags_of_copy(run), complete)
        return CopyStatus("copied" if is_sent else "complete", self._url(sender))

    def _url(self, sender: Sender) -> str:
        page = pages.run_page(sender.experiment_id, sender.copy_id)
        return printable(f"{self.url.rstrip('/')}/{page}")

    def _sender(self, run: entities.Run, copy: entities.Run) -> Sender:
        """Return the `Sender` of a run, which knows the data that was sent."""
        run_id = run.info.run_id
        known = self._senders.get(run_id)
        if known is None or known.copy_id != copy.info.run_id:
            known = self._senders[run_id] = Sender(self._source, self._client, copy)
        return known

    def _original(self, run_id: str) -> entities.Run:
        """Return a run of the store in its current state."""
        with using_mlflow(self._source.store, "read"):
            return self._source.get_run(run_id)

    def _experiment_name(self, run: entities.Run) -> str:
        """Return the name of the experiment of a run of the store."""
        with using_mlflow(self._source.store, "read"):
            return str(self._source.get_experiment(run.info.experiment_id).name)

    def _experiment_of(self, run: entities.Run) -> str:
        """Return the ID of the experiment of a copy; create it if needed."""
        original_id = run.info.experiment_id
        if original_id not in self._experiments:
            name = self._experiment_name(run)
            self._experiments[original_id] = self._find_or_create_experiment(name)
        return self._experiments[original_id]

    def _find_or_create_experiment(self, name: str) -> str:
        """Create an experiment, or its note and view, if missing; return its ID.

        Raises:
            UserError: If the server would write artifacts to a folder of this machine.
        """
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            created = self._client.create_experiment(name)
            experiment = self._client.get_experiment(created)
        complete_experiment(self._client, experiment)
        location = experiment.artifact_location
        if urlparse(location).scheme in ("", "file"):
            raise UserError(
                f"it stores artifacts in {location}, which other machines cannot "
                "reach: start it with --artifacts-destination"
            )
        return str(experiment.experiment_id)

    def _find(self, run: entities.Run) -> entities.Run | None:
        """Return the copy of a run, even if it was deleted."""
        condition = f"tags.`{COPY_TAG}` = '{run.info.run_id}'"
        experiment = self._client.get_experiment_by_name(self._experiment_name(run))
        if experiment is None:
            return None
        ids = [str(experiment.experiment_id)]
        runs = self._client.search_runs(ids, condition, ViewType.ALL)
        return next(iter(runs), None)

    def _create(self, run: entities.Run) -> entities.Run:
        """Create the copy of a run."""
        return self._client.create_run(
            self._experiment_of(run),
            start_time=run.info.start_time,
            tags=self._tags_of_copy(run),
            run_name=run.info.run_name,
        )

    def _find_related(self, run: entities.Run) -> None:
        """Find the copies of the runs that tags refer to, so that their IDs are known.

        If the parent has no copy, a copy of the parent is created. This copy stays open
        until the parent itself is copied.
        """
        for tag in RUN_TAGS:
            run_id = run.data.tags.get(tag, "")
            if not run_id or run_id in self._senders:
                continue
            if named_runs(self._source.store, run_id):  # not deleted
                original = self._original(run_id)
                copy = self._find(original)
                if copy is None and tag == PARENT_TAG:
                    copy = self._create(original)
                if copy:
                    self._sender(original, copy)

    def _tags_of_copy(self, run: entities.Run) -> dict[str, str]:
        """Return the tags of the copy, with the IDs of all copies that exist."""
        tags = dict(run.data.tags)
        ids = run.info.experiment_id, self._experiment_of(run)
        for tag in ID_TAGS & tags.keys():
            tags[tag] = pages.move_links(tags[tag], *ids)
            for original, copy in self._copied_ids(tags[tag]).items():
                tags[tag] = tags[tag].replace(original, copy)
        return {**tags, COPY_TAG: run.info.run_id}

    def _copied_ids(self, text: str) -> dict[str, str]:
        """Return the IDs in a text of runs that have a copy, with the IDs of copies."""
        # In a link, hexadecimal digits can precede an ID: %22<id>.
        found = {*re.findall("(?=([0-9a-f]{32}))", text)} & self._senders.keys()
        return {run_id: self._senders[run_id].copy_id for run_id in sorted(found)}

    def _content(self, recorded: RecordedRun) -> list[object]:
        """Return values that change whenever a closed run changes, except its tags.

        They are the same in a store that was moved.
        """
        folder = recorded.artifacts
        stats = file_stats(folder).items()
        sizes = [(path.relative_to(folder).as_posix(), *stat) for path, stat in stats]
        return [content_of(self._source.store, recorded.run_id), sizes]

    def _sha256(self, recorded: RecordedRun, content: list[object]) -> str:
        """Return the tag copy.sha256 for a copy that has all data of a closed run.

        It changes when the run changes, and when a run that a tag refers to is copied.
        """
        tags = recorded.tags
        ids = [self._copied_ids(tags[tag]) for tag in sorted(ID_TAGS & tags.keys())]
        return json_sha256([content, tags, ids])


def _is_deleted(run: entities.Run) -> bool:
    return str(run.info.lifecycle_stage) != "active"


def _describe(error: Exception) -> str:
    """Return the reason for an error, in one line without control characters."""
    text = " ".join(str(error).split())
    if not isinstance(error, ERRORS):
        text = f"{type(error).__name__}: {text}"
    if system_error := _system_error(error):
        return system_error[1]
    page = re.search(r"(?i)code (\d+).*Response body: \W*<(!doctype|html)", text)
    if page:
        return f"it sent a web page with status {page[1]}, not a response of MLflow"
    return printable(re.split("Caused by |Response body: ", text)[-1][:300])


def _system_error(error: Exception) -> re.Match[str] | None:
    """Find the error of the operating system in the error of a library."""
    return re.search(r"\[Errno -?\d+\] ([\w ]+)", " ".join(str(error).split()))
