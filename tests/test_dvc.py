"""dvc.yaml lists what each stage reads; DVC, Hydra and MLflow agree on the results."""

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
import yaml

from pipeline import cli
from pipeline.cli.rules import DETAIL_KEYS
from pipeline.model import load_trained_network

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
CONFIG = "conf/config.yaml"
# Keys that no output depends on: they select the run or model, control recording, or
# select a single result of `inspect`, which is written to another folder.
NO_PARAMS = {"run", "model", "sweep", "tracking", "resume", "reproduce", "server"}
NO_PARAMS |= {"run_name", "experiment_name", "workers", "executor", "again", "trials"}
NO_PARAMS |= {*DETAIL_KEYS, "image", "integers"}

# Packages that change no output: settings, other processes, recording.
NO_OUTPUT = {"cli", "execution", "sweeps", "tracking"}
# Modules that decide which files a stage reads and writes.
CHOOSING = {"base/results_folder.py", "base/paths.py", "model/selection.py"}
NO_OUTPUT_OF = {
    # The data file is a dependency itself, and the plots are not outputs.
    "train": {"datasets", "plots"},
    "inspect": {"evaluation", "integers"},  # only for single results
}
IGNORED = {line for line in (ROOT / ".dvcignore").read_text().split() if "/" in line}


def imports(path):
    """Return the modules and names that a file imports, as module paths."""
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names = [f"{node.module}.{alias.name}" for node in froms for alias in node.names]
    return [*names, *(node.module for node in froms)]


