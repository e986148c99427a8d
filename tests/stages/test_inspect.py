"""Inspect as a command: the whole, and questions."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image
from safetensors.numpy import load_file, save_file

from pipeline.cli import schema
from pipeline.cli.config import ConfigError, defaults, validate
from pipeline.cli.schema import InspectConfig
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.model import Network, load_trained_model, storage

FILES = {"summary.json", "neurons.csv", "pixels.csv", "alike.csv"}
FILES |= {"neurons.png", "exciting.png", "pixels.png", "path.png"}
FILES |= {"report.html"}


def rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def inspected(finished, empty_project):
    """A copy of the trained network and its data, after inspect, with its own store."""
    made = empty_project("inspected")
    shutil.copytree(finished.outputs / "train", made.outputs / "train")
    for path in (finished.outputs / "data").glob("mnist*"):
        shutil.copy(path, made.outputs / "data")
    made.run("inspect")
    return made


@pytest.fixture(scope="module")
def whole(inspected):
    return json.loads((inspected.outputs / "inspect" / "summary.json").read_text())


def test_all_of_it_is_in_files_and_in_the_run(inspected, whole):
    folder = inspected.outputs / "inspect"
    assert {path.name for path in folder.iterdir()} == FILES
    client = MlflowClient(f"sqlite:///{inspected.outputs / 'mlflow.db'}")
    (run,) = client.search_runs(["1"])
    found = client.list_artifacts(run.info.run_id, "inspect")
    assert {file.path for file in found} == {f"inspect/{name}" for name in FILES}
    logged = run.data.metrics
    assert logged["inspect/never_learned"] == whole["never_learned"] == 1_340
    assert logged["inspect/parameters"] == whole["parameters"] == 15_910
    assert len(whole["never_lit"]) == 67


def test_numbers_agree_with_those_of_training(inspected, whole):
    numbers = json.loads(inspected.trained("metrics.json").read_text())
    assert whole["accuracy"] == pytest.approx(numbers["val/accuracy"])
    table = rows(inspected.outputs / "inspect" / "pixels.csv")
    dark = [int(row["pixel"]) for row in table if row["lit"] == "0"]
    assert dark == whole["never_lit"]
    assert [*whole["path"]["lines"]][2] == "after 100 steps"
    assert [len(row["most"]) for row in whole["neurons"]] == [4] * 20
    assert {row["unchanged"] for row in table if row["lit"] == "0"} == {"20"}
    assert sum(int(row["unchanged"]) for row in table) == whole["never_changed"]


def test_the_text_follows_the_network(mnist, tmp_path):
    network = Network(hidden=33, generator=torch.Generator().manual_seed(1))
    about = {"dataset": "mnist", "split": "holdout"}
    storage.save_model(tmp_path / "model.safetensors", network, about)
    loaded = load_trained_model(tmp_path / "model.safetensors")
    told = ModelAnalysis.of(loaded, mnist).told()
    assert "784 pixels x 33 neurons" in told and "25,872" in told and "26,245" in told
    train = mnist.split("holdout").train.images
    unlit = int((~train.any(axis=0)).sum())
    assert f"{unlit} x 33 = {unlit * 33:,} weights" in told.replace("\n", " ")
    assert f"in all {len(train):,} training pictures" in told.replace("\n", " ")
    assert "no history" in told and "and 13 more in neurons.csv" in told
    assert max(map(len, told.splitlines())) <= 110


def test_one_neuron_that_is_silent_and_wrong_is_called_so(mnist, tmp_path):
    network = Network(hidden=1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.layer_1.bias[:] = -1e6
        network.layer_2.bias[3] = 1
    storage.save_model(tmp_path / "model.safetensors", network, {})
    loaded = load_trained_model(tmp_path / "model.safetensors")
    found = ModelAnalysis.of(loaded, mnist)
    told = " ".join(found.told().split())
    assert "wrongly: it is a 7" in told and "Each digit adds up this number" in told
    assert "N11 0% is silent" in told and "1 neurons" not in told
    found.write(tmp_path)
    assert (tmp_path / "alike.csv").read_text() == "one,other,correlation\n"


def test_twins_are_all_counted_and_hardly_ever_is_not_never(mnist, tmp_path):
    network = Network(hidden=20, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.layer_1.weight[:] = network.layer_1.weight[0].clone()
    storage.save_model(tmp_path / "model.safetensors", network, {})
    loaded = load_trained_model(tmp_path / "model.safetensors")
    found = ModelAnalysis.of(loaded, mnist)
    assert found.metrics()["alike"] == 190 and len(found.alike) == 100
    found.fires[:2] = 0.001, 0.999
    assert " <1% " in found.told() and ">99% " in found.told()


def test_a_neuron_is_laid_out_and_the_whole_stays(inspected, mnist, tmp_path):
    before = (inspected.outputs / "inspect" / "summary.json").stat().st_mtime_ns
    done = inspected.run("inspect", "neuron=N28,N15", "image=0")
    assert "mnist test image 0, a 7" in done.stdout
    assert "N28: neuron 8 of layer_2, the digit 7" in done.stdout
    assert "softmax" in done.stdout and "ReLU: N15 = max(0, y)" in done.stdout
    after = (inspected.outputs / "inspect" / "summary.json").stat().st_mtime_ns
    assert after == before
    answers = inspected.outputs / "answers" / "neuron"
    assert {path.name for path in answers.iterdir()} == {"terms.csv", "terms.png"}
    table = rows(answers / "terms.csv")
    assert len(table) == 21 + 785
    Image.fromarray(255 - mnist.test.images[0]).resize((280, 280)).save(
        tmp_path / "7.png"
    )
    done = inspected.run("inspect", "neuron=N28", f"image={tmp_path / '7.png'}")
    assert "7.png, preprocessed as in MNIST" in done.stdout
    assert "the answer" in next(x for x in done.stdout.splitlines() if "7  N28" in x)


def test_all_30_neurons_make_15910_rows(inspected):
    done = inspected.run("inspect", "neuron=all")
    assert done.stdout.count("the sum") == 30
    table = rows(inspected.outputs / "answers" / "neuron" / "terms.csv")
    assert len(table) == 15_910


def test_a_weights_life_names_pixel_and_neuron(inspected, mnist):
    done = inspected.run("inspect", "weight=layer_1[300,5]")
    assert "pixel 300 (row 10, column 20) to neuron N16" in done.stdout
    lit = np.count_nonzero(mnist.train.images[:, 10, 20])
    assert f"is lit in {lit:,} of 60,000 training pictures" in done.stdout
    history = load_file(inspected.trained("history.safetensors"))
    table = rows(inspected.outputs / "answers" / "weight" / "life.csv")
    values = [float(row["value"]) for row in table]
    assert values == history["layer_1.weight"][:, 5, 300].tolist()


def test_a_permuted_copy_is_recognised(inspected, tmp_path):
    tensors = load_file(inspected.trained("model.safetensors"))
    for name, tensor in tensors.items():
        if name != "layer_2.bias":
            axis = 1 if name == "layer_2.weight" else 0
            tensors[name] = np.ascontiguousarray(np.flip(tensor, axis))
    save_file(tensors, tmp_path / "flipped.safetensors")
    done = inspected.run("inspect", f"against={tmp_path / 'flipped.safetensors'}")
    assert "It is the same network, with 20 neurons in another place." in done.stdout
    assert "N11      N120   +1.000" in done.stdout
    assert "of mnist; B names no data" in done.stdout
    answers = inspected.outputs / "answers" / "against"
    assert {path.name for path in answers.iterdir()} == {"matches.csv", "matches.png"}


def test_a_network_of_other_data_is_named_and_a_folder_is_no_run(inspected, tmp_path):
    about = {"dataset": "digits", "data_sha256": "0" * 64}
    network = Network(hidden=20, generator=torch.Generator().manual_seed(1))
    other = tmp_path / "digits.safetensors"
    storage.save_model(other, network, about)
    done = inspected.run("inspect", f"against={other}")
    assert (
        "about the test pictures of mnist; B was trained on other data: digits."
        in done.stdout
    )
    done = inspected.run("inspect", "against=outputs/train", status=1)
    assert "outputs/train is no file: a network is a .safetensors file" in done.stderr


def test_arrays_are_printed_on_request(inspected):
    done = inspected.run("inspect", "arrays=true")
    assert "layer_1 kernel (784, 20)\n[[" in done.stdout
    assert done.stdout.count("layer_") == 4


def test_a_history_of_another_network_is_refused(inspected, tmp_path):
    for name in ("model.safetensors", "history.safetensors"):
        shutil.copy(inspected.trained(name), tmp_path)
    history = load_file(tmp_path / "history.safetensors")
    history["layer_2.bias"][-1] += 1
    save_file(history, tmp_path / "history.safetensors")
    trained = load_trained_model(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="is not the history of the network"):
        trained.history()
    (tmp_path / "history.safetensors").write_text("a history")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        trained.history()
    (tmp_path / "history.safetensors").unlink()
    assert trained.history() is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"neuron": "N31"}, "neuron must be N11 .* got 'N31'"),
        ({"neuron": "N11;N12"}, "neuron must be N11"),
        ({"weight": "layer_1[300]"}, r"weight must be layer_1\[300,5\]"),
        ({"weight": "layer_1.bias[1,2]"}, r"weight must be layer_1\[300,5\]"),
        ({"weight": "layer_1[300,5]", "neuron": "N11"}, "cannot be combined"),
        ({"arrays": True, "against": "a"}, "cannot be combined"),
        ({"image": "3"}, "image is what a neuron reads"),
    ],
)
def test_what_makes_no_question_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(InspectConfig, defaults() | values)


def test_neurons_may_be_typed_small_and_apart():
    assert (
        validate(InspectConfig, defaults() | {"neuron": "n11, N12"}).neuron == "N11,N12"
    )
    assert validate(InspectConfig, defaults() | {"neuron": "ALL"}).neuron == "all"
    with pytest.raises(ConfigError, match="default is neuron=null"):
        validate(InspectConfig, defaults() | {"neuron": "11"})


def test_all_that_is_wrong_is_refused_at_once_and_before_work(inspected):
    done = inspected.run("inspect", "neuron=N0", "weight=layer_3[0]", status=2)
    assert done.stderr.startswith("error: invalid arguments")
    assert "neuron must be" in done.stderr and "weight must be" in done.stderr
    done = inspected.run("inspect", "neuron=N121", status=1)
    assert "neuron must be N11 to N120" in done.stderr
    assert "Traceback" not in done.stderr


def test_pictures_that_are_not_there_are_refused(inspected):
    for image, message in (
        (
            "10000",
            "image must be 0 to 9999, the index of a test image of mnist, or a file",
        ),
        ("-1", "image must be 0 to 9999"),
        ("nowhere.png", "nowhere.png is missing"),
    ):
        done = inspected.run("inspect", "neuron=N11", f"image={image}", status=1)
        assert message in done.stderr


def test_questions_leave_the_keys_of_other_stages_alone():
    assert set(schema.QUESTION_KEYS) <= set(defaults())
    assert validate(schema.EvaluateConfig, defaults())
