"""The commands of a person, run as processes on the real MNIST."""

import csv
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import load_file

from pipeline.cli import config, paths, schema
from pipeline.datasets import file_sha256
from pipeline.model import storage

REFUSED = ["hidden=0", "hidden=abc", "hiden=20", "lr=nan", "dataset=foo", "hidden=5,10"]


def series(client, recorded, name):
    return [m.value for m in client.get_metric_history(recorded.info.run_id, name)]


def artifacts(client, recorded, folder=None):
    return {f.path for f in client.list_artifacts(recorded.info.run_id, folder)}


def fetched(client, recorded, name, tmp_path):
    return client.download_artifacts(recorded.info.run_id, name, str(tmp_path))


# --- What a training reaches --------------------------------------------------------


def test_default_training_reads_97_percent_of_train_and_95_of_val(finished):
    numbers = json.loads(finished.trained("metrics.json").read_text())
    assert numbers["final/train_accuracy"] >= 0.97
    assert 0.95 <= numbers["val/accuracy"] < numbers["final/train_accuracy"]
    # Within the epoch the network was still learning, so the running mean is lower.
    assert numbers["train/accuracy"] < numbers["final/train_accuracy"]


def test_test_image_0_is_a_7_with_99_percent(finished, mnist):
    network = storage.load_model(finished.trained("model.safetensors"))
    probabilities = network.predict(mnist.test.images[:1])[0]
    assert probabilities.argmax() == mnist.test.labels[0] == 7
    assert probabilities[7] >= 0.99


SEEDS = """
import sys, torch
from pipeline import datasets
from pipeline.loop import Adam, fit, score
from pipeline.network import Network
torch.set_num_threads(1)
torch.set_flush_denormal(True)
split = datasets.load("mnist", folder=sys.argv[1]).split("exercise")
for seed in map(int, sys.argv[2:]):
    generator = torch.Generator().manual_seed(seed)
    network = Network(hidden=20, generator=generator)
    *_, last = fit(network, Adam(network, lr=0.001), train=split.train, val=split.val,
                   epochs=range(1, 21), batch_size=32, generator=generator)
    seven = network.predict(split.val.images[:1])[0, 7].item()
    train = score(network, split.train)["accuracy"]
    print(seed, train, last.metrics["val/accuracy"], seven)
"""


@pytest.mark.fault
def test_seeds_2_to_5_reach_the_figures_of_the_exercise(mnist):
    folder = str(mnist.path.parent)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SEEDS, folder, *seeds],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seeds in ("23", "45")
    ]
    lines = [
        line for p in processes for line in p.communicate(timeout=900)[0].split("\n")
    ]
    reached = [list(map(float, line.split())) for line in lines if line]
    assert [row[0] for row in reached] == [2, 3, 4, 5]
    for _, train, val, seven in reached:
        assert train >= 0.97
        assert 0.95 <= val < train
        assert seven >= 0.97


# --- Same seed, same bytes ----------------------------------------------------------


def test_same_seed_same_bytes_with_1_thread_offered_and_with_2(project):
    hashes = set()
    for threads in ("1", "2"):
        project.run(
            "train",
            "epochs=2",
            "tracking=none",
            OMP_NUM_THREADS=threads,
            MKL_NUM_THREADS=threads,
        )
        hashes.add(
            tuple(
                file_sha256(project.trained(name))
                for name in (
                    "model.safetensors",
                    "history.safetensors",
                    "metrics.json",
                    "history.csv",
                    "learning_curves.png",
                    "familiar.safetensors",
                )
            )
        )
    assert len(hashes) == 1


def test_printed_hash_is_that_of_the_file_and_of_the_run(finished, recorded):
    expected = file_sha256(finished.trained("model.safetensors"))
    assert expected in (finished.root / "printed.txt").read_text()
    assert recorded.data.tags["weights.sha256"] == expected


# --- What stands in outputs/train ---------------------------------------------------


