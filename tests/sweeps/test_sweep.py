"""Sweeps on scikit-learn's digits, and what they record in MLflow."""

import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import PartlyFailed, UserError, train
from pipeline.base.files import file_sha256
from pipeline.cli import defaults
from pipeline.execution import local
from pipeline.execution.executor import Executor, TaskResult
from pipeline.model import load_trained_network
from pipeline.model.storage import save_network
from pipeline.sweeps import sweep as command
from pipeline.sweeps.networks import read_networks
from pipeline.sweeps.recorded import RecordedSweep
from pipeline.tracking.provenance import code_state
from pipeline.training import run_names

LINE = 20  # pixels of a line of text in MLflow's UI
SHORT = {"hidden": 5, "epochs": 1}
NEW_EXECUTOR = command._new_executor  # the fixture `worker` replaces it


IMPORT = (
    "import sys, pipeline.sweeps.sweep; print({'torch', 'mlflow'} & {*sys.modules})"
)


def test_a_sweep_imports_neither_pytorch_nor_mlflow_before_its_workers_start():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr


@pytest.fixture(scope="module")
def swept(new_sweep):
    """A sweep of six training runs, two of them invalid, with its output and error."""
    sweep = new_sweep("swept")
    printed, error = sweep.run("hidden=5,8,-1", "seed=1,2")
    return sweep, printed, error


@pytest.fixture(scope="module")
def runs(swept):
    """The parent run and the child runs of the sweep."""
    (parent,), children = swept[0].runs()
    return parent, children


def test_a_sweep_is_one_parent_and_a_complete_child_for_each_combination(swept, runs):
    workspace, (parent, children) = swept[0].workspace, runs
    assert parent.info.run_name == "hidden=5,8,-1 seed=1,2 dataset=digits epochs=1"
    assert parent.data.params["epochs"] == "1" and "hidden" not in parent.data.params
    assert sorted((c.info.run_name, c.info.status) for c in children) == [
        (f"hidden={hidden} seed={seed} dataset=digits epochs=1", status)
        for hidden, status in ((-1, "FAILED"), (5, "FINISHED"), (8, "FINISHED"))
        for seed in (1, 2)
    ]
    filtered = "tags.swept LIKE '%hidden%'"  # as in tracking/README.md
    assert len(workspace.client.search_runs(["1"], filtered)) == 1
    assert parent.data.tags["swept"] == "hidden,seed"
    for child in children:
        tags = child.data.tags
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert tags["sweep"] == parent.data.tags["sweep"]
        for key in ("hidden", "seed"):
            assert f"{key}={tags[key]} " in child.info.run_name
            assert tags[key] == child.data.params[key]
        if child.info.status == "FINISHED":
            assert "train/model.safetensors" in workspace.artifacts(child, "train")
            assert len(workspace.values(child, "val/loss")) == 1


def test_the_best_configuration_is_visible_in_mlflow_without_show_more(
    swept, runs, chromium
):
    run = f"run={runs[0].info.run_id}"
    page = chromium.new_page(viewport={"width": 1366, "height": 768})  # a laptop
    page.set_default_timeout(60_000)  # milliseconds, for a busy machine
    ui = swept[0].workspace.start("ui", run, "browser=false")
    try:
        page.goto(ui.stdout.readline().strip())
        more = page.get_by_role("button", name="Expand description").bounding_box()
        accuracy = re.search(r"best: .* accuracy (.*%)", swept[1])[1]
        for place in (
            page.get_by_role("link", name="sweep.csv"),
            page.get_by_role("columnheader", name="val accuracy"),
            page.get_by_role("cell", name=accuracy),
        ):
            # The long text of the failures makes each row two lines high.
            assert place.bounding_box()["y"] + LINE < more["y"]
    finally:
        ui.kill()
        ui.communicate()
        page.close()


def test_a_continued_sweep_says_that_it_keeps_its_name(sweep):
    for name in ("mine", "mine", "yours"):
        printed, _ = sweep.run("seed=1,2", f"run_name={name}")
        ignored = "\nrun_name has no effect: this run was started" in printed
        assert printed.startswith("sweep mine\n") and ignored == (name == "yours")