def imported_packages(stage):
    """Return the packages that a stage imports, directly or through other packages."""
    without = NO_OUTPUT | NO_OUTPUT_OF.get(stage, set())
    waiting, reached, packages = [f"pipeline.{stage}"], set(), set()
    while waiting:
        path = ROOT.joinpath(*waiting.pop().split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            package, *inner = file.relative_to(ROOT / "pipeline").parts
            if not file.exists() or file in reached or package in without:
                continue
            reached.add(file)
            waiting += [name for name in imports(file) if name.startswith("pipeline.")]
            if f"/{file.relative_to(ROOT)}" not in IGNORED and (
                inner or package not in {"__init__.py", f"{stage}.py"}
            ):
                packages.add(package)
    return packages


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_keys_that_shape_the_outputs(stage):
    assert STAGES[stage]["cmd"] == f"python -m pipeline.{stage}"
    (params,) = STAGES[stage].get("params", [{CONFIG: []}])
    schema = getattr(cli, f"{stage.title()}Config")
    keys = set(schema.model_fields) - NO_PARAMS
    assert set(params[CONFIG]) == keys


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_packages_that_write_the_outputs(stage):
    deps = [Path(dep) for dep in STAGES[stage]["deps"] if dep.startswith("pipeline/")]
    assert {dep.name for dep in deps} == imported_packages(stage)
    assert all((ROOT / dep).exists() for dep in deps)


def test_dvc_ignores_only_files_that_exist_and_none_that_shape_the_weights():
    modules = {path for path in IGNORED if path.startswith("/pipeline/")}
    assert all((ROOT / path[1:]).exists() for path in modules)
    assert not [path for path in modules if path.startswith("/pipeline/core")]
    assert not modules & {f"/pipeline/{path}" for path in CHOOSING}
    assert all((ROOT / "pipeline" / path).exists() for path in CHOOSING)


def test_all_files_of_a_folder_are_outputs_except_the_id_of_a_run():
    # In outputs/data, there are the files of other data sets and the downloads.
    outputs = [STAGES[stage]["outs"] for stage in STAGES if stage != "data"]
    assert outputs == [[f"outputs/{stage}"] for stage in STAGES if stage != "data"]
    folders = tuple(f"/outputs/{stage}/" for stage in STAGES)
    ignored = [path for path in IGNORED if path.startswith(folders)]
    assert ignored == ["/outputs/train/run.json"]


def test_grades_and_homework_are_in_no_stage():
    """DVC would copy them to its cache, and to a remote."""
    assert not re.search("grade|homework", (ROOT / "dvc.yaml").read_text())


@pytest.mark.parametrize("kind", ["metrics", "plots"])
def test_metrics_and_plots_are_files_that_stages_write(finished, kind):
    paths = [Path(path) for path in PIPELINE[kind]]
    written = [path for path in paths if path.parent.name != "export"]
    assert written
    for path in written:
        assert (finished.outputs.parent / path).is_file(), path


class Repository:
    """A clone of the project in which DVC runs the stages on a small data set."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.root = workspace.outputs.parent

    def __call__(self, *command):
        """Run a command in the repository and return what it prints."""
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
        environment.pop("PIPELINE_OUTPUTS", None)  # DVC needs the default, outputs/
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def set(self, **values):
        """Edit conf/config.yaml as it was committed; undo all other edits."""
        self("git", "checkout", "--quiet", "--", ".")
        path = self.root / CONFIG
        text = path.read_text()
        for key, value in values.items():
            text, edits = re.subn(rf"(?m)^{key}: \S+", f"{key}: {value}", text)
            assert edits == 1
        path.write_text(text)

    def training(self):
        """Return the hash of the weights in outputs/train, and their newest run."""
        model = load_trained_network(self.workspace.trained("model.safetensors"))
        sha256 = model.weights_sha256
        return sha256, self.workspace.runs(f"tags.`weights.sha256` = '{sha256}'")[0]


@pytest.fixture(scope="module")
def repository(tmp_path_factory, clone_project):
    made = Repository(clone_project(tmp_path_factory.mktemp("dvc") / "repository"))
    made("git", "config", "user.name", "A Student")
    made("git", "config", "user.email", "student@example.org")
    made.set(dataset="digits", epochs=3)
    made("dvc", "repro", "train")
    made("sed", "--in-place", "s/^tracking: mlflow/tracking: none/", CONFIG)
    made("dvc", "repro")  # otherwise, each stage would import MLflow
    made("sed", "--in-place", "s/^tracking: none/tracking: mlflow/", CONFIG)
    made("git", "add", "--all")
    made("git", "commit", "--quiet", "--message", "a smaller training")
    return made


@pytest.mark.fault
def test_repro_runs_changed_stages_and_gives_the_run_of_train_and_experiments(
    repository,
):
    unchanged = repository("dvc", "repro")
    for stage in STAGES:
        assert f"Stage '{stage}' didn't change, skipping" in unchanged
    first_model, first_run = repository.training()

    repository.set(lr=0.01)
    changed = repository("dvc", "repro", "train")
    runs = [repository.training()[1]]
    assert "Stage 'data' didn't change, skipping" in changed
    assert "Running stage 'train'" in changed
    (difference,) = json.loads(repository("dvc", "params", "diff", "--json")).values()
    assert (difference["lr"]["old"], difference["lr"]["new"]) == (0.001, 0.01)
    assert "val/accuracy" in repository("dvc", "metrics", "diff")

    # Training again, without DVC, changes no byte; a new color changes no result.
    repository.workspace.call("train", dataset="digits", epochs=3, lr=0.01)
    with_python = repository.training()[1]
    with (repository.root / "pipeline" / "plots" / "weights.py").open("a") as plots:
        plots.write("# another color\n")
    status = json.loads(repository("dvc", "status", "--json"))
    assert "train" not in status

    experiment = ["dvc", "exp", "run", "--force", "--single-item"]
    experiment += ["-S", "conf/config.yaml:lr=0.01"]
    repository.set()
    repository(*experiment, "train")
    runs.append(repository.training()[1])
    repository.set()
    repository(*experiment, "--temp", "--name", "in-a-copy", "train", "evaluate")
    (copied,) = repository.workspace.runs("tags.`dvc.experiment` = 'in-a-copy'")
    check_that_all_are_the_same(with_python, runs, copied, repository)

    # The earlier results return, and their run is found by the weights.
    repository.set()
    assert "Stage 'train' is cached - skipping run" in repository("dvc", "repro")
    assert repository.training()[0] == first_model != copied.data.tags["weights.sha256"]
    printed = repository.workspace.call("evaluate")
    assert first_run.info.run_id in printed
    assert not repository.workspace.trained("run.json").exists()
    assert len(repository.workspace.runs()) == 5


def check_that_all_are_the_same(with_python, runs, copied, repository):
    """Check the runs of Python, of `dvc repro`, of an experiment, and of a copy."""
    commit = repository("git", "rev-parse", "HEAD").strip()
    # In a copy, DVC commits the edit before it runs the stages.
    assert [run.data.tags["git.commit"] for run in runs] == [commit] * 2
    # The name contains what differs from the committed settings, which DVC edits.
    name = "hidden=20 seed=1 lr=0.01"
    assert {run.info.run_name for run in runs} == {name, f"{name} #2"}
    runs = [with_python, *runs, copied]
    assert len({run.info.run_id for run in runs}) == 4
    for tag in ("weights.sha256", "data.sha256"):
        assert len({run.data.tags[tag] for run in runs}) == 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    uris = [f"{run.info.artifact_uri}/config.yaml" for run in runs]
    (configuration,) = {mlflow.artifacts.load_text(uri) for uri in uris}
    assert yaml.safe_load(configuration)["lr"] == 0.01
    experiments = ["dvc.experiment" in run.data.tags for run in runs]
    assert experiments == [False, False, True, True]
    # `evaluate` wrote to the run that was trained in the copy and created no other.
    assert "with_test_set/digits/accuracy" in copied.data.metrics


@pytest.mark.fault
def test_a_shallow_clone_with_a_detached_head_pulls_the_results_and_records_a_new_run(
    repository, tmp_path, use_repository, capfd
):
    repository.set()
    repository("dvc", "checkout")
    model, run = repository.training()
    remote = ["dvc", "remote", "add", "--local", "store", str(tmp_path / "store")]
    repository(*remote)
    repository("dvc", "push", "--remote", "store")

    source = ["--depth=1", repository.root.as_uri()]
    repository("git", "clone", "--quiet", *source, str(tmp_path / "clone"))
    outputs = tmp_path / "clone" / "outputs"
    clone = Repository(replace(repository.workspace, outputs=outputs))
    clone("git", "checkout", "--quiet", "--detach")
    clone(*remote)
    clone("dvc", "pull", "--remote", "store")
    assert "Data and pipelines are up to date" in clone("dvc", "repro")
    use_repository(clone.root)
    printed = clone.workspace.call("evaluate") + capfd.readouterr().err
    assert "the store has no run of this network" in printed
    pulled, created = clone.training()
    assert pulled == model
    assert created.info.run_id != run.info.run_id and created.info.status == "FINISHED"
    commit = clone("git", "rev-parse", "HEAD").strip()
    assert created.data.tags["git.commit"] == commit
    clone.workspace.call("inspect")
    (same,) = clone.workspace.runs()
    expected = {"with_test_set/digits/accuracy", "with_final_weights/frozen_weights"}
    assert expected <= same.data.metrics.keys()
    # The files are byte-identical to those in the other folder.
    assert "Data and pipelines are up to date" in clone("dvc", "status")
