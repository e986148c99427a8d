"""Sweeps, as processes on scikit-learn's digits, and what MLflow has of them."""

import csv
import os
import re
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest

from pipeline.cli.arguments import Job
from pipeline.cli.config import defaults
from pipeline.sweeps import driver
from pipeline.sweeps.driver import Outcome, Setting

DIGITS = ["dataset=digits", "epochs=2"]


def store_of(project):
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    client = MlflowClient(f"sqlite:///{project.outputs / 'mlflow.db'}")
    runs = client.search_runs(["1"], run_view_type=ViewType.ALL)
    deleted = [run for run in runs if run.info.lifecycle_stage != "active"]
    assert not [run for run in deleted if run.info.status == "FINISHED"]
    runs = [run for run in runs if run not in deleted]
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return client, parents, [run for run in runs if run not in parents]


def one_of(folder):
    (found,) = (path for path in folder.glob("*") if path.is_dir())
    return found


@pytest.fixture(scope="module")
def swept(empty_project):
    """A project in which a sweep ran, two of whose settings can't be trained."""
    made = empty_project("swept")
    command = ["train", "-m", "hidden=5,8,-1", "seed=1,2", *DIGITS]
    done = made.run(*command, status=1)
    (made.root / "printed.txt").write_text(done.stdout)
    return made


def test_a_sweep_is_one_parent_and_a_child_for_each_setting(swept):
    _, (parent,), children = store_of(swept)
    assert parent.info.run_name == "hidden=5,8,-1 seed=1,2 dataset=digits epochs=2"
    assert parent.data.params["epochs"] == "2" and "hidden" not in parent.data.params
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {
        parent.info.run_id
    }
    assert sorted((c.info.run_name, c.info.status) for c in children) == [
        (
            f"hidden={hidden} seed={seed} dataset=digits epochs=2",
            "FAILED" if hidden < 0 else "FINISHED",
        )
        for hidden in (-1, 5, 8)
        for seed in (1, 2)
    ]


def test_swept_keys_are_params_and_tags_of_every_child(swept):
    _, (parent,), children = store_of(swept)
    for child in children:
        for key in ("hidden", "seed"):
            assert f"{key}={child.data.params[key]}" in child.info.run_name
            assert child.data.tags[key] == child.data.params[key]
        assert child.data.tags["sweep"] == parent.data.tags["sweep"]


def test_a_child_is_as_complete_as_a_single_run(swept):
    client, _, children = store_of(swept)
    for child in children:
        if child.info.status == "FINISHED":
            files = client.list_artifacts(child.info.run_id, "train")
            assert len(files) == 7
            assert len(client.get_metric_history(child.info.run_id, "val/loss")) == 2


def test_a_setting_that_is_refused_says_why_in_its_run_and_in_one_line(swept):
    _, (parent,), children = store_of(swept)
    rule = "hidden must be greater than or equal to 1, got -1"
    failed = [child for child in children if child.info.status == "FAILED"]
    assert all(child.data.tags["error"].startswith(rule) for child in failed)
    lines = (swept.root / "printed.txt").read_text().splitlines()
    progress = [line for line in lines if " of 6  " in line]
    assert len(progress) == 6
    assert len([line for line in progress if rule in line]) == 2
    assert parent.info.status == "FAILED"
    assert parent.data.tags["error"].startswith("ValueError: 2 of 6 settings failed")


def test_the_table_equals_a_recomputation_from_the_children(swept):
    import mlflow

    client, (parent,), children = store_of(swept)
    mlflow.set_tracking_uri(client.tracking_uri)  # what load_table looks into
    table = client.load_table("1", "sweep/sweep.json", [parent.info.run_id]).to_dict(
        "records"
    )
    assert [row["hidden"] for row in table] == [5, 8, -1]
    for row in table[:2]:
        runs = [c for c in children if c.data.params["hidden"] == str(row["hidden"])]
        runs = [run for run in runs if run.info.status == "FINISHED"]
        reached = [run.data.metrics["val/accuracy"] for run in runs]
        assert row["trained"] == len(runs) == 2
        assert row["val/accuracy"] == pytest.approx(statistics.mean(reached))
        assert row["val/accuracy std"] == pytest.approx(statistics.stdev(reached))
        assert row["parameters"] == 785 * row["hidden"] + 10 * (row["hidden"] + 1)
        assert row["bytes"] == 4 * row["parameters"]
        seconds = [
            sum(m.value for m in client.get_metric_history(r.info.run_id, name))
            for r in runs
            for name in ["train/seconds"]
        ]
        assert row["seconds"] == pytest.approx(statistics.mean(seconds), abs=0.001)
    assert table[2]["trained"] == 0 and "got -1" in table[2]["failed"]


