"""A run of this process in MLflow, and the training runs of a sweep, its children."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mlflow import entities
from mlflow.entities import Metric, Param, RunTag

from pipeline.base.tags import ERROR_TAG, PARENT_TAG, PROJECT_TAG, Status
from pipeline.tracking import provenance
from pipeline.tracking.interface import LocalRun, Params, Tags
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.store import pages
from pipeline.tracking.store.client import StoreClient
from pipeline.tracking.store.database import children_of, new_name


class NewChild(MlflowRun):
    """A child that is not complete; its metrics and tags are kept until it is.

    They are recorded in one transaction, because each takes 10 ms.
    """

    def __init__(self, client: StoreClient, run: entities.Run) -> None:
        """Wrap a run of the store."""
        super().__init__(client, run)
        self._metrics: list[Metric] = []
        self._tags: list[RunTag] = []

    def _log(
        self, *, metrics: Sequence[Metric] = (), tags: Sequence[RunTag] = ()
    ) -> None:
        self._metrics += metrics
        self._tags += tags

    def _entries(self) -> dict[str, dict[str, str]]:
        return {"links": {}, "results": {}}

    def complete(self, params: Params, end: int | None, error: str) -> None:
        """Record everything, and close the run."""
        if error:
            self._tags.append(RunTag(ERROR_TAG, error))  # MLflow truncates long values
        logged = [Param(key, str(value)) for key, value in params.items()]
        self._client.log_batch(self.run_id, self._metrics, logged, self._tags)
        status = Status.FAILED if error else Status.FINISHED
        self._client.set_terminated(self.run_id, status, end)


class MlflowLocalRun(MlflowRun, LocalRun):
    """A run in the store that can have children."""

    @contextmanager
    def child(
        self,
        *,
        name: str,
        params: Params,
        tags: Tags,
        start: int | None = None,
        end: int | None = None,
        error: str = "",
    ) -> Iterator[MlflowRun]:
        project = {PROJECT_TAG: provenance.version(provenance.PROJECT)}
        run = self._client.create_run(
            self._experiment_id,
            start_time=start,
            tags={**project, **tags, PARENT_TAG: self.run_id},
            run_name=new_name(self._client.store, name, self._experiment_id),
        )
        child = NewChild(self._client, run)
        yield child
        child.complete(params, end, error)

    def reopen_child(self, run_id: str) -> MlflowRun:
        return MlflowRun(self._client, self._client.get_run(run_id))

    def delete_unfinished_children(self) -> None:
        for recorded in children_of(self._client.store, self.run_id):
            if not recorded.has_ended:
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
