"""Inspect as a command: the whole, and questions."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from pipeline import checkpoint, config
from pipeline.config import Inspect, Refused, check, defaults
from pipeline.findings import Findings

FILES = {"summary.json", "neurons.csv", "pixels.csv", "alike.csv"}
FILES |= {"neurons.png", "exciting.png", "pixels.png", "path.png"}


def rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def whole(looked_at):
    return json.loads((looked_at.outputs / "inspect" / "summary.json").read_text())


def test_all_of_it_is_in_files_and_in_the_run(looked_at, client, recorded, whole):
    folder = looked_at.outputs / "inspect"
    assert {path.name for path in folder.iterdir()} == FILES
    found = client.list_artifacts(recorded.info.run_id, "inspect")
    assert {file.path for file in found} == {f"inspect/{name}" for name in FILES}
    metrics = client.get_run(recorded.info.run_id).data.metrics
    assert metrics["inspect/never_learned"] == whole["never_learned"] == 1_340
    assert metrics["inspect/parameters"] == whole["parameters"] == 15_910
    assert len(whole["never_lit"]) == 67


def test_numbers_agree_with_those_of_training(looked_at, whole):
    numbers = json.loads(looked_at.trained("metrics.json").read_text())
    assert whole["accuracy"] == pytest.approx(numbers["val/accuracy"])
    table = rows(looked_at.outputs / "inspect" / "pixels.csv")
    dark = [int(row["pixel"]) for row in table if row["lit"] == "0"]
    assert dark == whole["never_lit"]
    assert {row["unchanged"] for row in table if row["lit"] == "0"} == {"20"}
    assert sum(int(row["unchanged"]) for row in table) == whole["never_changed"]


def test_the_text_follows_the_network(few, trained, mnist, tmp_path):
    import torch

    from pipeline.network import Network

    network = Network(hidden=33, generator=torch.Generator().manual_seed(1))
    about = {"dataset": "mnist", "split": "holdout"}
    checkpoint.save(tmp_path / "model.safetensors", network, about)
    loaded = checkpoint.load_trained(tmp_path / "model.safetensors")
    told = Findings.of(loaded, mnist).told()
    assert "784 pixels x 33 neurons" in told and "25,872" in told and "26,245" in told
    train = mnist.split("holdout").train.images
    unlit = int((~train.any(axis=0)).sum())
    assert f"{unlit} x 33 = {unlit * 33:,} weights" in told.replace("\n", " ")
    assert f"in all {len(train):,} training pictures" in told.replace("\n", " ")
    assert "no history" in told and "and 13 more in neurons.csv" in told
    assert max(map(len, told.splitlines())) <= 110


def test_a_neuron_is_laid_out_and_the_whole_stays(looked_at, mnist, tmp_path):
    before = (looked_at.outputs / "inspect" / "summary.json").stat().st_mtime_ns
    done = looked_at.run("inspect", "neuron=N28,N15", "image=0")
    assert "mnist test picture 0, a 7" in done.stdout
    assert "N28: neuron 8 of layer_2, the digit 7" in done.stdout
    assert "softmax" in done.stdout and "ReLU: N15 = max(0, y)" in done.stdout
    after = (looked_at.outputs / "inspect" / "summary.json").stat().st_mtime_ns
    assert after == before
    answers = looked_at.outputs / "answers" / "neuron"
    assert {path.name for path in answers.iterdir()} == {"terms.csv", "terms.png"}
    table = rows(answers / "terms.csv")
    assert len(table) == 21 + 785
    Image.fromarray(255 - mnist.test.images[0]).resize((280, 280)).save(
        tmp_path / "7.png"
    )
    done = looked_at.run("inspect", "neuron=N28", f"image={tmp_path / '7.png'}")
    assert "7.png, prepared as MNIST was made" in done.stdout
    assert "the answer" in next(x for x in done.stdout.splitlines() if "7  N28" in x)


def test_all_30_neurons_make_15910_rows(looked_at):
    done = looked_at.run("inspect", "neuron=all")
    assert done.stdout.count("the sum") == 30
    table = rows(looked_at.outputs / "answers" / "neuron" / "terms.csv")
    assert len(table) == 15_910


def test_a_weights_life_names_pixel_and_neuron(looked_at, mnist):
    done = looked_at.run("inspect", "weight=layer_1[300,5]")
    assert "pixel 300 (row 10, column 20) to neuron N16" in done.stdout
    lit = np.count_nonzero(mnist.train.images[:, 10, 20])
    assert f"is lit in {lit:,} of 60,000 training pictures" in done.stdout
    history = load_file(looked_at.trained("history.safetensors"))
    table = rows(looked_at.outputs / "answers" / "weight" / "life.csv")
    values = [float(row["value"]) for row in table]
    assert values == history["layer_1.weight"][:, 5, 300].tolist()


def test_a_permuted_copy_is_recognised(looked_at, tmp_path):
    tensors = load_file(looked_at.trained("model.safetensors"))
    for name, tensor in tensors.items():
        if name != "layer_2.bias":
            axis = 1 if name == "layer_2.weight" else 0
            tensors[name] = np.ascontiguousarray(np.flip(tensor, axis))
    save_file(tensors, tmp_path / "flipped.safetensors")
    done = looked_at.run("inspect", f"against={tmp_path / 'flipped.safetensors'}")
    assert "It is the same network, with 20 neurons in another place." in done.stdout
    assert "N11      N120   +1.000" in done.stdout
    answers = looked_at.outputs / "answers" / "against"
    assert {path.name for path in answers.iterdir()} == {"matches.csv", "matches.png"}


def test_arrays_are_printed_on_request(looked_at):
    done = looked_at.run("inspect", "arrays=true")
    assert "layer_1 kernel (784, 20)\n[[" in done.stdout
    assert done.stdout.count("layer_") == 4


def test_a_history_of_another_network_is_refused(looked_at, tmp_path):
    for name in ("model.safetensors", "history.safetensors"):
        shutil.copy(looked_at.trained(name), tmp_path)
    history = load_file(tmp_path / "history.safetensors")
    history["layer_2.bias"][-1] += 1
    save_file(history, tmp_path / "history.safetensors")
    trained = checkpoint.load_trained(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="is not the history of the network"):
        trained.history()
    (tmp_path / "history.safetensors").write_text("a history")
    with pytest.raises(ValueError, match="is no safetensors file"):
        trained.history()
    (tmp_path / "history.safetensors").unlink()
    assert trained.history() is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"neuron": "N31"}, "neuron must be N11 .* got 'N31'"),
        ({"neuron": "n11"}, "neuron must be N11"),
        ({"neuron": "N11;N12"}, "neuron must be N11"),
        ({"weight": "layer_1[300]"}, r"weight must be layer_1\[300,5\]"),
        ({"weight": "layer_1.bias[1,2]"}, r"weight must be layer_1\[300,5\]"),
        ({"weight": "layer_1[300,5]", "neuron": "N11"}, "are different questions"),
        ({"arrays": True, "against": "a"}, "are different questions"),
        ({"image": "3"}, "image is what a neuron reads"),
    ],
)
def test_what_makes_no_question_is_refused(values, message):
    with pytest.raises(Refused, match=message):
        check(Inspect, defaults() | values)


def test_all_that_is_wrong_is_refused_at_once_and_before_work(looked_at):
    done = looked_at.run("inspect", "neuron=N0", "weight=layer_3[0]", status=2)
    assert done.stderr.startswith("error: nothing was started")
    assert "neuron must be" in done.stderr and "weight must be" in done.stderr
    done = looked_at.run("inspect", "neuron=N121", status=1)
    assert "neuron must be N11 to N120" in done.stderr
    assert "Traceback" not in done.stderr


def test_pictures_that_are_not_there_are_refused(looked_at):
    for image, message in (
        ("10000", "image must be below 10000"),
        ("nowhere.png", "nowhere.png is missing"),
    ):
        done = looked_at.run("inspect", "neuron=N11", f"image={image}", status=1)
        assert message in done.stderr


def test_questions_leave_the_keys_of_other_stages_alone():
    assert set(config.QUESTIONS) <= set(defaults())
    assert check(config.Evaluate, defaults())
