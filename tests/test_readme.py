"""What the README says, done as it says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import paths
from pipeline.cli import schema as config
from pipeline.cli.arguments import parse
from pipeline.datasets import file_sha256

STAGES = {"data": config.DataConfig, "train": config.TrainConfig}
STAGES |= {"evaluate": config.EvaluateConfig, "inspect": config.InspectConfig}
STAGES |= {"predict": config.PredictConfig, "sync": config.SyncConfig}
README = (Path(paths.ROOT) / "README.md").read_text()


def test_the_eight_lines_of_python_train_the_very_network_of_the_command(finished):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 8
    code += "\nfrom pathlib import Path\nfrom pipeline.checkpoint import save\n"
    code += "print(kernel.shape, bias.shape, save(Path('mine.safetensors'), net, {}))\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=finished.root,
        env={"PYTHONPATH": str(finished.root), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "(784, 20) (20,)" in done.stdout
    from safetensors.numpy import load_file

    mine = load_file(finished.root / "mine.safetensors")
    for name, tensor in load_file(finished.trained("model.safetensors")).items():
        np.testing.assert_array_equal(mine[name], tensor)


def test_the_numbers_to_expect_are_those_of_the_command(finished):
    numbers = json.loads(finished.trained("metrics.json").read_text())
    for part, name in (("training", "final/train_"), ("validation", "val/")):
        row = rf"\| {part},.*\| ([\d.]+) \| \*\*([\d.]+) %\*\* \|"
        loss, percent = map(float, re.search(row, README).groups())
        # Another processor rounds other last bits, and trains another network.
        assert loss == pytest.approx(numbers[f"{name}loss"], abs=0.01)
        assert percent == pytest.approx(100 * numbers[f"{name}accuracy"], abs=0.4)


def test_the_two_commands_stand_on_the_first_screen():
    first = README.splitlines()[:15]
    assert "pip install -e . && python -m pipeline.train hidden=20 epochs=20" in first
    assert "pip install -e '.[test]' && pytest -n 2" in first


def test_every_key_that_the_readme_types_exists():
    typed = re.findall(r"`python -m pipeline\.(\w+) ?([^`]*)`", README)
    assert len(typed) >= 5
    for stage, arguments in typed:
        keys = STAGES[stage]
        given = [a for a in shlex.split(arguments) if a != "--help"]
        assert parse(given, keys, sweeps=stage == "train").problems == []


def test_pictures_of_the_readme_exist():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert len(file_sha256(paths.ROOT / path)) == 64