def test_the_reason_of_an_invalid_combination_is_in_its_run_and_in_one_line(
    swept, runs
):
    _, printed, error = swept
    parent, children = runs
    rule = "hidden must be at least 1, got -1"
    failed = [child for child in children if child.info.status == "FAILED"]
    assert all(child.data.tags["error"].startswith(rule) for child in failed)
    # No worker has trained them.
    assert all(not {"host", "processor"} & {*child.data.tags} for child in failed)
    lines = printed.splitlines()
    assert max(len(x) for x in lines if not x.startswith("files  ")) <= 80
    assert lines[0] == f"sweep {parent.info.run_name}"
    # The first line has the settings that all training runs have in common.
    progress = [line.split() for line in lines if "  val/accuracy " in line]
    assert len(failed) == 2 and len(progress) == 4
    assert {line[1] for line in progress if "hidden=5" in line} == {"seed=1", "seed=2"}
    # Each reason is in two lines of progress and, with both seeds, in the table.
    text = " ".join(printed.split())
    assert text.count(f"failed: {rule}") == 3
    assert f" -1 0 - - - seed=1,2 failed: {rule}" in text
    head, *reasons = error.split("\n  ")
    assert head == "2 of 6 training runs failed" and len(reasons) == 1
    first = "hidden=-1 seed=1 dataset=digits epochs=1"
    assert reasons[0].startswith(f"{first} and 1 more: {rule}")
    assert parent.info.status == "FAILED"
    assert parent.data.tags["error"] == error


def test_the_table_equals_a_recomputation_from_the_children(swept, runs):
    client, run_id = swept[0].workspace.client, runs[0].info.run_id
    path = client.download_artifacts(run_id, "sweep/sweep.csv")
    rows = swept[0].workspace.read(path)
    assert [row["hidden"] for row in rows] == ["8", "5", "-1"]
    assert [row["Pareto front"] for row in rows] == ["True", "True", "False"]
    for row in rows[:2]:
        children = [c for c in runs[1] if c.data.params["hidden"] == row["hidden"]]
        row = {key: float(row[key]) for key in [*row][:-2]}
        accuracies = [child.data.metrics["val/accuracy"] for child in children]
        seconds = [child.data.metrics["train/seconds"] for child in children]
        assert row["trained"] == len(children) == 2
        mean, std = statistics.mean(accuracies), statistics.stdev(accuracies)
        assert row["val/accuracy"] == float(f"{mean:.4g}")
        assert row["val/accuracy std"] == float(f"{std:.4g}")
        assert row["parameters"] == 785 * row["hidden"] + 10 * (row["hidden"] + 1)
        assert row["bytes"] == 4 * row["parameters"]
        assert row["seconds"] == pytest.approx(statistics.mean(seconds), abs=0.001)
    assert rows[2]["trained"] == "0" and "got -1" in rows[2]["failed"]


def test_run_folder_and_terminal_have_the_table_and_the_best_configuration(swept, runs):
    sweep, printed, _ = swept
    rows = sweep.workspace.read(sweep.folder / "sweep.csv")
    assert [*rows[0]] == [
        *("hidden", "trained", "val/accuracy", "val/accuracy std"),
        *("parameters", "bytes", "seconds", "failed", "Pareto front"),
    ]
    best = max(rows[:2], key=lambda row: float(row["val/accuracy"]))
    accuracy = f"{float(best['val/accuracy']):.2%}"
    for text in (printed, runs[0].data.tags["mlflow.note.content"]):
        assert f"best: hidden={best['hidden']}, validation accuracy {accuracy}" in text
        assert all(f"{int(row['parameters']):,}" in text for row in rows[:2])
    assert "\n±: the sample standard deviation over the seeds\n" in printed
    (network,) = re.findall(r"^next   python -m .*inspect run=(\w{8}) ", printed, re.M)
    (child,) = (run for run in runs[1] if run.info.run_id.startswith(network))
    seeds = [run for run in runs[1] if run.data.params["hidden"] == best["hidden"]]
    accuracies = [run.data.metrics["val/accuracy"] for run in seeds]
    assert child.data.metrics["val/accuracy"] == max(accuracies)
    link = f"[best network](#/experiments/1/runs/{child.info.run_id}?"
    assert link in runs[0].data.tags["mlflow.note.content"]
    files = {f"sweep/sweep.{kind}" for kind in ("csv", "png")}
    assert sweep.workspace.artifacts(runs[0], "sweep") == files
    assert (sweep.folder / "sweep.png").read_bytes()[:4] == b"\x89PNG"


def test_the_run_of_a_sweep_has_the_accuracy_of_its_best_configuration(
    swept, runs, sweep
):
    rows = swept[0].workspace.read(swept[0].folder / "sweep.csv")
    best = [run for run in runs[1] if run.data.params["hidden"] == rows[0]["hidden"]]
    accuracies = [child.data.metrics["val/accuracy"] for child in best]
    mean = round(statistics.mean(accuracies), 6)
    assert runs[0].data.metrics == {"val/accuracy": mean}
    sweep.run("split=exercise,holdout")  # validated on different images
    (parent,), children = sweep.runs()
    assert len(children) == 2 and parent.data.metrics == {}


