"""DVC, Hydra and MLflow tell one truth."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from pipeline.cli import paths, schema
from pipeline.datasets import file_sha256

ROOT = paths.ROOT
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
KEYS = {
    "data": schema.DataConfig,
    "train": schema.TrainConfig,
    "evaluate": schema.EvaluateConfig,
}
KEYS["inspect"] = schema.InspectConfig
ABOUT_THE_RUN = {
    "run",
    "model",
    "tracking",
    "resume",
    "reproduce",
    "server",
}  # no byte of a file depends on these
ABOUT_THE_RUN |= {"image", *schema.QUESTION_KEYS}  # which leave the chain's files alone
SHAPE_NO_FILE = {"atomic", "command", "commandline", "config", "provenance"}
SHAPE_NO_FILE |= {"reproduce", "screen", "sweep"}
SHAPE_NO_FILE |= {"copies", "tracking", "unfinished"}


def reached(module):
    """The modules of ours that a module imports, and those that they import."""
    path = ROOT / "pipeline" / f"{module}.py"
    found = {module}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "pipeline":
            found |= {name for alias in node.names for name in reached(alias.name)}
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("pipeline."):
            found |= reached(node.module.split(".")[1])
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_its_command(stage):
    assert STAGES[stage]["cmd"] == f"python -m pipeline.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_keys_that_the_stage_reads(stage):
    (params,) = STAGES[stage].get("params", [{"conf/config.yaml": []}])
    assert (
        set(params["conf/config.yaml"]) == set(KEYS[stage].model_fields) - ABOUT_THE_RUN
    )


@pytest.mark.parametrize("stage", ["data", "train"])
def test_deps_name_the_modules_that_shape_the_files(stage):
    deps = {Path(dep).stem for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    made_by_data = {"sources"} if stage == "train" else set()  # its file is the dep
    assert deps == reached(stage) - SHAPE_NO_FILE - made_by_data


def test_outs_are_named_files_and_metrics_are_not_cached():
    for stage in STAGES.values():
        assert all("." in Path(out).name for out in stage["outs"])
        for part in (*stage.get("metrics", []), *stage.get("plots", [])):
            ((_, options),) = part.items()
            assert options["cache"] is False


class Repository:
    """A git repository of the project with its own DVC, and its commands."""

    def __init__(self, folder):
        self.root = folder
        ignored = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")
        for part in ("pipeline", "conf", ".dvc"):
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        for name in ("dvc.yaml", ".dvcignore", ".gitignore", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        (folder / "outputs").mkdir()
        shutil.copy(ROOT / "outputs" / ".gitignore", folder / "outputs")
        self.set("dataset: mnist ", "dataset: digits ")
        self.set("epochs: 20 ", "epochs: 3 ")
        self("git", "init", "--quiet", "--initial-branch=main")
        self("git", "config", "user.name", "A Student")
        self("git", "config", "user.email", "student@example.org")
        self.commit()

    def __call__(self, *command):
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def set(self, before, after):
        path = self.root / "conf" / "config.yaml"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    def commit(self):
        self("git", "add", "--all")
        self("git", "commit", "--quiet", "--message", "a step")

    def restore(self):
        self("git", "checkout", "--quiet", "--", ".")

    @property
    def client(self):
        return MlflowClient(f"sqlite:///{self.root / 'outputs' / 'mlflow.db'}")

    def network(self):
        """What outputs/train holds: hash of the network, and its run."""
        folder = self.root / "outputs" / "train"
        run_id = json.loads((folder / "run.json").read_text())["run_id"]
        return file_sha256(folder / "model.safetensors"), self.client.get_run(run_id)

    def configuration(self, run, folder):
        path = self.client.download_artifacts(
            run.info.run_id, "config.yaml", str(folder)
        )
        return yaml.safe_load(Path(path).read_text())


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("repository"))
    made("dvc", "repro")
    made.commit()
    return made


@pytest.mark.fault
def test_repro_runs_four_stages_and_then_none(repository):
    again = repository("dvc", "repro")
    for stage in STAGES:
        assert f"Stage '{stage}' didn't change, skipping" in again
    assert repository("git", "status", "--porcelain") == ""


@pytest.mark.fault
def test_another_hidden_runs_train_onward_and_the_first_comes_back(repository):
    model, run = repository.network()
    repository.set("hidden: 20 ", "hidden: 10 ")
    changed = repository("dvc", "repro")
    assert "Stage 'data' didn't change, skipping" in changed
    for stage in ("train", "evaluate", "inspect"):
        assert f"Running stage '{stage}'" in changed
    assert repository.network()[0] != model
    (difference,) = json.loads(repository("dvc", "params", "diff", "--json")).values()
    assert (difference["hidden"]["old"], difference["hidden"]["new"]) == (20, 10)
    assert "val/accuracy" in repository("dvc", "metrics", "diff")
    runs = len(repository.client.search_runs(["1"]))

    repository.restore()
    back = repository("dvc", "repro")
    assert "Stage 'train' is cached - skipping run" in back
    found_model, found_run = repository.network()
    assert (found_model, found_run.info.run_id) == (model, run.info.run_id)
    assert len(repository.client.search_runs(["1"])) == runs


@pytest.mark.fault
def test_three_ways_to_one_network_with_the_same_configuration(repository, tmp_path):
    reached = {}

    repository(sys.executable, "-m", "pipeline.train", "hidden=40")
    reached["typed"] = repository.network()

    repository.restore()
    repository("dvc", "exp", "run", "--force", "-S", "conf/config.yaml:hidden=40")
    reached["experiment"] = repository.network()

    repository.restore()
    repository.set("hidden: 20 ", "hidden: 40 ")
    repository("dvc", "repro", "--force", "train")
    reached["edited"] = repository.network()

    repository.restore()
    copy = ["--temp", "--force", "--name", "in-a-copy"]
    repository("dvc", "exp", "run", *copy, "-S", "conf/config.yaml:hidden=40")
    client = repository.client
    (copied,) = client.search_runs(["1"], "tags.`dvc.experiment` = 'in-a-copy'")
    reached["copied"] = (copied.data.tags["weights.sha256"], copied)

    assert len({model for model, _ in reached.values()}) == 1
    assert len({run.info.run_id for _, run in reached.values()}) == 4
    commit = repository("git", "rev-parse", "HEAD").strip()
    configurations = []
    for way, (model, run) in reached.items():
        (tmp_path / way).mkdir()
        configurations.append(repository.configuration(run, tmp_path / way))
        assert run.info.status == "FINISHED"
        assert run.data.tags["weights.sha256"] == model
        assert run.data.tags["data.sha256"] == copied.data.tags["data.sha256"]
        if way != "copied":  # DVC commits the edit in its copy first
            assert run.data.tags["git.commit"] == commit
    assert configurations[0]["hidden"] == 40
    assert all(found == configurations[0] for found in configurations)
    assert reached["experiment"][1].data.tags["dvc.experiment"]
    assert "dvc.experiment" not in reached["typed"][1].data.tags
    # The stages after training wrote into the run of the copy, and made none.
    assert "evaluate/digits/accuracy" in copied.data.metrics


@pytest.mark.fault
def test_a_clone_pulls_what_was_pushed_and_says_that_the_run_is_elsewhere(
    repository, tmp_path
):
    repository.restore()
    repository("dvc", "repro")
    model, run = repository.network()
    repository("dvc", "remote", "add", "--local", "store", str(tmp_path / "store"))
    repository("dvc", "push", "--remote", "store")
    clone = tmp_path / "clone"
    repository("git", "clone", "--quiet", str(repository.root), str(clone))
    other = object.__new__(Repository)
    other.root = clone
    other("dvc", "remote", "add", "--local", "store", str(tmp_path / "store"))
    other("dvc", "pull", "--remote", "store")
    assert file_sha256(clone / "outputs" / "train" / "model.safetensors") == model
    assert "Data and pipelines are up to date" in other("dvc", "repro")
    said = other(sys.executable, "-m", "pipeline.evaluate")
    assert "the store has no run of this network; made network" in said
    (made,) = other.client.search_runs(["1"])
    assert made.info.run_id != run.info.run_id and made.info.status == "FINISHED"
    other(sys.executable, "-m", "pipeline.inspect")
    (same,) = other.client.search_runs(["1"])
    assert {"evaluate/digits/accuracy", "inspect/parameters"} <= set(same.data.metrics)