def test_table_and_picture_stand_in_run_description_folder_and_on_the_screen(swept):
    client, (parent,), _ = store_of(swept)
    folder = one_of(swept.outputs / "sweeps")
    with (folder / "sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    said = (swept.root / "printed.txt").read_text()
    description = parent.data.tags["mlflow.note.content"]
    best = max(rows[:2], key=lambda row: float(row["val/accuracy"]))
    for text in (said, description):
        assert (
            f"best: hidden={best['hidden']}, {float(best['val/accuracy']):.2%}" in text
        )
        assert all(f"{int(row['parameters']):,}" in text for row in rows[:2])
    logged = {file.path for file in client.list_artifacts(parent.info.run_id, "sweep")}
    assert logged == {f"sweep/sweep.{kind}" for kind in ("csv", "json", "png")}
    assert (folder / "sweep.png").read_bytes()[:4] == b"\x89PNG"


def test_a_sweep_leaves_the_files_of_the_chain_alone(swept):
    assert {path.name for path in swept.outputs.glob("[!.]*")} == {
        *("checkpoints", "data", "mlflow.db", "mlflow-artifacts", "sweeps")
    }
    trained = [
        path.parent.parent.name
        for path in swept.outputs.glob("sweeps/*/*/train/model.safetensors")
    ]
    assert sorted(trained) == [f"hidden={h},seed={s}" for h in (5, 8) for s in (1, 2)]


def test_typed_again_only_what_failed_is_tried_and_nothing_doubled(swept):
    _, _, before = store_of(swept)
    again = ["train", "seed=2,1", "hidden=8,-1,5", *DIGITS, "-m"]  # in another order
    shutil.rmtree(swept.outputs / "train", ignore_errors=True)
    lost = next(swept.outputs.glob("sweeps/*/hidden=5,seed=1"))
    shutil.rmtree(lost)  # its files are in its run too
    done = swept.run(*again, status=1)
    assert (lost / "train" / "model.safetensors").exists()
    _, parents, after = store_of(swept)
    assert "6 in all, 4 already trained" in done.stdout
    assert len(parents) == 1
    assert {run.info.run_id for run in after} == {run.info.run_id for run in before}


def test_two_at_a_time_and_a_finished_sweep_typed_again_prints_its_table(project):
    command = ["train", "-m", "seed=1,2", *DIGITS]
    first = project.run(*command, "hydra/launcher=joblib")
    again = project.run(*command)
    assert again.stdout.startswith("this sweep is finished")
    table = first.stdout[first.stdout.index("\ntrained ") :]
    assert again.stdout.endswith(table)
    # What is gone or damaged in its folder comes back.
    folder = one_of(project.outputs / "sweeps")
    (folder / "seed=1" / "train" / "metrics.json").write_text("")
    (folder / "sweep.csv").unlink()
    assert project.run(*command).stdout == again.stdout
    assert (folder / "sweep.csv").exists()
    shutil.rmtree(folder)
    assert project.run(*command).stdout == again.stdout
    assert (folder / "sweep.png").exists()
    _, (parent,), children = store_of(project)
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 3


def test_a_training_that_fails_is_tried_again_and_stays_one_run(project):
    command = ["train", "-m", "batch_size=32,1501", *DIGITS]
    first = project.run(*command, status=1)
    second = project.run(*command, status=1)
    rule = "failed: batch_size must be <= 1500, the training pictures of digits"
    assert first.stdout.count(rule) == second.stdout.count(rule) == 2  # line and table
    assert "2 in all, 1 already trained" in second.stdout
    _, (parent,), children = store_of(project)
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED"]
    assert parent.info.status == "FAILED"


def test_a_mistake_in_the_code_is_told_of_one_training_and_the_others_train(project):
    loop = project.root / "pipeline" / "loop.py"
    text = loop.read_text()
    broken = 'if adam.lr == 0.5:\n        raise TypeError("a mistake")\n    images ='
    loop.write_text(text.replace("images =", broken, 1))
    command = ["train", "-m", "lr=0.5,0.001", *DIGITS]
    done = project.run(*command, status=1)
    assert done.stdout.count("failed: TypeError: a mistake") == 2  # line and table
    assert "Traceback" not in done.stdout + done.stderr
    (told,) = project.outputs.glob("sweeps/*/lr=0.5/error.txt")
    assert "loop.py" in told.read_text()
    _, _, children = store_of(project)
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED"]


def test_a_sweep_and_a_training_of_the_same_numbers_share_no_run(project):
    loop = project.root / "pipeline" / "loop.py"
    text = loop.read_text()
    loop.write_text(
        text.replace("yield Epoch", "import os; os._exit(9)\n        yield")
    )
    numbers = ["hidden=5", "epochs=3", "dataset=digits"]
    project.run("train", "-m", *numbers, "seed=1,2", status=9)
    loop.write_text(text)
    assert "resuming" not in project.run("train", *numbers).stdout
    _, runs, (child,) = store_of(project)
    assert len(runs) == 2 and child.info.status == "KILLED"


def test_a_sweep_whose_data_cannot_be_had_is_refused_whole(project, tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"none")
    done = project.run("train", "-m", "seed=1,2", f"dataset={tmp_path}", status=1)
    assert done.stderr.count("\n") == 1 and str(tmp_path) in done.stderr
    assert store_of(project)[1:] == ([], [])


def test_many_settings_are_described_within_what_mlflow_keeps():
    job = Job({"hidden": 5, "seed": 1}, defaults(), [])
    one = Outcome(job, accuracy=0.9, parameters=3985, bytes=15940, seconds=1.0)
    many = [Setting({"hidden": hidden}, [one], []) for hidden in range(5000)]
    link = "#/compare-runs?" + "x" * 9000
    told = [driver._described(settings, link) for settings in (many[:3], many)]
    assert "| " in told[0] and "| " not in told[1]
    assert all(len(text) < 8000 and text.endswith("in `sweep/`.") for text in told)


def test_a_sweep_without_mlflow_prints_its_table_too(new_project):
    command = ["train", "-m", "seed=1,2", "tracking=none", *DIGITS]
    assert "of the validation pictures" in new_project.run(*command).stdout
    again = new_project.run(*command).stdout
    assert "2 in all, 2 already trained" in again
    assert not (new_project.outputs / "mlflow.db").exists()


def finished(project, expected):
    client, (parent,), children = store_of(project)
    assert parent.info.status == "FINISHED"
    assert sorted(child.data.params["seed"] for child in children) == expected
    assert {child.info.status for child in children} == {"FINISHED"}
    for child in children:
        assert len(client.get_metric_history(child.info.run_id, "val/loss")) == 12
    return parent


def wait_for(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} was never printed: {process.stderr.read()}")


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def is_worker(pid):
    try:
        return b"LokyProcess" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def trains(pid):
    """Whether a worker keeps the first epochs of a training just now."""
    try:
        opened = [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError):  # it was closed meanwhile
        return False
    claimed = [Path(path).parent for path in opened if "/checkpoints/" in path]
    return is_worker(pid) and any(1 <= kept(folder) <= 4 for folder in claimed)


def kept(claimed):
    """The epochs in a checkpoint; each has 63,640 bytes of weights and a few more."""
    history = claimed / "history"
    return history.stat().st_size // 63_640 if history.exists() else 0


# So many that one is left to train when one is done and two are at work.
LONG = ["train", "-m", "seed=1,2,3,4,5", "dataset=digits", "epochs=12"]
TWO = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]  # however many cores