def test_a_sweep_writes_no_file_of_another_stage(swept):
    outputs = swept[0].workspace.outputs
    assert {path.name for path in outputs.glob("[!.]*")} == {
        *("data", "mlflow.db", "mlflow-artifacts", "sweeps"),
    }


def models(sweep):
    """Return the bytes of the networks of finished children, by fingerprint."""
    client, networks = sweep.workspace.client, {}
    for child in sweep.runs()[1]:
        if child.info.status == "FINISHED":
            path = client.download_artifacts(child.info.run_id, "train")
            content = Path(path, "model.safetensors").read_bytes()
            networks.setdefault(child.data.tags["fingerprint"], []).append(content)
    return networks


def test_a_repeated_sweep_continues_its_run_and_repeats_no_training_run(
    swept, runs, monkeypatch
):
    sweep, _, _ = swept
    # The order differs. Nothing is trained, so no cluster or other process is needed.
    monkeypatch.setattr(command, "_new_executor", NEW_EXECUTOR)
    monkeypatch.delattr(local, "HelperProcess")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    printed, _ = sweep.run("seed=2,1", "hidden=8,-1,5", "executor=ray", "workers=null")
    assert printed.count("failed: hidden") == 2 + 1  # two lines, and the table
    assert "val/accuracy" not in printed
    (parent,), children = sweep.runs()
    assert parent.info.run_id == runs[0].info.run_id
    assert {run.info.run_id for run in children} == {run.info.run_id for run in runs[1]}


def test_a_sweep_of_one_combination_says_that_nothing_varies(sweep):
    note = "No setting has several values, so this sweep trains one network."
    assert note in sweep.run("hidden=5")[0]
    assert note not in sweep.run("hidden=5,6")[0]


def test_equal_training_runs_of_other_sweeps_and_single_runs_are_reused(sweep):
    sweep.workspace.call("train", hidden=5, epochs=1, dataset="digits", seed=1)
    single = (sweep.workspace.outputs / "train/model.safetensors").read_bytes()
    sweep.run("hidden=5", "seed=1,2")
    before = sum(path.stat().st_size for path in sweep.workspace.files())
    printed, _ = sweep.run("hidden=5", "seed=1,2,3", "tracking=mlflow")
    taken = sum(path.stat().st_size for path in sweep.workspace.files()) - before
    _, children = sweep.runs()
    tags = [child.data.tags for child in children]
    assert sorted(t["seed"] for t in tags if "reused_from" not in t) == ["2", "3"]
    originals = {t["seed"]: t["reused_from"] for t in tags if "reused_from" in t}
    assert originals.keys() == {
        "1",
        "2",
    }  # both sweeps refer to the trained run
    assert originals["1"] == sweep.workspace.run_id()
    for child in children:
        is_reused = "reused_from" in child.data.tags
        assert (" (reused)" in child.info.run_name) == is_reused
    assert printed.count("val/accuracy") == 3
    space = r"(\d+) MB of disk space"
    announced = rf"\n1 training run and 2 reused runs need {space}\n"
    needed = 1e6 * int(re.search(announced, printed)[1])
    patch = 3 * len(code_state().diff.encode())  # if the clone is edited
    # With one epoch, the best network has fewer images than the 5 MB that are counted.
    assert taken < needed + 5e5 and needed - patch < taken + 6e6
    assert "\n2 of 3 training runs were reused: again=true trains all" in printed
    for networks in models(sweep).values():
        assert len({*networks}) == 1
    assert [single, single] in models(sweep).values()


def test_on_another_processor_a_sweep_stays_finished_but_no_run_is_reused(sweep):
    sweep.run("seed=1")
    _, (child,) = sweep.runs()
    sweep.workspace.client.set_tag(child.info.run_id, "processor", "another")
    printed, _ = sweep.run("seed=1")
    assert "this sweep is finished" in printed and "val/accuracy" not in printed
    printed, _ = sweep.run("seed=1,2")
    assert printed.count("val/accuracy") == 2 and "reused" not in printed


def test_reused_runs_keep_their_metrics_and_provenance_and_need_whole_files(sweep):
    for _ in range(2):
        sweep.workspace.call("train", hidden=5, epochs=1, dataset="digits", seed=1)
    newest, older = sweep.runs()[0]
    path = sweep.workspace.artifact(older, "train/metrics.json")
    path.write_text(
        path.read_text().replace("{", '{"with_final_weights/train_top3": 0.5,', 1)
    )
    sweep.workspace.artifact(newest, "train/history.csv").unlink()
    sweep.workspace.artifact(older, "packages.txt").unlink()
    for tag, value in {"version.python": "3.99", "host": "another"}.items():
        sweep.workspace.client.set_tag(older.info.run_id, tag, value)
    printed, error = sweep.run("hidden=5", "seed=1")
    (child,) = sweep.runs()[1]
    assert "reused" in printed and not error
    assert child.data.tags["reused_from"] == older.info.run_id
    assert child.data.tags["version.python"] == "3.99"
    assert child.data.tags["host"] == "another"
    assert not sweep.workspace.artifact(child, "packages.txt").exists()
    assert child.data.metrics["with_final_weights/train_top3"] == 0.5


