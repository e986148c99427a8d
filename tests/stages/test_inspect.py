"""The inspect stage: the whole analysis, and the single results."""

import base64
import gzip
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from pipeline import ConfigError, UserError
from pipeline.cli import defaults
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.interpret import ModelAnalysis, render_tutorial, write_analysis
from pipeline.interpret.page import rendering
from pipeline.model import load_trained_network, save_network

TABLES = {"summary.json", "neurons.csv", "pixels.csv"}
PLOTS = {"neurons.png", "extremes.png", "pixels.png"}
FILES = TABLES | PLOTS | {"report.html"}


HYPERPARAMETERS = Hyperparameters(**defaults() | {"split": "holdout", "epochs": 1})
TRAINED = HYPERPARAMETERS.model_dump() | {"hidden": 33}


@pytest.fixture(scope="module")
def summary(finished):
    """The summary of the trained network."""
    return finished.read("inspect/summary.json")


@pytest.fixture
def analyzed(mnist, tmp_path, metadata_of):
    """Return a function that analyzes a network, with the words of its tutorial."""

    def analyze(network, **options):
        metadata = metadata_of(**options) if options else None
        save_network(tmp_path / "model.safetensors", network, metadata)
        trained = load_trained_network(tmp_path / "model.safetensors")
        analysis = ModelAnalysis(trained, mnist)
        return analysis, " ".join(render_tutorial(analysis).split())

    return analyze


def test_all_files_are_in_the_folder_and_in_the_run(finished, summary, recorded):
    files = {f"inspect/{name}" for name in FILES}
    assert {*finished.hashes("inspect")} == files
    assert finished.artifacts(recorded, "inspect") == files
    frozen, dead = summary["frozen_weights"], summary["dead_neurons"]
    # At step 0, MLflow draws a bar.
    section = "with_final_weights"
    assert finished.points(recorded, f"{section}/frozen_weights") == [(0, frozen)]
    assert finished.points(recorded, f"{section}/dead_neurons") == [(0, dead)]


def test_the_analysis_agrees_with_the_training_run(finished, summary):
    metrics = finished.read("train/metrics.json")
    assert summary["accuracy"] == pytest.approx(metrics["val/accuracy"])
    assert summary["weights_of_always_zero_pixels"] == 1_340
    assert summary["parameters"] == 15_910
    pixels = finished.read("inspect/pixels.csv")
    assert [row["frozen"] for row in pixels if row["nonzero"] == "0"] == ["20"] * 67
    assert sum(int(row["frozen"]) for row in pixels) == summary["frozen_weights"]


def test_fields_and_columns_have_their_names(finished, summary):
    assert {"dataset", "split", "training_images", "accuracy"} < {*summary}
    shapes = [array["keras_shape"] for array in summary["arrays"]]
    assert shapes == [[784, 20], [20], [20, 10], [10]]
    assert sum(array["size"] for array in summary["arrays"]) == summary["parameters"]
    neurons = finished.read("inspect/neurons.csv")
    assert [len(row["most"].split()) for row in neurons] == [4] * 20
    columns = " ".join(neurons[0])
    means, costs = (" ".join(f"{n}_{d}" for d in range(10)) for n in ("mean", "cost"))
    assert columns == f"neuron activation_rate {means} most least cost {costs}"


def test_the_tutorial_contains_the_numbers_of_the_network(mnist, analyzed, new_network):
    _, text = analyzed(new_network(33), **TRAINED)
    assert "784 pixels x 33 neurons" in text and "25,872" in text and "26,245" in text
    train = mnist.split("holdout").train.images
    always_zero = int((~train.any(axis=0)).sum())
    assert f"{always_zero} x 33 = {always_zero * 33:,} weights" in text
    assert f"if it is 0 in all {len(train):,} training images" in text
    assert "history.safetensors is missing" in text
    assert "and 13 more in neurons.csv" in text


def test_a_single_dead_neuron_and_a_wrong_prediction_are_described(
    analyzed, new_network, tmp_path
):
    network = new_network(1)
    with torch.no_grad():
        network.layer_1.bias[:] = -1e6
        network.layer_2.bias[3] = 1
    analysis, text = analyzed(network)
    assert "wrong, because the label is 7" in text
    assert "the output of N11 by" in text and "1 neurons" not in text
    assert "so the output of N11 is 0.00" in text and "N11 0% dead" in text
    assert "784 pixels x 1 neuron " in text
    write_analysis(analysis, tmp_path)


def test_rates_are_not_rounded_to_0_and_no_number_is_minus_0(analyzed, new_network):
    analysis, _ = analyzed(new_network(20))
    analysis.activation_rates[:2] = 0.001, 0.999
    analysis.costs[:] = -0.0001
    text = render_tutorial(analysis)
    assert " <1% " in text and " >99% " in text
    assert not re.search(r"-0(\.0+)?%", text)


def test_the_whole_tutorial_fits_on_two_screens(finished):
    lines = (finished.outputs.parent / "inspect.txt").read_text().splitlines()
    assert lines[-2].startswith("view ")  # not without tracking
    assert len(lines) - 1 <= 2 * 40 and max(map(len, lines)) <= 80