@pytest.mark.fault
def test_a_worker_that_is_killed_costs_no_more_than_what_was_at_work(project):
    process = project.start(*LONG, *TWO, PYTHONUNBUFFERED="1")
    wait_for(process, "1 of 5")
    worker = None
    while worker is None:  # one that is between two trainings costs nothing at all
        assert process.poll() is None
        time.sleep(0.005)
        worker = next((pid for pid in children_of(process.pid) if trains(pid)), None)
    os.kill(int(worker), signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=900)
    assert process.returncode == 1
    assert "Traceback" not in stdout + stderr
    assert "its worker was killed; is there memory enough?" in stdout
    _, (before,), children = store_of(project)
    statuses = [run.info.status for run in children]
    assert 3 <= statuses.count("FINISHED") <= 4  # two were at work at most
    assert {*statuses} == {"FINISHED", "FAILED"}
    project.run(*LONG)
    assert finished(project, [*"12345"]).info.run_id == before.info.run_id


@pytest.mark.fault
def test_a_worker_that_is_killed_when_all_is_recorded_costs_nothing(project):
    command = project.root / "pipeline" / "command.py"
    text = command.read_text()
    at_the_end = '                (place / "done").touch()\n'
    killed = """                while job.folder == "seed=2":
                    if (folder / "seed=1" / "done").exists():
                        os.kill(os.getpid(), 9)
"""
    assert text.count(at_the_end) == 1
    command.write_text(text.replace(at_the_end, killed + at_the_end))
    done = project.run("train", "-m", "seed=1,2", *DIGITS, *TWO)
    assert "2 of 2  hidden=20 seed=2" in done.stdout and "failed" not in done.stdout
    _, (parent,), children = store_of(project)
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 3