NODE = {"host": "node", "processor": "Z80"}


class Nodes(Executor):
    """Trains in this process; the results say that a node trained seed 2."""

    processors = frozenset(["Z80"])
    workers = 1

    @classmethod
    def create(cls, **_):
        return cls()

    def __exit__(self, *exception):
        pass

    def _start(self, function, task):
        call = Future()
        call.set_result(function(task.data_file.read(), **task.arguments))
        return call

    def _wait(self, calls, *, timeout):
        return [*calls]

    def _result(self, call, task):
        machine = NODE if task.job.values["seed"] == 2 else {}
        return TaskResult(task.job, call.result(), machine)


def test_a_child_names_the_machine_that_trained_it(sweep, monkeypatch):
    monkeypatch.setattr(command, "_new_executor", lambda _: Nodes.create())
    sweep.run("seed=1,2")
    (parent,), children = sweep.runs()
    found = {
        child.data.tags["seed"]: {key: child.data.tags[key] for key in NODE}
        for child in children
    }
    assert found["2"] == NODE
    assert found["1"] == {key: parent.data.tags[key] for key in NODE} != NODE


def test_two_names_of_the_same_images_are_one_data_set(sweep, idx_folder, tmp_path):
    shutil.copytree(idx_folder, tmp_path / "a copy")
    folders = f"{idx_folder},{tmp_path / 'a copy'}"
    printed, error = sweep.run("seed=1,2", f"dataset={folders}")
    assert "(2 of 2)" in printed and not error
    (parent,), children = sweep.runs()
    assert parent.info.status == "FINISHED"
    assert len({child.data.tags["fingerprint"] for child in children}) == 2


def test_a_sweep_is_continued_with_the_same_images_under_another_name(
    sweep, idx_folder, tmp_path
):
    sweep.run("seed=1,-1", f"dataset={idx_folder}")
    shutil.copytree(idx_folder, tmp_path / "a copy")
    printed, error = sweep.run("seed=1,-1", f"dataset={tmp_path / 'a copy'}")
    assert "val/accuracy" not in printed and "1 of 2 training runs failed" in error
    (parent,), _ = sweep.runs()
    assert parent.info.status == "FAILED"
    printed, error = sweep.run("seed=1,2", f"dataset={tmp_path / 'a copy'}")
    assert "1 of 2 training runs was reused" in printed and not error
    (copy,) = (run for run in sweep.runs()[1] if "reused_from" in run.data.tags)
    assert copy.data.params["dataset"].startswith("a_copy-")
    path = sweep.workspace.artifact(copy, "train/model.safetensors")
    assert load_trained_network(path).dataset == copy.data.params["dataset"]
    for name in ("config.yaml", "packages.txt", "train/history.csv"):
        original = sweep.workspace.client.get_run(copy.data.tags["reused_from"])
        texts = [
            sweep.workspace.artifact(run, name).read_text() for run in (copy, original)
        ]
        assert (texts[0] == texts[1]) == (name != "config.yaml")


def test_a_network_of_which_a_file_is_lost_is_trained_again_in_any_sweep(sweep):
    sweep.run("seed=1,2")
    files = ("history.safetensors", "run.json")
    for child, name in zip(sweep.runs()[1], files, strict=True):
        sweep.workspace.artifact(child, f"train/{name}").unlink()
    printed, error = sweep.run("seed=1,2,3")
    assert "3 training runs need " in printed and "reused" not in printed and not error
    printed, error = sweep.run("seed=1,2")
    assert "reused  (2 of 2)" in printed and not error


def test_a_best_network_that_is_damaged_fails_and_is_trained_again(sweep):
    sweep.run("seed=1")
    (parent,), (child,) = sweep.runs()
    sweep.workspace.artifact(child, "train/history.csv").write_text("epoch\n")
    sweep.workspace.client.set_terminated(parent.info.run_id, "KILLED")
    _, error = sweep.run("seed=1")
    assert f"run {child.info.run_id} cannot be read" in error
    assert error.endswith("the same command trains it again")
    assert sweep.statuses() == (["FAILED"], ["FAILED"])
    printed, error = sweep.run("seed=1")
    assert "(1 of 1)" in printed and "reused" not in printed and not error
    assert "±" not in printed
    assert sweep.statuses() == (["FINISHED"], ["FAILED", "FINISHED"])
    damaged = sweep.workspace.client.get_run(child.info.run_id)
    assert "cannot be read" in damaged.data.tags["error"]
    assert damaged.info.end_time == child.info.end_time


