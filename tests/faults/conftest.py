"""Fixtures of the fault tests: workspaces, and checks of the results."""

import csv
import json
import subprocess
from dataclasses import replace

import pytest
import yaml
from PIL import Image
from safetensors.numpy import load_file


@pytest.fixture(scope="session")
def trained_digits(empty_project, make_once):
    """A workspace with a finished training run on digits, and its evaluation."""
    made = empty_project("digits")

    def train(folder):
        made.call("train", dataset="digits", epochs=3)
        made.call("evaluate")
        made.copy(folder)

    return replace(made, outputs=make_once("trained_digits", train))


@pytest.fixture
def digits(trained_digits, tmp_path):
    """A copy of the workspace `trained_digits`."""
    return trained_digits.copy(tmp_path / "digits")


def results(project):
    """Yield the files that must be complete: not hidden, or in finished runs."""
    for path in project.files():
        first, *others = path.relative_to(project.outputs).parts
        hidden = any(part.startswith(".") for part in (first, *others))
        if not hidden and first not in ("mlflow-artifacts", "checkpoints"):
            yield path
    if (project.outputs / "mlflow.db").exists():
        for run in project.runs():
            if run.info.status == "FINISHED":
                artifacts = project.outputs / "mlflow-artifacts/digits"
                folder = artifacts / run.info.run_id
                yield from (path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def assert_complete():
    """Return a function that reads every result of a workspace."""

    def check(project):
        for path in results(project):
            if path.suffix == ".safetensors":
                assert load_file(path)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".csv":
                with path.open() as stream:
                    assert len({len(row) for row in csv.reader(stream)}) == 1
            elif path.suffix in (".png", ".webp"):
                with Image.open(path) as image:
                    image.load()

    return check


@pytest.fixture(scope="session")
def run_again():
    """Return a function that runs a command here, without repeated imports."""

    def run(project, stage, *arguments):
        if "-m" in arguments:
            assert project.sweep(stage, *arguments[1:])[1] == ""
        else:
            pairs = (argument.split("=") for argument in arguments)
            project.call(stage, **{key: yaml.safe_load(value) for key, value in pairs})

    return run


@pytest.fixture(scope="session")
def error_line():
    """Return a function that returns the only error message in stderr."""

    def check(stderr):
        assert "Traceback" not in stderr
        *others, last = stderr.splitlines()
        # A run whose end cannot be recorded is named before the error.
        assert all("could not be marked FAILED" in line for line in others)
        assert last.startswith("error: ")
        return last

    return check


@pytest.fixture
def mount():
    """Return a function that mounts a folder until the end of the test."""
    mounted = []

    def call(*arguments, folder):
        try:
            subprocess.run(["mount", *arguments, str(folder)], check=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no file system can be mounted here")
        mounted.append(folder)

    yield call
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
