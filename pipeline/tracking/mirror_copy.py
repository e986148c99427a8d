"""Makes exact copies of runs on an MLflow server, once or while they are open.

All of this runs in a companion, which `mirror` or `sync` starts. It can be killed at
any point: the next one continues, and nothing is lost or stored twice. `run_copy` sends
the data of each run.
"""

import os
import re
import time
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

from mlflow import MlflowClient, entities
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from pipeline import UserError
from pipeline.text import printable
from pipeline.tracking import pages
from pipeline.tracking.copying import CopyStatus, copy_runs
from pipeline.tracking.database import RecordedRun, named_runs, runs_to_copy
from pipeline.tracking.locks import server_lock
from pipeline.tracking.mlflow_client import StoreClient, complete_experiment, open_store
from pipeline.tracking.mlflow_run import ENTRIES_TAG, NOTE_TAG
from pipeline.tracking.quiet import quiet
from pipeline.tracking.run_copy import RunCopy, recorded_content
from pipeline.tracking.runs import find_run
from pipeline.tracking.tags import COPY_TAG, PARENT_TAG, Status

ERRORS = (MlflowException, OSError, UserError)  # errors of a run or of the server
WAIT_SECONDS = 2.0  # the wait for another process that copies


@cache
def _copied_runs(store: Path, server: str) -> "CopiedRuns":
    """Return the copies on a server; they remember what this process has sent."""
    # A retry could create a run twice.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    return CopiedRuns(open_store(store), server)


def copy_open_run(store: Path, server: str, run_id: str) -> None:
    """Copy what is new in an open run, and its closed children; see `Mirror.follow`."""
    with quiet():
        copies = _copied_runs(store, server)
        for run in runs_to_copy(store, run_id):
            if run.run_id != run_id:
                with server_lock(store, seconds=WAIT_SECONDS):
                    copies.update(run)
        with server_lock(store, seconds=WAIT_SECONDS):
            copies.update(find_run(run_id, store=store), is_open=True)


def copy_closed_run(store: Path, server: str, run_id: str, end: float) -> str:
    """Copy a closed run and its children; return the URL of the copy.

    Raises:
        UserError: If not all runs were copied, or another process holds the lock of the
            copies until `end`, in seconds since 1970; the message says why.
    """
    copies = _copied_runs(store, server)

    def copy(run: RecordedRun) -> CopyStatus | None:
        with server_lock(store, seconds=max(0.0, end - time.time())):
            return copies.try_update(run)

    with quiet():
        copied = copy_runs(store, server, run_id, copy).get(run_id)
    if copied is None:
        raise UserError("it was deleted")
    if not copied.url:
        raise UserError("it was deleted on the server")
    return copied.url


def copy_run(store: Path, server: str, run: RecordedRun) -> CopyStatus | None:
    """Copy a run for `sync`, which holds the lock of the copies."""
    with quiet():
        return _copied_runs(store, server).try_update(run)


def mark_killed_runs(store: Path) -> None:
    """Mark runs whose process has ended, for `sync`, which holds the store's lock."""
    with quiet():
        open_store(store).mark_killed_runs()


