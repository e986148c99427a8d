"""Sweeps on scikit-learn's digits, and what they record in MLflow."""

import csv
import itertools
import re
import shutil
import statistics

import pytest

from pipeline.training import loop


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


def test_a_sweep_is_one_parent_and_a_complete_child_for_each_setting(swept, runs):
    client, (parent, children) = swept[0].workspace.client, runs
    assert parent.info.run_name == "hidden=5,8,-1 seed=1,2 dataset=digits epochs=1"
    assert parent.data.params["epochs"] == "1" and "hidden" not in parent.data.params
    assert sorted((c.info.run_name, c.info.status) for c in children) == [
        (f"hidden={hidden} seed={seed} dataset=digits epochs=1", status)
        for hidden, status in ((-1, "FAILED"), (5, "FINISHED"), (8, "FINISHED"))
        for seed in (1, 2)
    ]
    for child in children:
        tags = child.data.tags
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert tags["sweep"] == parent.data.tags["sweep"]
        for key in ("hidden", "seed"):
            assert f"{key}={tags[key]} " in child.info.run_name
            assert tags[key] == child.data.params[key]
        if child.info.status == "FINISHED":
            files = client.list_artifacts(child.info.run_id, "train")
            assert "train/model.safetensors" in [file.path for file in files]
            assert len(swept[0].workspace.losses(child)) == 1


def test_an_invalid_setting_says_why_in_its_run_and_in_one_line(swept, runs):
    _, printed, error = swept
    parent, children = runs
    rule = "hidden must be greater than or equal to 1, got -1"
    failed = [child for child in children if child.info.status == "FAILED"]
    assert all(child.data.tags["error"].startswith(rule) for child in failed)
    lines = printed.splitlines()
    assert max(len(x) for x in lines if not x.startswith("files  ")) <= 80
    assert lines[0] == f"sweep {parent.info.run_name}"
    progress = [line.split() for line in lines if " of 6  " in line]
    assert len(failed) == 2 and len(progress) == 6
    # The first line has the settings that all training runs have in common.
    assert {line[4] for line in progress if "hidden=5" in line} == {"seed=1", "seed=2"}
    assert "validation" in {line[5] for line in progress}
    # Each reason is in two lines of progress and, with both seeds, below the table.
    text = " ".join(printed.split())
    assert text.count(f"failed: {rule}") == 3
    assert f"hidden=-1 seed=1,2 failed: {rule}" in text
    assert error.startswith("2 of 6 training runs failed: hidden=-1 seed=1")
    assert parent.info.status == "FAILED"
    assert parent.data.tags["error"] == f"UserError: {error}"


def test_the_table_equals_a_recomputation_from_the_children(swept, runs):
    client, run_id = swept[0].workspace.client, runs[0].info.run_id
    path = client.download_artifacts(run_id, "sweep/sweep.csv")
    with open(path) as stream:
        rows = [*csv.DictReader(stream)]
    assert [row["hidden"] for row in rows] == ["8", "5", "-1"]
    assert [row["best trade-off"] for row in rows] == ["True", "True", "False"]
    for row in rows[:2]:
        children = [c for c in runs[1] if c.data.params["hidden"] == row["hidden"]]
        row = {key: float(row[key]) for key in [*row][:-2]}
        accuracies = [child.data.metrics["val/accuracy"] for child in children]
        seconds = [child.data.metrics["train/seconds"] for child in children]
        assert row["trained"] == len(children) == 2
        assert row["val/accuracy"] == pytest.approx(statistics.mean(accuracies))
        assert row["val/accuracy std"] == pytest.approx(statistics.stdev(accuracies))
        assert row["parameters"] == 785 * row["hidden"] + 10 * (row["hidden"] + 1)
        assert row["bytes"] == 4 * row["parameters"]
        assert row["seconds"] == pytest.approx(statistics.mean(seconds), abs=0.001)
    assert rows[2]["trained"] == "0" and "got -1" in rows[2]["failed"]


def test_run_folder_and_terminal_have_the_table_and_the_best_setting(swept, runs):
    sweep, printed, _ = swept
    with (sweep.folder / "sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [*rows[0]] == [
        *("hidden", "trained", "val/accuracy", "val/accuracy std"),
        *("parameters", "bytes", "seconds", "failed", "best trade-off"),
    ]
    best = max(rows[:2], key=lambda row: float(row["val/accuracy"]))
    accuracy = f"{float(best['val/accuracy']):.2%}"
    for text in (printed, runs[0].data.tags["mlflow.note.content"]):
        assert f"best: hidden={best['hidden']}, validation accuracy {accuracy}" in text
        assert all(f"{int(row['parameters']):,}" in text for row in rows[:2])
    client = sweep.workspace.client
    (network,) = re.findall(r"^next   python -m .*inspect run=(\w{8}) ", printed, re.M)
    (child,) = (run for run in runs[1] if run.info.run_id.startswith(network))
    accuracies = [run.data.metrics.get("val/accuracy", 0) for run in runs[1]]
    assert child.data.metrics["val/accuracy"] == max(accuracies)
    files = {file.path for file in client.list_artifacts(runs[0].info.run_id, "sweep")}
    assert files == {f"sweep/sweep.{kind}" for kind in ("csv", "png")}
    assert (sweep.folder / "sweep.png").read_bytes()[:4] == b"\x89PNG"