def test_a_damaged_best_network_does_not_lose_the_outcomes(sweep, tmp_path):
    settings = {"dataset": "digits", "epochs": 1, "batch_size": [32, 1501]}
    with sweep.workspace.captured(), pytest.raises(PartlyFailed):
        train.sweep(**settings)
    (child,) = (x for x in sweep.runs()[1] if x.info.status == "FINISHED")
    sweep.workspace.artifact(child, "train/history.csv").write_text("epoch\n")
    with sweep.workspace.captured(), pytest.raises(PartlyFailed) as error:
        train.sweep(**settings, folder=tmp_path / "own")
    first, _, last = str(error.value).split("\n", 2)
    assert first == "1 of 2 training runs failed"
    assert last.startswith(f"run {child.info.run_id} cannot be read")
    result = error.value.result
    assert [each.run_id == child.info.run_id for each in result.outcomes] == [
        True,
        False,
    ]
    assert {path.name for path in result.folder.iterdir()} == {"sweep.csv", "sweep.png"}
    assert result.folder == tmp_path / "own"


def test_a_damaged_network_that_another_sweep_finds_is_trained_again_in_both(sweep):
    sweep.run("seed=1,2")
    _, children = sweep.runs()
    (damaged,) = (each for each in children if each.data.tags["seed"] == "1")
    path = sweep.workspace.artifact(damaged, "train/history.csv")
    path.write_text("epoch\n")
    assert "this sweep is finished" in sweep.run("seed=1,2")[0]  # reads no file
    printed, error = sweep.run("seed=1,2,3")
    assert "1 of 3 training runs was reused" in printed and not error
    line = f"run {damaged.info.run_id} cannot be read ({path} "
    assert " ".join(printed.split()).count(line) == 1
    damaged = sweep.workspace.client.get_run(damaged.info.run_id)
    assert damaged.info.status == "FAILED"
    assert str(path) in damaged.data.tags["error"]
    printed, error = sweep.run("seed=1,2")  # the network that was trained again
    assert "reused  (2 of 2)" in printed and not error
    assert "this sweep is finished" in sweep.run("seed=1,2")[0]
    sweep.workspace.call("train", hidden=5, epochs=1, dataset="digits", seed=1)
    single = sweep.workspace.client.get_run(sweep.workspace.run_id())
    sweep.workspace.artifact(single, "train/history.csv").write_text("epoch\n")
    printed, error = sweep.run("hidden=5", "seed=1")
    found = f"run {single.info.run_id} cannot be read"
    assert "reused: again" not in printed and printed.count(found) == 1 and not error
    single = sweep.workspace.client.get_run(single.info.run_id)
    assert single.info.status == "FINISHED"


def test_a_finished_sweep_trains_a_lost_network_again(sweep, tmp_path):
    sweep.run("seed=1,2")
    (parent,), (child, _) = sweep.runs()
    network = sweep.workspace.artifact(child, "train/model.safetensors")
    network.rename(tmp_path / network.name)
    store = sweep.workspace.outputs
    with pytest.raises(UserError, match=f"of runs {child.info.run_id} are lost: run"):
        RecordedSweep.find(parent.info.run_id, store=store)
    printed, error = sweep.run("seed=1,2")
    assert printed.count("val/accuracy") == 1 and "(2 of 2)" in printed and not error
    trained = RecordedSweep.find(parent.info.run_id, store=store)
    trained_ids = {each.run.run_id for each in trained.complete.values()}
    assert len(trained_ids) == 2 and child.info.run_id not in trained_ids
    shutil.copy(tmp_path / network.name, network)  # as from a backup
    found = RecordedSweep.find(parent.info.run_id, store=store)
    assert {each.run.run_id for each in found.complete.values()} == trained_ids
    assert len(found.complete) == 2
    found = RecordedSweep.find(sweep.folder.name, store=store)
    assert found.run.run_id == parent.info.run_id and len(found.complete) == 2


def test_each_training_run_of_a_sweep_has_the_patch_with_which_it_was_trained(
    sweep, clone_project, use_repository, tmp_path
):
    root = clone_project(tmp_path / "clone").outputs.parent
    settings = root / "conf" / "config.yaml"
    committed = settings.read_text()
    (root / "pipeline" / "new.py").write_bytes(b'NEW = "caf\xe9"  # not UTF-8\n')
    use_repository(tmp_path / "clone")
    settings.write_text(f"{committed}# one\n")
    sweep.run("seed=1,2")
    (parent,), (child, _) = sweep.runs()
    sweep.workspace.client.delete_run(child.info.run_id)
    sweep.workspace.client.set_terminated(parent.info.run_id, "KILLED")
    settings.write_text(f"{committed}# two\n")
    sweep.run("seed=1,2")  # continued with different code
    settings.write_text(committed)
    printed, _ = sweep.run("seed=1,2,-1")
    assert "2 of 3 training runs were reused" in printed
    patches = [
        (sweep.workspace.artifact(run, "code.diff"), run.data.tags["git.diff"])
        for run in sweep.runs(deleted=[child.info.run_id])[1]
        if run.info.status == "FINISHED"
    ]
    assert len(patches) == 4 and len({sha256 for _, sha256 in patches}) == 2
    assert all(file_sha256(path) == sha256 for path, sha256 in patches)


