"""Runs in MLflow with their children, and how both are closed.

Runs in the process that records.

A child is a training run of a sweep. `mlflow_run` records the data of all runs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from mlflow import entities
from mlflow.entities import Metric, Param, RunTag

from pipeline import UserError
from pipeline.base.tags import ERROR_TAG, PARENT_TAG, PROJECT_TAG, Status
from pipeline.base.terminal import print_error
from pipeline.tracking import provenance
from pipeline.tracking.interface import RunStart, Tags
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.store import pages
from pipeline.tracking.store.client import StoreClient
from pipeline.tracking.store.database import children_of
from pipeline.tracking.store.locks import store_lock


class ChildRun(MlflowRun):
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


class ParentRun(MlflowRun):
    """A run that is not a child; the run of a sweep has children."""

    def __init__(
        self, client: StoreClient, run: entities.Run, lock: FileLock | None = None
    ) -> None:
        """Wrap a run of the store; `lock` is its lock, if `close` sets its status."""
        super().__init__(client, run)
        self._lock = lock

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

    @contextmanager
    def child(self, start: RunStart, *, end: int | None = None) -> Iterator[MlflowRun]:
        project = {PROJECT_TAG: provenance.project_version()}
        tags = {**project, **start.tags, PARENT_TAG: self.run_id}
        run = self._client.create_named_run(
            self._experiment_id, start.name, tags, start.time
        )
        child = ChildRun(self._client, run)
        child.log_params(start.params)
        child.log_diff(start.diff)
        yield child
        child.complete(end)

    def reopen_child(self, run_id: str) -> MlflowRun:
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