def test_if_the_page_would_be_too_large_the_command_says_so(empty_project, monkeypatch):
    kind = replace(rendering.EPOCH_PAGE, max_bytes=10_000)
    monkeypatch.setattr(rendering, "EPOCH_PAGE", kind)
    workspace = empty_project("too large", store=False)
    workspace.call("train", dataset="digits", epochs=1, tracking="none")
    text = workspace.call("inspect", tracking="none")
    reason = "none, because it would be larger than 0.01 MB"
    assert f"\npage   {reason}\nfiles  " in text
    written = {path.name for path in (workspace.outputs / "inspect").iterdir()}
    assert written == TABLES | PLOTS


def test_the_page_has_the_name_of_the_run_and_no_path(empty_project, idx_folder):
    project = empty_project("shared page")
    project.call("train", dataset=str(idx_folder), epochs=1, hidden=3)
    project.call("inspect")
    page = (project.outputs / "inspect" / "report.html").read_text()
    data = gzip.decompress(base64.b64decode(re.search(r"H4sI[\w+/=]+", page)[0]))
    (run,) = project.runs()
    assert "dataset=my_digits-" in run.info.run_name
    assert run.info.run_name in page
    path = str(idx_folder)
    assert path.encode() not in data and path not in page


def test_the_sums_of_neurons_do_not_change_the_analysis(finished, draw, tmp_path):
    before = finished.hashes("inspect")
    text = finished.call("inspect", neuron="N28,N15", image="0")
    line = r"^mnist test image 0: the network predicts 7 .*, which is correct\.$"
    assert re.search(line, text, re.M)
    assert "N28: neuron 8 of layer 2, for digit 7" in text
    assert "Softmax" in text and "ReLU: N15 = max(0, y)" in text
    assert finished.hashes("inspect") == before
    details = finished.outputs / "details" / "neuron"
    assert {path.name for path in details.iterdir()} == {"terms.csv", "terms.png"}
    assert len(finished.read(details / "terms.csv")) == 21 + 785
    draw(0, tmp_path / "7.png")
    text = finished.call("inspect", neuron="N28", image=f"{tmp_path / '7.png'}")
    assert "7.png, preprocessed as in MNIST: the network" in " ".join(text.split())
    (predicted,) = re.findall(r"(.*)the prediction$", text, re.MULTILINE)
    assert predicted.split()[:2] == ["7", "N28"]


def test_the_result_for_a_weight_shows_its_history_and_its_pixel(workspace, mnist):
    text = " ".join(workspace.call("inspect", weight="layer_1[300,5]").split())
    assert "pixel 300 (row 10, column 20) to neuron N16" in text
    count = np.count_nonzero(mnist.train.images[:, 10, 20])
    assert f"is above 0 in {count:,} of 60,000 training images" in text
    history = load_file(workspace.trained("history.safetensors"))
    rows = workspace.read("details/weight/history.csv")
    values = [float(row["value"]) for row in rows]
    assert values == history["layer_1.weight"][:, 5, 300].tolist()
    text = " ".join(workspace.call("inspect", weight="layer_1[0,5]").split())
    assert (
        "Pixel 0 is an always-zero pixel: it is 0 in all 60,000 training images" in text
    )


def test_networks_are_compared_on_the_test_images_of_the_first(
    workspace, new_network, metadata_of, tmp_path
):
    path = tmp_path / "other.safetensors"
    save_network(path, new_network(20), metadata_of())
    text = " ".join(workspace.call("inspect", against=f"{path}").split())
    warning = "mnist. B was trained on different data, or its data is not recorded."
    assert f"Both networks are tested on the test images of {warning}" in text
    details = workspace.outputs / "details" / "against"
    assert {path.name for path in details.iterdir()} == {"matches.csv", "matches.png"}


def test_a_network_to_compare_with_that_does_not_exist_is_rejected(workspace):
    for text, message in (
        (f"{workspace.trained('')}", "/train is not a safetensors file: it is a"),
        ("x", r"^against must be a run or a model\.safetensors file, got 'x': "),
        ("x" * 300, r"^against must be a run or a model\.safetensors file, got 'x+': "),
    ):
        with pytest.raises(UserError, match=message):
            workspace.call("inspect", against=text)


def test_a_missing_or_damaged_history_is_rejected(workspace, tmp_path):
    shutil.copy(workspace.trained("model.safetensors"), tmp_path)
    keys = {"weight": "layer_1[0,0]", "model": f"{tmp_path / 'model.safetensors'}"}
    with pytest.raises(UserError, match=r"history\.safetensors is missing"):
        workspace.call("inspect", **keys)
    history = load_file(workspace.trained("history.safetensors"))
    history["layer_2.bias"][-1] += 1
    save_file(history, tmp_path / "history.safetensors")
    with pytest.raises(UserError, match="does not belong to the network in"):
        workspace.call("inspect", **keys)


@pytest.mark.parametrize("setting", [{"neuron": "11"}, {"weight": "layer_1.bias[1,2]"}])
def test_a_name_that_cannot_be_read_is_rejected_before_a_network_is_loaded(
    empty_project, setting
):
    ((key, value),) = setting.items()
    with pytest.raises(ConfigError, match=rf"^{key} must be .*{re.escape(value)}'$"):
        empty_project("unreadable", store=False).call("inspect", **setting)