def test_runs_whose_metrics_are_lost_are_not_reused_and_again_reuses_none(sweep):
    sweep.run("seed=1,2")
    first, second = sweep.workspace.outputs.glob("mlflow-artifacts/**/train")
    (first / "history.csv").unlink()
    incomplete = '{"with_final_weights/train_accuracy": 0.9, "val/accuracy": 0.9}'
    (second / "metrics.json").write_text(incomplete)
    for setting in ("again=false", "again=true"):
        printed, error = sweep.run("seed=1,2,3", setting)
        assert printed.count("val/accuracy") == 3 and not error
    parents, children = sweep.runs()
    assert (len(parents), len(children)) == (3, 2 + 3 + 3)
    assert not any("reused_from" in child.data.tags for child in children)
    assert [len({*networks}) for networks in models(sweep).values()] == [1, 1, 1]


def test_an_interrupted_sweep_with_again_is_continued_by_the_same_command(sweep):
    class Stop(BaseException):
        """Ends a sweep after its first result."""

    def stop(outcome):
        raise Stop

    sweep.run("seed=1,2")
    with sweep.workspace.captured(), pytest.raises(Stop):
        train.sweep(dataset="digits", epochs=1, seed=[1, 2], again=True, on_result=stop)
    printed, error = sweep.run("seed=1,2", "again=true")
    assert printed.count("  val/accuracy ") == 1
    assert "(2 of 2)" in printed and "reused" not in printed and not error
    assert sweep.statuses() == (["FINISHED"] * 2, ["FINISHED"] * 4)


def test_a_second_process_waits_for_the_same_sweep_and_says_so(sweep):
    arguments, started = ["dataset=digits", "epochs=1", "seed=choice(1)"], []

    def start(outcome):
        started.append(sweep.workspace.start("train", "-m", *arguments))
        line = started[0].stderr.readline()
        assert line == "waiting for another process that is running the same sweep\n"

    with sweep.workspace.captured():
        train.sweep(dataset="digits", epochs=1, seed=[1], on_result=start)
    printed, error = started[0].communicate()
    assert "\nthis sweep is finished" in printed and not error
    assert sweep.statuses() == (["FINISHED"], ["FINISHED"])


def test_a_child_whose_metrics_or_seconds_are_damaged_is_trained_again(sweep):
    sweep.run("seed=1,2,3")
    files = ("metrics.json", "metrics.json", "run.json")
    contents = ('{"val/accuracy": 0.9}', '{"val/acc', '{"run_id": null, "times": []}')
    for child, name, content in zip(sweep.runs()[1], files, contents, strict=True):
        sweep.workspace.artifact(child, f"train/{name}").write_text(content)
    printed, error = sweep.run("seed=1,2,3")
    assert printed.count("  val/accuracy ") == 3
    assert "(3 of 3)" in printed and "reused" not in printed and not error
    printed, error = sweep.run("seed=1,2,3")
    assert "this sweep is finished" in printed and not error


def test_the_metrics_of_a_continued_sweep_are_those_in_the_files(sweep):
    with sweep.workspace.captured():
        first = train.sweep(dataset="digits", epochs=2, seed=[1, 2]).rows()
    (parent,), children = sweep.runs()
    for child in children:
        path = sweep.workspace.artifact(child, "train/metrics.json")
        path.write_text(path.read_text().replace("{", '{"my/metric": 0.5,', 1))
    with closing(sqlite3.connect(sweep.workspace.outputs / "mlflow.db")) as database:
        for table in ("latest_metrics", "metrics"):
            database.execute(f"DELETE FROM {table}")
        database.commit()
    with sweep.workspace.captured():
        result = train.sweep(dataset="digits", epochs=2, seed=[1, 2])
    assert result.run_id == parent.info.run_id and len(sweep.runs()[1]) == 2
    assert result.rows() == [{**row, "my/metric": 0.5} for row in first]


