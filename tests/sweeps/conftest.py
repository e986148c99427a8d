"""Sweeps whose main process runs the tests, and the runs that they record."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Sweep:
    """A workspace in which sweeps run."""

    workspace: object

    @property
    def folder(self):
        """The folder of the only sweep."""
        sweeps = self.workspace.outputs.glob("sweeps/*")
        (folder,) = (path for path in sweeps if path.is_dir())
        return folder

    def run(self, *arguments):
        """Train on digits, for one epoch by default; return the output and error."""
        words = {"dataset": "digits", "epochs": "1", "workers": "1"}
        words |= dict(argument.split("=", 1) for argument in arguments)
        pairs = [f"{key}={value}" for key, value in words.items()]
        return self.workspace.sweep("train", *pairs)

    def runs(self, *, deleted=()):
        """Return the parent runs and the child runs that are not deleted.

        Only the runs whose IDs are in `deleted` may have been deleted after they
        finished.
        """
        from mlflow.entities import ViewType

        runs = self.workspace.client.search_runs(["1"], run_view_type=ViewType.ALL)
        active = [run for run in runs if run.info.lifecycle_stage == "active"]
        lost = [run for run in runs if run not in active]
        finished = [run.info.run_id for run in lost if run.info.status == "FINISHED"]
        assert finished == [*deleted]
        runs = active
        parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        return parents, [run for run in runs if run not in parents]

    def statuses(self):
        """Return the statuses of the parents and of the children, sorted."""
        return tuple(sorted(run.info.status for run in runs) for runs in self.runs())


@pytest.fixture
def sweep(project, worker):
    """Sweeps in a workspace with an empty store."""
    return Sweep(project)


@pytest.fixture(scope="session")
def new_sweep(empty_project):
    """Return a function that makes a workspace for sweeps, with or without a store."""
    return lambda name, store=True: Sweep(empty_project(name, store=store))