def test_a_training_leaves_the_named_files_and_nothing_else(finished):
    assert {path.name for path in finished.trained("").iterdir()} == {
        *("model.safetensors", "history.safetensors", "run.json", "metrics.json"),
        *("history.csv", "learning_curves.png", "familiar.safetensors"),
    }


def test_history_goes_from_the_initial_to_the_final_tensors(finished):
    history = load_file(finished.trained("history.safetensors"))
    model = load_file(finished.trained("model.safetensors"))
    assert history["layer_1.weight"].shape == (21, 20, 784)
    assert set(history) == set(model)
    for name, tensor in model.items():
        np.testing.assert_array_equal(history[name][-1], tensor)
    assert not history["layer_1.bias"][0].any()
    assert finished.trained("history.safetensors").stat().st_size < 1_400_000


def test_weights_of_pixels_never_lit_are_never_learned(finished, mnist):
    # 67 pixels x 20 neurons = 1,340 weights never get a gradient.
    weights = load_file(finished.trained("history.safetensors"))["layer_1.weight"]
    kept = (weights[0].view(np.uint32) == weights[-1].view(np.uint32)).all(axis=0)
    dark = ~mnist.train.images.reshape(-1, 784).any(axis=0)
    assert kept[dark].all() and dark.sum() * 20 == 1340


def test_history_csv_has_a_row_for_each_epoch(finished, client, recorded):
    with finished.trained("history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, 21)]
    losses = [float(row["val/loss"]) for row in rows]
    assert losses == series(client, recorded, "val/loss")


# --- What stands in MLflow ----------------------------------------------------------


def test_run_is_finished_named_and_described(recorded):
    assert recorded.info.status == "FINISHED"
    assert recorded.info.run_name == "hidden=20 seed=1"
    description = recorded.data.tags["mlflow.note.content"]
    assert "784 → 20 → 10" in description and "15,910 parameters" in description


def test_run_holds_every_number_of_every_epoch(client, recorded):
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
        assert len(series(client, recorded, name)) == 20
    assert len(series(client, recorded, "final/train_accuracy")) == 1
    norms = series(client, recorded, "weights/layer_1.weight/norm")
    assert len(norms) == 21 and norms == sorted(norms)
    assert series(client, recorded, "weights/layer_1.bias/zeros")[0] == 1


def test_params_are_the_words_typed(recorded):
    assert recorded.data.params == {
        key: str(config.defaults()[key]) for key in config.HYPERPARAMETERS
    }


def test_run_holds_the_resolved_configuration(client, recorded, tmp_path):
    path = fetched(client, recorded, "config.yaml", tmp_path)
    with open(path) as stream:
        known = yaml.safe_load(stream)
    assert known == {
        key: config.defaults()[key] for key in schema.TrainConfig.model_fields
    }


def test_tags_say_what_made_the_run(recorded, mnist):
    tags = recorded.data.tags
    assert tags["data.sha256"] == mnist.sha256
    assert {"git.commit", "version.python", "version.torch", "processor"} <= set(tags)
    assert tags["command"] == "python -m pipeline.train hidden=20 epochs=20"
    assert tags["mlflow.source.name"] == "python -m pipeline.train"


def test_data_set_is_an_input_of_the_run(recorded, mnist):
    (entry,) = [
        entry
        for entry in recorded.inputs.dataset_inputs
        if entry.tags[0].value == "training"
    ]
    assert entry.dataset.name == "mnist"
    assert mnist.sha256.startswith(entry.dataset.digest)
    assert json.loads(entry.dataset.profile) == {"train": 60_000, "test": 10_000}


def test_run_holds_files_pictures_and_packages(client, recorded):
    assert artifacts(client, recorded, "train") == {
        f"train/{name}"
        for name in (
            *("model.safetensors", "history.safetensors", "run.json", "metrics.json"),
            *("history.csv", "learning_curves.png", "familiar.safetensors"),
        )
    }
    assert artifacts(client, recorded, "data") == {
        *("data/mnist.json", "data/mnist-means.png", "data/mnist-samples.png")
    }
    assert {"config.yaml", "packages.txt"} <= artifacts(client, recorded)


def steps(client, recorded):
    names = artifacts(client, recorded, "images")
    return sorted({int(re.search(r"step\W(\d+)\W", name)[1]) for name in names})


def test_templates_have_a_picture_for_each_of_21_steps(client, recorded, tmp_path):
    assert steps(client, recorded) == list(range(21))
    name = next(n for n in artifacts(client, recorded, "images") if n.endswith(".png"))
    with Image.open(fetched(client, recorded, name, tmp_path)) as picture:
        assert picture.width > 700


def test_logged_model_answers_as_the_network_and_needs_no_pickle(
    finished, recorded, mnist
):
    ask = f"""
import json, sys, numpy as np, mlflow
mlflow.set_tracking_uri("sqlite:///{finished.outputs / "mlflow.db"}")
model = mlflow.pyfunc.load_model("runs:/{recorded.info.run_id}/model")
pixels = np.array(json.load(sys.stdin), np.float32)
print(json.dumps([model.predict(pixels[:n]).tolist() for n in (1, 5)]))
"""
    pixels = (mnist.test.images[:5] / 255).tolist()
    answered = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        input=json.dumps(pixels),
        capture_output=True,
        text=True,
        check=True,
    )
    one, five = json.loads(answered.stdout)
    network = storage.load_model(finished.trained("model.safetensors"))
    expected = network.predict(mnist.test.images[:5])
    np.testing.assert_allclose(five, expected, atol=1e-6)
    np.testing.assert_allclose(one, expected[:1], atol=1e-6)


