"""Sweeps that run in the process of the tests, and the runs that they record."""

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import pytest

from pipeline.cli import TrainConfig
from pipeline.cli.arguments import parse
from pipeline.cli.launch import launch_jobs
from pipeline.sweeps import run_sweep
from pipeline.train import train

DIGITS = ["dataset=digits", "epochs=1"]


@dataclass(frozen=True)
class Sweep:
    """A workspace in which sweeps run."""

    workspace: object

    @property
    def outputs(self):
        return self.workspace.outputs

    @property
    def folder(self):
        """The folder of the only sweep."""
        (folder,) = (p for p in self.outputs.glob("sweeps/*") if p.is_dir())
        return folder

    def run(self, *arguments):
        """Sweep trainings of one epoch on digits in this process.

        Returns:
            What it prints, and the message of its error.
        """
        names = [argument.partition("=")[0] for argument in arguments]
        others = [each for each in DIGITS if each.partition("=")[0] not in names]
        command = parse(["-m", *arguments, *others], TrainConfig, sweeps=True)
        assert not command.problems
        text, error = io.StringIO(), ""
        with (
            patch.dict(os.environ, PIPELINE_OUTPUTS=str(self.outputs)),
            patch.object(sys, "argv", ["train"]),
            contextlib.redirect_stdout(text),
        ):
            try:
                launch = partial(launch_jobs, train, TrainConfig, command)
                run_sweep(command.jobs, launch)
            except ValueError as refused:
                error = str(refused)
        return text.getvalue(), error

    def runs(self):
        """Return the parent runs and the child runs that are not deleted.

        A deleted run must not be one that finished.
        """
        from mlflow.entities import ViewType

        runs = self.workspace.client.search_runs(["1"], run_view_type=ViewType.ALL)
        deleted = [run for run in runs if run.info.lifecycle_stage != "active"]
        assert not [run for run in deleted if run.info.status == "FINISHED"]
        runs = [run for run in runs if run not in deleted]
        parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        return parents, [run for run in runs if run not in parents]

    def statuses(self):
        """Return the statuses of the parents, and those of the children, sorted."""
        return tuple(sorted(run.info.status for run in runs) for runs in self.runs())


@pytest.fixture
def sweep(project):
    """Sweeps in a workspace with an empty store."""
    return Sweep(project)


@pytest.fixture(scope="session")
def new_sweep(empty_project):
    """Return a function that makes a workspace for sweeps, with or without a store."""
    return lambda name, store=True: Sweep(empty_project(name, store=store))