class CopiedRuns:
    """The copies of the runs of a store on a server."""

    def __init__(self, source: StoreClient, url: str) -> None:
        """Connect to a server."""
        self.source, self.url = source, url
        self._server = MlflowClient(url)
        self._copies: dict[str, RunCopy] = {}  # the copies, by the ids of the originals
        self._experiments: dict[str, str] = {}  # the ids of the copies by original id

    def try_update(self, recorded: RecordedRun) -> CopyStatus | None:
        """Bring the copy of a closed run up to date; see `update`.

        The state is "failed" if this run was not accepted, but the server answers.

        Raises:
            UserError: If the server does not answer.
        """
        try:
            return self.update(recorded)
        except ERRORS as error:
            reason = _describe(error)
        try:
            self._server.search_experiments(max_results=1)
        except ERRORS as error:
            message = f"{self.url} did not accept the copy: {_describe(error)}"
            raise UserError(message) from error
        return CopyStatus("failed", reason=reason)

    def update(
        self, recorded: RecordedRun, *, is_open: bool = False
    ) -> CopyStatus | None:
        """Bring the copy of a run up to date; the caller holds `server_lock`.

        Nothing is done if the run is running, unless `is_open`, or if its copy was
        deleted; the result is None if the run itself was deleted.
        """
        run_id, now = recorded.run_id, recorded_content(recorded)
        known = self._copies.get(run_id)
        if known and known.copied_content == now and not is_open:
            return CopyStatus("complete", self._url(known))
        original = self.source.get_run(run_id)
        copy = self._find(original)
        is_deleted = copy is not None and copy.info.lifecycle_stage != "active"
        if original.info.lifecycle_stage != "active":
            # An attempt that failed was replaced by another one.
            is_kept = original.info.status == Status.FINISHED or is_deleted
            if copy and not is_kept:
                self._server.delete_run(copy.info.run_id)
            return None
        if is_deleted:
            return CopyStatus("deleted")
        is_closed = original.info.status not in (Status.RUNNING, "SCHEDULED")
        if not (is_open or is_closed):
            return CopyStatus("running")
        copy = copy or self._create(original)
        run_copy, tags = self._remember(run_id, copy), self._tags(original)
        is_sent = True
        if is_closed:
            is_sent = run_copy.send_closed(original, copy, tags)
            run_copy.copied_content = now
        else:
            run_copy.send_open(original, copy, tags)
        return CopyStatus("copied" if is_sent else "complete", self._url(run_copy))

    def _url(self, copy: RunCopy) -> str:
        page = pages.run_page(copy.experiment_id, copy.run_id)
        return printable(f"{self.url.rstrip('/')}/{page}")

    def _remember(self, run_id: str, copy: entities.Run) -> RunCopy:
        """Return the copy of a run, with what was sent to it before."""
        known = self._copies.get(run_id)
        if known is None or known.run_id != copy.info.run_id:
            known = self._copies[run_id] = RunCopy(self.source, self._server, copy)
        return known

    def _experiment_of(self, run: entities.Run) -> str:
        """Return the experiment of a copy; it has the name of the original.

        Raises:
            UserError: If the server would write artifacts to a folder of this machine.
        """
        original_id = run.info.experiment_id
        if original_id in self._experiments:
            return self._experiments[original_id]
        name = self.source.get_experiment(original_id).name
        server = self._server
        experiment = server.get_experiment_by_name(name)
        if experiment is None:
            experiment = server.get_experiment(server.create_experiment(name))
        complete_experiment(server, experiment)
        if urlparse(experiment.artifact_location).scheme in ("", "file"):
            raise UserError(
                f"it stores artifacts in {experiment.artifact_location}, which other "
                "machines cannot reach: start it with --artifacts-destination"
            )
        self._experiments[original_id] = str(experiment.experiment_id)
        return self._experiments[original_id]

    def _find(self, run: entities.Run) -> entities.Run | None:
        """Return the copy of a run, even if it was deleted."""
        condition = f"tags.`{COPY_TAG}` = '{run.info.run_id}'"
        experiment_id = self._experiment_of(run)
        runs = self._server.search_runs([experiment_id], condition, ViewType.ALL)
        return next(iter(runs), None)

    def _create(self, run: entities.Run) -> entities.Run:
        """Create the copy of a run and, if necessary, the copy of its parent."""
        return self._server.create_run(
            self._experiment_of(run),
            start_time=run.info.start_time,
            tags=self._tags(run),
            run_name=run.info.run_name,
        )

    def _tags(self, run: entities.Run) -> dict[str, str]:
        """Return the tags of the copy; they refer to copies, not to originals."""
        tags = dict(run.data.tags)
        parent = tags.get(PARENT_TAG, "")
        is_new = parent and parent not in self._copies
        if is_new and named_runs(self.source.store, parent):  # it was not deleted
            # The copy of the parent stays open until the parent itself is copied.
            original = self.source.get_run(parent)
            self._remember(parent, self._find(original) or self._create(original))
        for tag in {PARENT_TAG, NOTE_TAG, ENTRIES_TAG} & set(tags):
            ids = run.info.experiment_id, self._experiment_of(run)
            tags[tag] = pages.move_links(tags[tag], *ids)
            for original_id, copy in self._copies.items():
                tags[tag] = tags[tag].replace(original_id, copy.run_id)
        return {**tags, COPY_TAG: run.info.run_id}


def _describe(error: Exception) -> str:
    """Return the reason for an error, in one line without control characters."""
    text = " ".join(str(error).split())
    system_error = re.search(r"\[Errno -?\d+\] ([\w ]+)", text)
    if system_error:
        return system_error[1]
    return printable(re.split("Caused by |Response body: ", text)[-1][:300])