def test_a_sweep_writes_no_file_of_another_stage(swept):
    outputs = swept[0].workspace.outputs
    assert {path.name for path in outputs.glob("[!.]*")} == {
        *("checkpoints", "data", "mlflow.db", "mlflow-artifacts", "sweeps")
    }


@pytest.mark.parametrize("lost", ["hidden=5,seed=1", "."])
def test_a_repeated_sweep_restores_its_files_and_duplicates_no_run(swept, runs, lost):
    sweep, _, _ = swept
    shutil.rmtree(sweep.folder / lost)
    printed, _ = sweep.run("seed=2,1", "hidden=8,-1,5")  # in another order
    assert "4 of 6 training runs already finished" in printed
    assert (sweep.folder / "hidden=5,seed=1" / "train" / "model.safetensors").exists()
    (parent,), children = sweep.runs()
    assert parent.info.run_id == runs[0].info.run_id
    assert {run.info.run_id for run in children} == {run.info.run_id for run in runs[1]}


def test_a_finished_sweep_prints_its_table_again_and_restores_its_files(sweep):
    first, _ = sweep.run("seed=1")
    again, _ = sweep.run("seed=1")
    assert again.startswith("this sweep is finished")
    assert again.endswith(first[first.index("\ntrained ") :])
    for name in ("metrics.json", "run.json"):  # damaged
        (sweep.folder / "seed=1" / "train" / name).write_text('{"run_')
    (sweep.folder / "sweep.csv").unlink()
    assert sweep.run("seed=1") == (again, "")
    assert (sweep.folder / "sweep.csv").exists()
    shutil.rmtree(sweep.folder)
    assert sweep.run("seed=1") == (again, "")
    assert (sweep.folder / "sweep.png").exists()
    assert sweep.statuses() == (["FINISHED"], ["FINISHED"])


def test_a_failed_job_is_trained_again_and_keeps_one_run(sweep, monkeypatch):
    step = loop.Adam.step

    def broken(adam, gradient):
        if adam.lr == 0.5:
            raise TypeError("a bug")
        step(adam, gradient)

    monkeypatch.setattr(loop.Adam, "step", broken)
    for already in (0, 1):
        printed, error = sweep.run("batch_size=32,1501", "lr=0.5,0.001")
        assert f"{already} of 4 training runs already finished" in printed
        # Each reason is in two lines of progress and in two below the table.
        rule = "failed: batch_size must be <= 1500"  # the training images of digits
        text = " ".join(printed.split())  # lines wrap
        assert text.count(rule) == 4
        assert text.count("failed: TypeError: a bug") == 2
        assert "Traceback" not in printed + error
        assert error.startswith("3 of 4 training runs failed: ")
        path = sweep.folder / "batch_size=32,lr=0.5" / "error.txt"
        assert error.endswith(f"in the program; its traceback is in {path}")
        assert sweep.statuses() == (["FAILED"], ["FAILED"] * 3 + ["FINISHED"])
    assert "Traceback" in path.read_text() and "loop.py" in path.read_text()


def test_a_sweep_and_a_single_run_with_equal_options_are_separate(sweep, monkeypatch):
    count, step = itertools.count(), loop.Adam.step

    def interrupted(adam, gradient):
        if next(count) == 50:  # in the second epoch: one on digits has 47 steps
            raise KeyboardInterrupt
        step(adam, gradient)

    stopped = "^stopped after 0 of 2 training runs; run the same command again"
    with (
        monkeypatch.context() as patch,
        pytest.raises(KeyboardInterrupt, match=stopped),
    ):
        patch.setattr(loop.Adam, "step", interrupted)
        sweep.run("hidden=5", "epochs=3", "seed=1,2")
    keys = {"hidden": 5, "epochs": 3, "dataset": "digits"}
    assert "resuming" not in sweep.workspace.call("train", **keys)
    assert sweep.statuses() == (["FINISHED", "KILLED"], ["KILLED"])


def test_a_sweep_whose_data_is_not_available_is_refused(sweep, tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"none")
    printed, error = sweep.run("seed=1,2", f"dataset={tmp_path}")
    assert not printed and str(tmp_path) in error and "\n" not in error
    assert sweep.runs() == ([], [])


def test_a_sweep_without_mlflow_prints_its_table_and_is_resumed(new_sweep):
    sweep = new_sweep("unrecorded", store=False)
    printed, _ = sweep.run("seed=1", "tracking=none")
    assert "all seeds: validation accuracy" in printed
    for finished in (1, 0):
        printed, error = sweep.run("seed=1", "tracking=none")
        assert f"{finished} of 1 training runs already finished" in printed
        assert not error
        assert "python -m pipeline.train seed=1 dataset=digits epochs=1\n" in printed
        (sweep.folder / "seed=1" / "train" / "metrics.json").write_text("")  # damaged
    assert not (sweep.workspace.outputs / "mlflow.db").exists()