# --- The command line ---------------------------------------------------------------


@pytest.fixture(scope="module")
def copied(finished, empty_project):
    """A project with the finished network, whose outputs/ a test may change."""
    made = empty_project("copied", store=False)
    shutil.copytree(finished.trained(""), made.trained(""))
    for path in (finished.outputs / "data").glob("mnist*"):
        shutil.copy(path, made.outputs / "data")
    return made


def test_summary_tells_what_a_person_wants_to_know(finished, recorded):
    printed = (finished.root / "printed.txt").read_text()
    assert "test image 0 is read as 7; its label is 7" in printed
    assert recorded.info.run_id in printed and "hidden=20 seed=1" in printed
    assert "mlflow ui" in printed and str(finished.outputs / "train") in printed
    numbers = json.loads(finished.trained("metrics.json").read_text())
    assert f"{numbers['final/train_accuracy']:.2%}" in printed
    assert f"{numbers['val/accuracy']:.2%}" in printed


def test_output_that_is_no_terminal_gets_no_control_characters(finished):
    printed = (finished.root / "printed.txt").read_text()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", printed)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "command",
    [
        ["predict", "images=0"],
        ["train", "--help"],
        ["train", "--cfg", "job"],
        ["train", "dataset=digits", "epochs=1", "tracking=none"],
    ],
)
def test_a_command_ends_its_work_though_nobody_reads_on(copied, command, unbuffered):
    process = copied.start(*command, PYTHONUNBUFFERED=unbuffered)
    process.stdout.close()  # as head does, after some lines
    assert process.wait(timeout=900) == 0
    assert process.stderr.read() == ""


@pytest.mark.parametrize("argument", REFUSED)
def test_a_refused_value_ends_with_status_2_and_leaves_nothing(project, argument):
    before = project.files()
    done = project.run("train", argument, status=2)
    assert done.stderr.startswith("error: invalid arguments; nothing was run\n")
    assert argument.partition("=")[0] in done.stderr
    assert "Traceback" not in done.stderr and not done.stdout
    assert project.files() == before


def test_a_batch_larger_than_the_data_set_is_refused_before_a_run_is_made(new_project):
    done = new_project.run("train", "split=holdout", "batch_size=55001", status=1)
    assert "batch_size must be <= 55000, the training pictures of mnist" in done.stderr
    assert not (new_project.outputs / "mlflow.db").exists()


