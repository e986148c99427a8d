"""The wheel contains everything that the stages read, and runs in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["data dataset=digits", "train dataset=digits epochs=1"]
COMMANDS += ["evaluate", "inspect", "export"]
RUN = """
import mlflow, runpy, sys  # so train does not start a process that imports MLflow too
for command in sys.argv[1:]:
    sys.argv = command.split()
    runpy.run_module(f"pipeline.{sys.argv[0]}", run_name="__main__")
"""  # all stages run in one process, because imports take most of the time


def run(*command, cwd, **environment):
    env = {**os.environ, **environment}
    for variable in ("PIPELINE_OUTPUTS", "MLFLOW_TRACKING_URI"):
        env.pop(variable, None)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_an_installed_wheel_trains_in_an_empty_folder(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation"]  # downloads nothing
    run(*build, "--wheel-dir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    library, empty = tmp_path / "library", tmp_path / "empty"
    run(*pip, "install", "--no-deps", "--target", library, wheel, cwd=tmp_path)
    empty.mkdir()
    stages = [sys.executable, "-c", RUN, *COMMANDS]
    printed, errors = run(*stages, cwd=empty, PYTHONPATH=str(library))
    assert errors == ""
    for stage, *_ in map(str.split, COMMANDS):
        assert f"outputs/{stage}" in printed
        assert (empty / "outputs" / stage).is_dir()
    assert "val/accuracy" in (empty / "outputs" / "train" / "metrics.json").read_text()
    assert [path.name for path in empty.iterdir()] == ["outputs"]