def test_a_finished_sweep_prints_its_table_and_trains_deleted_children_again(
    sweep, monkeypatch
):
    first, _ = sweep.run("seed=1,2")
    table = first[first.index("\nall seeds: ") :]
    assert sweep.run("seed=1,2")[0].endswith(table)
    (parent,), (child, _) = sweep.runs()
    tags, client = {"mlflow.parentRunId": parent.info.run_id}, sweep.workspace.client
    client.create_run("1", tags=tags)  # a user's run, which stays open
    tags |= {"version.digit-pipeline": "1"}  # as a run of this project has
    client.set_terminated(client.create_run("1", tags=tags).info.run_id)
    trained = RecordedSweep.find(parent.info.run_id, store=sweep.workspace.outputs)
    assert len(trained.complete) == 2
    shutil.rmtree(sweep.folder)
    assert sweep.run("seed=1,2")[0].endswith(table)
    assert {path.name for path in sweep.folder.iterdir()} == {"sweep.csv", "sweep.png"}
    assert sweep.statuses() == (["FINISHED"], ["FINISHED"] * 3 + ["RUNNING"])

    client.delete_run(child.info.run_id)
    printed, _ = sweep.run("seed=1,2")
    assert printed.count("val/accuracy") == 1 and "(2 of 2)" in printed
    (again,), children = sweep.runs(deleted=[child.info.run_id])
    assert again.info.run_id == parent.info.run_id
    seeds = sorted(run.data.tags.get("seed", "a user's") for run in children)
    assert seeds == ["1", "2", "a user's", "a user's"]
    # A sweep whose runs can all be reused starts no worker.
    monkeypatch.setattr(command, "_new_executor", NEW_EXECUTOR)
    monkeypatch.setattr(local, "free_memory", lambda: 0)
    monkeypatch.delattr(local, "HelperProcess")
    printed, error = sweep.run("seed=1,2", "experiment_name=another")
    assert "reused  (2 of 2)" in printed and not error
    assert client.get_experiment_by_name("another")


def test_a_sweep_does_not_depend_on_the_committed_defaults(sweep, monkeypatch):
    sweep.run("seed=1,2", "epochs=2")
    changed = {**defaults(), "dataset": "digits", "epochs": 2}
    monkeypatch.setattr(run_names, "_unnamed_values", lambda: changed)
    printed, _ = sweep.run("seed=1,2", "epochs=2")  # their runs have new names
    assert "this sweep is finished" in printed
    assert sweep.statuses() == (["FINISHED"], ["FINISHED"] * 2)


def test_an_invalid_combination_is_recorded_once_however_long_its_value_is(sweep):
    for _ in range(2):
        _, error = sweep.run(f"dataset=digits,{'x' * 9000}")
        assert error.startswith("1 of 2 training runs failed")
        assert sweep.statuses() == (["FAILED"], ["FAILED", "FINISHED"])


def test_an_invalid_combination_is_recorded_once_whatever_else_the_command_lists(sweep):
    for hidden in ("5", "choice(5)"):
        sweep.run("seed=1,-1", f"hidden={hidden}")
        assert sweep.statuses() == (["FAILED"], ["FAILED", "FINISHED"])


def test_a_failed_combination_is_trained_again_and_its_attempts_stay_visible(sweep):
    for number in (1, 2):
        printed, error = sweep.run("batch_size=32,1501")
        rule = "batch_size must be at most 1500"  # the training images of digits
        assert f"batch_size=1501  failed: {rule}" in printed
        assert error.startswith("1 of 2 training runs failed\n  hidden=20 seed=1 ")
        assert sweep.statuses() == (["FAILED"], ["FAILED"] * number + ["FINISHED"])


def test_a_sweep_is_rejected_if_one_of_its_data_sets_is_not_available(sweep, tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"none")
    printed, error = sweep.run("seed=1,2", f"dataset=digits,{tmp_path}")
    assert not printed
    assert str(tmp_path) in error and "\n" not in error
    assert sweep.runs() == ([], [])


def test_networks_have_the_keys_that_any_process_of_their_sweep_varied(sweep):
    client = sweep.workspace.client
    sweep.run("hidden=5", "seed=1,2")
    (parent,), (child, _) = sweep.runs()
    client.delete_run(child.info.run_id)
    sweep.run("hidden=choice(5)", "seed=1,2")
    _, (*_, last) = sweep.runs(deleted=[child.info.run_id])
    client.delete_run(last.info.run_id)
    sweep.run("hidden=5", "seed=1,2")
    store = sweep.workspace.outputs
    run, networks = read_networks(parent.info.run_id, store=store)
    assert run.run_id == parent.info.run_id and run.tags["swept"] == "seed,hidden"
    swept = [each.varied_values for each in networks]
    assert swept == [{"hidden": 5, "seed": 1}, {"hidden": 5, "seed": 2}]


