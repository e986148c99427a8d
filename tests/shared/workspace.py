"""Workspaces: folders for outputs, and the stages that write to them."""

import contextlib
import csv
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "outputs" / "data"
RUN_STAGE = "import runpy; runpy.run_module('pipeline.{stage}', run_name='__main__')"
RUN_STAGES = """
import runpy, sys
for stage, *arguments in {commands}:
    sys.argv, status = [stage, *arguments], 0
    try:
        runpy.run_module(f"pipeline.{{stage}}", run_name="__main__")
    except SystemExit as end:
        status = end.code
    print("status", status, file=sys.stderr, flush=True)
sys.exit()  # without the stage that `Workspace.start` would run
"""


@dataclass(frozen=True)
class Workspace:
    """A folder for outputs, and the stages that write to it."""

    outputs: Path

    @contextlib.contextmanager
    def captured(self):
        """Use these outputs in this process; yield the text that is printed."""
        with (
            pytest.MonkeyPatch.context() as environment,
            contextlib.redirect_stdout(io.StringIO()) as text,
        ):
            environment.setenv("PIPELINE_OUTPUTS", str(self.outputs))
            yield text

    def call(self, stage, **keys):
        """Call a stage in this process with these keys; return what it prints."""
        function = getattr(importlib.import_module(f"pipeline.{stage}"), stage)
        with self.captured() as text:
            function(**keys)
        return text.getvalue()

    def sweep(self, stage, *arguments):
        """Run a stage with -m in this process; return what it prints, and its error."""
        from pipeline import cli, export, train
        from pipeline.base.error_messages import is_user_error
        from pipeline.cli.arguments import parse

        functions = {"train": train.run_sweep, "export": export.run_export}
        command = parse(["-m", *arguments], getattr(cli, f"{stage.title()}Config"))
        error = ""
        with self.captured() as text:
            try:
                functions[stage](command)
            except Exception as failed:
                if not is_user_error(failed):
                    raise
                error = str(failed)
        return text.getvalue(), error

    def start(self, stage, *arguments, cwd=None, before=None, **environment):
        """Start a stage as a process; the Python code `before` runs first in it."""
        command = ["-m", f"pipeline.{stage}"]
        if before:
            command = ["-c", f"{before}\n{RUN_STAGE.format(stage=stage)}"]
        places = {"PYTHONPATH": str(ROOT), "PIPELINE_OUTPUTS": str(self.outputs)}
        return subprocess.Popen(
            [sys.executable, *command, *arguments],
            cwd=cwd or ROOT,
            env={**os.environ, **places, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, stage, *arguments, status=0, **options):
        """Run a stage as a process until it ends, and check its exit status."""
        process = self.start(stage, *arguments, **options)
        stdout, stderr = process.communicate(timeout=900)
        assert process.returncode == status, stdout + stderr
        return subprocess.CompletedProcess(arguments, status, stdout, stderr)

    def run_all(self, commands, before="", **options):
        """Run stages one after another in one process, without repeated imports.

        `commands` are tuples of a stage and its arguments, with their exit statuses,
        or None for any status.
        The Python code `before` runs first.
        """
        code = RUN_STAGES.format(commands=[*commands])
        done = self.run("train", before=f"{before}\n{code}", **options)
        statuses = re.findall(r"^status (\d+)$", done.stderr, re.MULTILINE)
        for status, expected in zip(statuses, commands.values(), strict=True):
            assert expected in (int(status), None), done.stdout + done.stderr
        return done

    def trained(self, name):
        return self.outputs / "train" / name

    def run_id(self, folder="train"):
        """Return the ID of the run whose files are in this folder of the outputs."""
        return self.read(f"{folder}/run.json")["run_id"]

    def read(self, name):
        """Return the content of a JSON file, or the rows of a CSV file."""
        path = self.outputs / name
        if path.suffix == ".json":
            return json.loads(path.read_text())
        with path.open(newline="") as stream:
            return [*csv.DictReader(stream)]

    def files(self):
        return sorted(p for p in self.outputs.rglob("*") if p.is_file())

    def hashes(self, *folders):
        """Return the hash of each file in these folders, by its path in outputs."""
        from pipeline.base.files import file_sha256

        return {
            str(path.relative_to(self.outputs)): file_sha256(path)
            for folder in folders
            for path in (self.outputs / folder).rglob("*")
            if path.is_file()
        }

    def copy(self, outputs):
        """Copy the workspace to a folder that may exist; return the copy."""
        from pipeline.tracking.store.sqlite import require_store

        shutil.copytree(self.outputs, outputs, dirs_exist_ok=True)
        require_store(outputs)  # updates the URIs of the artifacts
        return Workspace(outputs)

    @property
    def client(self):
        """A client of the workspace's MLflow store."""
        from mlflow import MlflowClient

        from pipeline.tracking.store.location import sqlite_uri

        return MlflowClient(sqlite_uri(self.outputs / "mlflow.db"))

    def runs(self, query="", experiments=("1",)):
        """Return the runs of the store, newest first."""
        return self.client.search_runs([*experiments], query, max_results=10_000)

    def artifacts(self, run, folder=None):
        """Return the paths of the artifacts in a folder of a run."""
        return {
            file.path for file in self.client.list_artifacts(run.info.run_id, folder)
        }

    def artifact(self, run, name):
        """Return the path of an artifact of a run."""
        return Path(run.info.artifact_uri.removeprefix("file://"), name)

    def points(self, run, metric):
        """Return a metric of a run as pairs: its steps and its values."""
        history = self.client.get_metric_history(run.info.run_id, metric)
        return [(point.step, point.value) for point in history]

    def values(self, run, metric):
        """Return a metric of a run after each epoch."""
        return [value for _, value in self.points(run, metric)]


def new_workspace(folder, *, data=True):
    """Create a workspace; MNIST's files are linked, because they take 110 MB."""
    (folder / "data").mkdir(parents=True)
    if data:
        for path in DATA.glob("mnist*"):
            (folder / "data" / path.name).symlink_to(path)
    return Workspace(folder)
