"""The stage inspect: the whole analysis, and the answers to single questions."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from pipeline import cli
from pipeline.cli import ConfigError, InspectConfig, defaults, validate
from pipeline.cli.schema import QUESTION_KEYS
from pipeline.interpret import ModelAnalysis, render_tutorial, write_analysis
from pipeline.model import Network, load_trained_model, save_model

TABLES = {"summary.json", "neurons.csv", "pixels.csv", "alike.csv"}
PLOTS = {"neurons.png", "exciting.png", "pixels.png", "path.png"}
FILES = TABLES | PLOTS | {"report.html"}


def read_csv(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def folder(finished):
    """The results of inspect for the trained network."""
    return finished.outputs / "inspect"


@pytest.fixture(scope="module")
def summary(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def asked(finished, tmp_path_factory):
    """A workspace for questions: the trained network, its data and no analysis."""
    outputs = tmp_path_factory.mktemp("asked") / "outputs"
    outputs.mkdir()
    shutil.copytree(finished.outputs / "train", outputs / "train")
    (outputs / "data").symlink_to(finished.outputs / "data")
    return type(finished)(outputs)


@pytest.fixture
def analysed(mnist, tmp_path):
    """Return a function that analyses a network with MNIST."""

    def analyse(network, **metadata):
        save_model(tmp_path / "model.safetensors", network, metadata)
        trained = load_trained_model(tmp_path / "model.safetensors")
        return ModelAnalysis.of(trained, mnist)

    return analyse


def new_network(hidden):
    return Network(hidden=hidden, generator=torch.Generator().manual_seed(1))


def words(analysis):
    return " ".join(render_tutorial(analysis).split())


def test_all_files_are_in_the_folder_and_in_the_run(folder, summary, client, recorded):
    assert {path.name for path in folder.iterdir()} == FILES
    artifacts = client.list_artifacts(recorded.info.run_id, "inspect")
    assert {file.path for file in artifacts} == {f"inspect/{name}" for name in FILES}
    metrics = recorded.data.metrics
    assert metrics["inspect/never_learned"] == summary["never_learned"] == 1_340
    assert metrics["inspect/parameters"] == summary["parameters"] == 15_910
    assert len(summary["never_lit"]) == 67


def test_the_analysis_agrees_with_the_training(finished, folder, summary):
    metrics = json.loads(finished.trained("metrics.json").read_text())
    assert summary["accuracy"] == pytest.approx(metrics["val/accuracy"])
    pixels = read_csv(folder / "pixels.csv")
    always_zero = [int(row["pixel"]) for row in pixels if row["lit"] == "0"]
    assert always_zero == summary["never_lit"]
    assert {row["unchanged"] for row in pixels if row["lit"] == "0"} == {"20"}
    assert sum(int(row["unchanged"]) for row in pixels) == summary["never_changed"]


def test_fields_and_columns_have_their_names(folder, summary):
    assert {"dataset", "split", "training_pictures", "alike", "closest"} < {*summary}
    assert {*summary["arrays"][0]} == {
        *("name", "keras_shape", "torch_shape", "size", "why")
    }
    lines = summary["path"]["lines"]
    assert [*lines] == [
        *("after 0 steps", "after 10 steps", "after 100 steps", "in the end")
    ]
    assert {*lines["in the end"]} == {"m", "c", "missed", "explained"}
    assert [len(row["most"]) for row in summary["neurons"]] == [4] * 20
    first, *_ = read_csv(folder / "neurons.csv")
    digits = range(10)
    assert [*first] == [
        *("neuron", "fires", *(f"mean_{d}" for d in digits), "most", "least"),
        *("cost", *(f"cost_{d}" for d in digits)),
    ]
    assert [*read_csv(folder / "alike.csv")[0]] == ["one", "other", "correlation"]


def test_the_tutorial_contains_the_numbers_of_the_network(mnist, analysed):
    analysis = analysed(new_network(33), dataset="mnist", split="holdout")
    text = words(analysis)
    assert "784 pixels x 33 neurons" in text and "25,872" in text and "26,245" in text
    train = mnist.split("holdout").train.images
    always_zero = int((~train.any(axis=0)).sum())
    assert f"{always_zero} x 33 = {always_zero * 33:,} weights" in text
    assert f"are 0 in all {len(train):,} training images" in text
    assert "history.safetensors is missing" in text
    assert "and 13 more in neurons.csv" in text
    lines = render_tutorial(analysis).splitlines()
    assert max(map(len, lines)) <= 110


def test_a_single_inactive_neuron_and_a_wrong_answer_are_described(analysed, tmp_path):
    network = new_network(1)
    with torch.no_grad():
        network.layer_1.bias[:] = -1e6
        network.layer_2.bias[3] = 1
    analysis = analysed(network)
    text = words(analysis)
    assert (
        "wrong, because the image shows a digit 7" in text
        and "the output of N11 by" in text
    )
    assert "N11 0% always 0" in text and "1 neurons" not in text
    assert "no pairs" in text
    write_analysis(analysis, tmp_path)
    assert (tmp_path / "alike.csv").read_text() == "one,other,correlation\n"


def test_all_correlated_pairs_are_counted_and_rates_are_not_rounded_to_0(analysed):
    network = new_network(20)
    with torch.no_grad():
        network.layer_1.weight[:] = network.layer_1.weight[0].clone()
    analysis = analysed(network)
    assert analysis.metrics()["alike"] == 190 and len(analysis.pairs) == 100
    analysis.rates[:2] = 0.001, 0.999
    assert " <1% " in words(analysis) and " >99% " in words(analysis)


def test_a_question_about_neurons_leaves_the_analysis_alone(
    finished, folder, mnist, tmp_path
):
    before = finished.hashes("inspect")
    text = finished.call("inspect", neuron="N28,N15", image="0")
    assert "mnist test image 0, label 7" in text
    assert "N28: neuron 8 of layer_2, for the digit 7" in text
    assert "Softmax" in text and "ReLU: N15 = max(0, y)" in text
    assert finished.hashes("inspect") == before
    answers = finished.outputs / "answers" / "neuron"
    assert {path.name for path in answers.iterdir()} == {"terms.csv", "terms.png"}
    assert len(read_csv(answers / "terms.csv")) == 21 + 785
    photo = Image.fromarray(255 - mnist.test.images[0]).resize((280, 280))
    photo.save(tmp_path / "7.png")
    text = finished.call("inspect", neuron="N28", image=f"{tmp_path / '7.png'}")
    assert "7.png, preprocessed as in MNIST" in text
    (answer,) = [line for line in text.splitlines() if line.endswith("the answer")]
    assert answer.split()[:2] == ["7", "N28"]


def test_all_30_neurons_have_15910_terms(asked):
    assert asked.call("inspect", neuron="all").count("the sum\n") == 30
    rows = read_csv(asked.outputs / "answers" / "neuron" / "terms.csv")
    assert len(rows) == 15_910


def test_a_question_about_a_weight_shows_its_history_and_its_pixel(asked, mnist):
    text = asked.call("inspect", weight="layer_1[300,5]")
    assert "pixel 300 (row 10, column 20) to neuron N16" in text
    count = np.count_nonzero(mnist.train.images[:, 10, 20])
    assert f"is above 0 in {count:,} of 60,000 training images" in text
    history = load_file(asked.trained("history.safetensors"))
    rows = read_csv(asked.outputs / "answers" / "weight" / "life.csv")
    values = [float(row["value"]) for row in rows]
    assert values == history["layer_1.weight"][:, 5, 300].tolist()


def test_a_permuted_copy_is_recognised(asked, tmp_path):
    tensors = load_file(asked.trained("model.safetensors"))
    for name, tensor in tensors.items():
        if name != "layer_2.bias":
            axis = 1 if name == "layer_2.weight" else 0
            tensors[name] = np.ascontiguousarray(np.flip(tensor, axis))
    save_file(tensors, tmp_path / "flipped.safetensors")
    text = asked.call("inspect", against=f"{tmp_path / 'flipped.safetensors'}")
    assert "A and B are the same network, with 20 neurons in other positions." in text
    n11 = next(line for line in text.splitlines() if line.startswith("N11 "))
    assert n11.split() == ["N11", "N120", "+1.000", "N120", "+1.000"]
    assert "The training data of B is not recorded." in text
    answers = asked.outputs / "answers" / "against"
    assert {path.name for path in answers.iterdir()} == {"matches.csv", "matches.png"}


def test_a_network_that_was_trained_on_other_data_is_reported(asked, tmp_path):
    path = tmp_path / "digits.safetensors"
    save_model(path, new_network(20), {"dataset": "digits", "data_sha256": "0" * 64})
    text = asked.call("inspect", against=f"{path}")
    assert "test images of mnist. B was trained on other data: digits." in text


def test_a_folder_is_not_accepted_as_a_run(asked):
    with pytest.raises(ValueError, match=r"outputs/train .*\.safetensors file"):
        asked.call("inspect", against="outputs/train")


def test_arrays_are_printed_on_request(asked):
    text = asked.call("inspect", arrays=True)
    assert "layer_1 kernel (784, 20)\n[[" in text and text.count("layer_") == 4


def test_a_history_of_another_network_is_refused(asked, tmp_path):
    for name in ("model.safetensors", "history.safetensors"):
        shutil.copy(asked.trained(name), tmp_path)
    path = tmp_path / "history.safetensors"
    history = load_file(path)
    history["layer_2.bias"][-1] += 1
    save_file(history, path)
    trained = load_trained_model(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"history\.safetensors"):
        trained.history()
    path.write_text("a history")
    with pytest.raises(ValueError, match=r"history\.safetensors"):
        trained.history()
    path.unlink()
    assert trained.history() is None
    with pytest.raises(FileNotFoundError, match=r"history\.safetensors is missing"):
        asked.call(
            "inspect", weight="layer_1[0,0]", model=f"{tmp_path / 'model.safetensors'}"
        )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"neuron": "N31"}, "neuron must be N11 .* got 'N31'"),
        ({"neuron": "N11;N12"}, "neuron must be N11"),
        ({"neuron": "11"}, "default is neuron=null"),
        ({"weight": "layer_1[300]"}, r"weight must be layer_1\[300,5\]"),
        ({"weight": "layer_1.bias[1,2]"}, r"weight must be layer_1\[300,5\]"),
        ({"weight": "layer_1[300,5]", "neuron": "N11"}, "weight|neuron"),
        ({"arrays": True, "against": "a"}, "arrays, against"),
        ({"image": "3"}, "add neuron=N11, or leave it out"),
    ],
)
def test_invalid_questions_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(InspectConfig, defaults() | values)


@pytest.mark.parametrize(("typed", "neuron"), [("n11, N12", "N11,N12"), ("ALL", "all")])
def test_case_and_spaces_of_neuron_names_are_ignored(typed, neuron):
    assert validate(InspectConfig, defaults() | {"neuron": typed}).neuron == neuron


def test_all_invalid_arguments_are_reported_at_once(asked):
    done = asked.run("inspect", "neuron=N0", "weight=layer_3[0]", status=2)
    assert done.stderr.startswith("error: invalid arguments; nothing was run")
    assert "neuron must be" in done.stderr and "weight must be" in done.stderr


def test_a_neuron_that_the_network_lacks_is_an_error_without_traceback(asked):
    done = asked.run("inspect", "neuron=N121", status=1)
    assert "neuron must be N11 to N120" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("10000", "image must be 0 to 9999, the index of a test image of mnist"),
        ("-1", "image must be 0 to 9999"),
        ("nowhere.png", r"nowhere\.png"),
    ],
)
def test_images_that_do_not_exist_are_refused(asked, image, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        asked.call("inspect", neuron="N11", image=image)


def test_other_stages_accept_the_keys_of_questions():
    assert set(QUESTION_KEYS) <= set(defaults())
    assert validate(cli.EvaluateConfig, defaults())