def test_help_shows_the_lines_of_the_configuration_and_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipeline.train", "--help"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hidden=20" in done.stdout and "neurons in layer_1" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "mlflow", "hydra", "numpy", "matplotlib"}


def test_stages_run_from_any_folder_and_write_under_the_project(project, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = ["dataset=digits", "epochs=1", "tracking=none"]
    project.run("train", *options, cwd=elsewhere)
    assert project.trained("model.safetensors").exists()
    assert not list(elsewhere.iterdir())


def test_holdout_trains_on_55000_and_says_so(project):
    project.run("train", "split=holdout", "epochs=1", "tracking=none")
    from safetensors import safe_open

    with safe_open(project.trained("model.safetensors"), "np") as stored:
        about = json.loads(stored.metadata()["about"])
    assert about["split"] == "holdout"


def test_long_trainings_draw_at_most_21_pictures(project):
    from mlflow import MlflowClient

    project.run("train", "dataset=digits", "epochs=47")
    client = MlflowClient(f"sqlite:///{project.outputs / 'mlflow.db'}")
    (recorded,) = client.search_runs(["1"])
    drawn = steps(client, recorded)
    assert len(drawn) <= 21 and {0, 47} <= set(drawn)
    assert recorded.info.run_name == "hidden=20 seed=1 dataset=digits epochs=47"


def test_data_says_the_second_time_that_all_was_there(project):
    done = project.run("data")
    assert "was already there" in done.stdout
    assert "67 of the 784 pixels are never lit" in done.stdout


# --- Looking at the network ----------------------------------------------------------


def test_evaluate_scores_the_network_as_training_did(looked_at):
    (scores,) = json.loads(
        (looked_at.outputs / "evaluate" / "metrics.json").read_text()
    ).values()
    numbers = json.loads(looked_at.trained("metrics.json").read_text())
    assert scores["n"] == 10_000
    assert scores["accuracy"] == pytest.approx(numbers["val/accuracy"])
    assert scores["loss"] == pytest.approx(numbers["val/loss"], rel=1e-6)


def test_answers_agree_with_the_accuracy(looked_at, mnist):
    with (looked_at.outputs / "evaluate" / "answers.csv").open() as stream:
        rows = [
            (int(row["label"]), int(row["answer"])) for row in csv.DictReader(stream)
        ]
    assert [label for label, _ in rows] == mnist.test.labels.tolist()
    numbers = json.loads(looked_at.trained("metrics.json").read_text())
    right = sum(label == answer for label, answer in rows)
    assert right / 10_000 == pytest.approx(numbers["val/accuracy"])


def test_inspect_explains_15910_numbers(looked_at):
    summary = json.loads((looked_at.outputs / "inspect" / "summary.json").read_text())
    assert summary["parameters"] == 15_910
    assert [array["size"] for array in summary["arrays"]] == [15_680, 20, 200, 10]
    assert [tuple(array["keras_shape"]) for array in summary["arrays"]] == [
        *((784, 20), (20,), (20, 10), (10,))
    ]


def test_evaluate_and_inspect_write_into_the_run_that_trained(looked_at, client):
    run_id = json.loads(looked_at.trained("run.json").read_text())["run_id"]
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["evaluate/mnist/accuracy"] > 0.95
    assert run.data.metrics["inspect/parameters"] == 15_910
    names = ["metrics.json", "answers.csv", "classes.csv", "scores.png"]
    names += ["confusion.csv", "calibration.csv", "mnist-mistakes.json"]
    expected = {f"evaluate/{name}" for name in names}
    assert expected <= artifacts(client, run, "evaluate")  # other tests add others
    same = f"tags.`weights.sha256` = '{run.data.tags['weights.sha256']}'"
    assert [found.info.run_id for found in client.search_runs(["1"], same)] == [run_id]


def test_an_older_network_is_reached_by_its_run(looked_at, recorded):
    found = looked_at.run("inspect", f"run={recorded.info.run_id}")
    assert recorded.info.run_id in found.stdout and "15,910" in found.stdout


@pytest.mark.parametrize("stage", ["evaluate", "inspect"])
def test_a_run_that_is_unknown_is_refused(looked_at, stage):
    done = looked_at.run(stage, "run=1234e567", status=1)
    assert "mlflow.db has no run '1234e567'" in done.stderr


def test_without_a_network_the_command_that_makes_one_is_named(project):
    done = project.run("evaluate", status=1)
    assert "is missing: python -m pipeline.train makes" in done.stderr


# --- Killed and carried on ------------------------------------------------------------


def runs_of(project):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project.outputs / 'mlflow.db'}")
    return client, client.search_runs(["1"])


