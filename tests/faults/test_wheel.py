"""The wheel contains all that the stages read, and runs in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault

ROOT = Path(__file__).resolve().parents[2]


def run(*command, cwd, **environment):
    env = {**os.environ, **environment}
    for variable in ("PIPELINE_OUTPUTS", "MLFLOW_TRACKING_URI"):
        env.pop(variable, None)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_an_installed_wheel_trains_in_an_empty_folder(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    library, empty = tmp_path / "library", tmp_path / "empty"
    run(*pip, "install", "--no-deps", "--target", library, wheel, cwd=tmp_path)
    empty.mkdir()
    places = {"cwd": empty, "PYTHONPATH": str(library)}
    for stage, *arguments in (
        ("data", "dataset=digits"),
        ("train", "dataset=digits", "epochs=1"),
        ("evaluate",),
        ("inspect",),
        ("export",),
    ):
        command = [sys.executable, "-m", f"pipeline.{stage}"]
        printed, errors = run(*command, *arguments, **places)
        assert f"outputs/{stage}" in printed and (empty / "outputs" / stage).is_dir()
        assert errors == ""
    assert "val/accuracy" in (empty / "outputs" / "train" / "metrics.json").read_text()
    assert [path.name for path in empty.iterdir()] == ["outputs"]