@pytest.mark.fault
def test_ctrl_c_after_the_last_epoch_of_a_training_stops_the_sweep(project):
    command = ["train", "-m", "seed=1,2,3", "dataset=digits", "epochs=12"]
    process = project.start(*command)
    while not [*project.outputs.rglob("epoch-00012*")]:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=900)
    assert process.returncode == 130
    _, (parent,), children = store_of(project)
    assert parent.info.status == "KILLED" and len(children) < 3
    project.run(*command)
    finished(project, ["1", "2", "3"])


def test_a_sweep_whose_folder_is_gone_is_brought_back_from_the_store(swept):
    _, (before,), children = store_of(swept)
    shutil.rmtree(one_of(swept.outputs / "sweeps"))
    done = swept.run("train", "-m", "hidden=5,8,-1", "seed=1,2", *DIGITS, status=1)
    _, (parent,), again = store_of(swept)
    assert parent.info.run_id == before.info.run_id
    trained = [
        {r.info.run_id for r in runs if r.info.status == "FINISHED"}
        for runs in (children, again)
    ]
    assert trained[0] == trained[1] and "already trained" in done.stdout


@pytest.mark.fault
@pytest.mark.parametrize(
    ("launcher", "stop"),
    [
        ([], signal.SIGINT),
        ([], signal.SIGKILL),
        (TWO, signal.SIGINT),
        (TWO, signal.SIGTERM),
        (TWO, signal.SIGKILL),
    ],
)
def test_a_sweep_that_was_stopped_trains_only_what_is_missing(project, launcher, stop):
    process = project.start(*LONG, *launcher, PYTHONUNBUFFERED="1")
    wait_for(process, "1 of 5")
    workers = children_of(process.pid)
    process.send_signal(stop)
    process.wait(timeout=900)
    assert process.returncode in (130, 143, -9)
    _, (before,), children = store_of(project)
    done = {run.info.run_id for run in children if run.info.status == "FINISHED"}
    begun = {run.info.run_id for run in children}
    assert done
    if stop != signal.SIGKILL:
        assert before.info.status == "KILLED"

    again = project.run(*LONG)
    parent = finished(project, [*"12345"])
    assert parent.info.run_id == before.info.run_id
    # Neither what was done nor what a worker still trained was started again.
    assert begun <= {run.info.run_id for run in store_of(project)[2]}
    assert re.search("5 in all, [1-4] already trained", again.stdout)
    (table,) = project.outputs.glob("sweeps/*/sweep.csv")
    assert "\n5," in table.read_text()
    assert not [pid for pid in workers if is_worker(pid)]
    process.stdout.close(), process.stderr.close()  # workers may have written there