def wait_for_epoch(process, number):
    for line in process.stdout:
        if line.split()[:1] == [str(number)]:
            return
    raise AssertionError(f"epoch {number} was never printed")


@pytest.mark.fault
def test_ctrl_c_stops_after_the_epoch_and_the_same_command_carries_on(project, mnist):
    options = ["epochs=12"]
    process = project.start("train", *options, PYTHONUNBUFFERED="1")
    wait_for_epoch(process, 2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=900)
    assert process.returncode == 130
    first, last = stderr.splitlines()
    assert first.startswith("stopping at the end of this epoch")
    stopped = re.fullmatch(r"stopped after epoch (\d); .*carries on", last)
    assert stopped and int(stopped[1]) < 12, stderr
    client, (killed,) = runs_of(project)
    assert killed.info.status == "KILLED"

    done = project.run("train", *options)
    name = f"hidden=20 seed=1 epochs=12 ({killed.info.run_id})"
    assert f"carrying on {name} after epoch {stopped[1]} of 12" in done.stdout
    _, (finished,) = runs_of(project)
    assert finished.info.run_id == killed.info.run_id
    assert finished.info.status == "FINISHED"
    assert len(series(client, finished, "val/loss")) == 12
    assert steps(client, finished) == list(range(13))
    assert len(finished.outputs.model_outputs) == 1


def recorded_and_forgotten(project):
    """Whether a training is finished, and nothing is left that could be carried on."""
    begun = project.outputs.glob("checkpoints/[!.]*/*/")
    store = project.outputs / "mlflow.db"
    if any(path.is_dir() for path in begun) or not store.exists():
        return False
    # Not by MLflow, which keeps files open, also of a store that is gone.
    with closing(sqlite3.connect(store)) as database:
        return database.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)]


@pytest.mark.fault
def test_a_training_killed_again_and_again_ends_with_the_same_bytes(project):
    options = ["epochs=10"]
    project.run("train", *options, "tracking=none")
    expected = {
        name: file_sha256(project.trained(name))
        for name in (
            *("model.safetensors", "history.safetensors", "metrics.json"),
            *("history.csv", "learning_curves.png", "familiar.safetensors"),
        )
    }
    draw = random.Random(5)
    killed = 0
    while killed < 8:
        process = project.start("train", *options)
        try:
            _, stderr = process.communicate(timeout=draw.uniform(1, 6.5))
            assert process.returncode == 0, stderr
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
        if recorded_and_forgotten(project):  # it got through: once more, in a new store
            (project.outputs / "mlflow.db").unlink()
    project.run("train", *options)
    found = {name: file_sha256(project.trained(name)) for name in expected}
    assert found == expected
    client, runs = runs_of(project)
    (finished,) = runs  # every kill was survived by the same run
    assert finished.info.status == "FINISHED"
    assert len(series(client, finished, "val/loss")) == 10
    assert len(series(client, finished, "weights/layer_1.bias/norm")) == 11
    assert steps(client, finished) == list(range(11))
    (model,) = client.search_logged_models(["1"])
    assert (model.source_run_id, model.status) == (finished.info.run_id, "READY")
    assert not [p for p in (project.outputs / "checkpoints").iterdir() if p.is_dir()]