def test_networks_have_the_values_in_their_files_where_a_name_stays_text(sweep):
    sweep.run("dataset=choice(digits)", "hidden=5", "lr=1,0.5")
    (parent,), children = sweep.runs()
    name = "1e-00000012"  # a data set from the folder 1e; the name is also a number
    for child in children:
        path = sweep.workspace.artifact(child, "train/model.safetensors")
        trained = load_trained_network(path)
        metadata = trained.metadata.model_copy(update={"dataset": name})
        save_network(path, trained.network, metadata)
    store = sweep.workspace.outputs
    _, networks = read_networks(parent.info.run_id, store=store)
    values = [{"dataset": name, "lr": 0.5}, {"dataset": name, "lr": 1.0}]
    assert [each.varied_values for each in networks] == values


def test_a_network_without_hyperparameters_is_rejected_with_the_remedy(sweep):
    sweep.run("hidden=5", "seed=1,2")
    (parent,), (child, _) = sweep.runs()
    path = sweep.workspace.artifact(child, "train/model.safetensors")
    save_network(path, load_trained_network(path).network)
    remedy = f"does not record its hyperparameters: delete run {child.info.run_id}, and"
    with pytest.raises(UserError, match=remedy):
        read_networks(parent.info.run_id, store=sweep.workspace.outputs)


def test_a_folder_of_images_can_be_moved_while_its_sweep_runs(
    sweep, idx_folder, tmp_path, monkeypatch
):
    new_executor = command._new_executor

    def move(*arguments):
        idx_folder.rename(tmp_path / "moved")
        return new_executor(*arguments)

    monkeypatch.setattr(command, "_new_executor", move)
    printed, error = sweep.run("seed=1,2", f"dataset={idx_folder}")
    assert "(2 of 2)" in printed and not error


def test_a_sweep_without_mlflow_starts_again_and_says_so(new_sweep):
    sweep = new_sweep("unrecorded", store=False)
    for _ in range(2):
        printed, error = sweep.run("seed=1,2", "tracking=none")
        head = " ".join(printed.splitlines()[1:3])
        assert head.endswith("the same command starts from the beginning.")
        assert printed.count("val/accuracy") == 2 and not error
        assert "all seeds: validation accuracy" in printed
    assert (sweep.folder / "seed=2" / "train" / "model.safetensors").exists()
    assert not (sweep.workspace.outputs / "mlflow.db").exists()


def stop_at_first_result(monkeypatch):
    """Return a callback that presses Ctrl-C when it is called for the first time."""
    # After the test, the executor has this value again.
    monkeypatch.setattr(command._new_executor(), "_is_stopped", False)
    signals = [signal.SIGINT]

    def stop(outcome):
        while signals:
            signal.raise_signal(signals.pop())

    return stop


@pytest.mark.parametrize(("tracking", "end"), [("mlflow", " to resume"), ("none", "")])
def test_only_a_recorded_sweep_resumes_after_ctrl_c(sweep, tracking, end, monkeypatch):
    settings = {"dataset": "digits", "epochs": 1, "seed": [1, 2, 3]}
    stop = stop_at_first_result(monkeypatch)
    message = rf"^stopped after [12] of 3 .*: run the same command again{end}$"
    with (
        sweep.workspace.captured(),
        pytest.raises(KeyboardInterrupt, match=message),
    ):
        train.sweep(on_result=stop, tracking=tracking, **settings)


def test_a_sweep_without_mlflow_needs_another_folder_after_ctrl_c(
    sweep, monkeypatch, tmp_path, capsys
):
    settings = {"dataset": "digits", "epochs": 1, "seed": [1, 2, 3]}
    stop, again = stop_at_first_result(monkeypatch), "with another folder"
    call = settings | {"tracking": "none", "folder": tmp_path / "own"}
    with pytest.raises(KeyboardInterrupt, match=f"the same command again {again}$"):
        train.sweep(on_result=stop, **call)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"the same command {again} starts from the beginning." in printed
    with pytest.raises(UserError, match="must be new or empty"):
        train.sweep(**call)
    monkeypatch.setattr(command._new_executor(), "_is_stopped", False)
    result = train.sweep(**call | {"folder": tmp_path / "other"})
    assert all(each.network_path.exists() for each in result.outcomes)


def test_the_disk_that_gets_the_networks_must_have_space(sweep, tmp_path):
    # The networks would take 32 TB; `folder` gets only the table and the plot.
    settings = {"hidden": 10_000, "epochs": 10_000, "dataset": "digits"}
    with (
        sweep.workspace.captured(),
        pytest.raises(UserError, match="the sweep needs about") as error,
    ):
        train.sweep(seed=range(100), folder=tmp_path / "own", **settings)
    place = sweep.workspace.outputs
    assert f" is free in {place}: delete files" in str(error.value)
    assert not sweep.runs()[0]  # rejected before anything is recorded
