import json
import re
import shutil
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from pipeline import UserError, datasets
from pipeline.datasets.registry import DEBIAN_FOLDER, REGISTRY
from pipeline.images.unsure import Reason
from pipeline.model import save_network


def evaluate(workspace, *sets, **keys):
    """Evaluate in this process; return the metrics of each set, and what is printed."""
    names = [str(name) for name in sets] or None
    printed = workspace.call("evaluate", sets=names, tracking="none", **keys)
    metrics = workspace.read("evaluate/metrics.json")
    return metrics, " ".join(printed.split())  # long lines are wrapped


def table(workspace, name):
    """Return the rows of a table, grouped by their sets."""
    sets = {}
    for row in workspace.read(f"evaluate/{name}"):
        sets.setdefault(row["set"], []).append(row)
    return sets


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, draw):
    """A folder with one image, because preprocessing ten takes a second."""
    folder = tmp_path_factory.mktemp("images") / "drawn"
    draw(0, folder / "7.png")
    return folder


def test_each_set_is_preprocessed_as_needed_and_the_tables_agree(
    workspace, digit_folder, monkeypatch
):
    spec = REGISTRY["digits"]
    images, labels = spec.originals()  # preprocessing all of them would take seconds
    few = replace(spec, originals=lambda: (images[:300], labels[:300]))
    monkeypatch.setitem(REGISTRY, "digits", few)
    results, printed = evaluate(workspace, "digits", digit_folder)
    counts = {name: values["n"] for name, values in results.items()}
    assert counts == {"digits": 300, "my_digits": 10}
    assert " unsure: do not rely on these predictions; " in printed
    assert results["digits"]["accuracy"] >= 0.76  # 0.17 if the images are only enlarged
    assert results["my_digits"]["accuracy"] >= 0.9
    assert "my_digits: 10 images; labels from the first number in" in printed
    assert re.search(r"my_digits: (9|10) of 10 images are classified", printed)
    classes, confusion, calibration, predictions = (
        table(workspace, f"{name}.csv")
        for name in ("classes", "confusion", "calibration", "predictions")
    )
    for name, rows in predictions.items():
        matrix = np.zeros((10, 10), int)  # rows: labels; columns: predictions
        for row in rows:
            matrix[int(row["label"]), int(row["predicted"])] += 1
        values, n, correct = results[name], counts[name], matrix.diagonal()
        assert len(rows) == n and values["accuracy"] == correct.sum() / n
        assert values["unsure"] == sum(row["sure"] == "False" for row in rows) / n
        columns = [
            [int(row["support"]), float(row["precision"]), float(row["recall"])]
            for row in classes[name]
        ]
        images, precision, recall = np.array(columns).T
        np.testing.assert_array_equal(images, matrix.sum(axis=1))
        rounded = {"rtol": 5e-4}  # to four significant digits
        np.testing.assert_allclose(precision * matrix.sum(axis=0), correct, **rounded)
        np.testing.assert_allclose(recall * images, correct, **rounded)
        names = [f"predicted {digit}" for digit in range(10)]
        cells = [[int(row[name]) for name in names] for row in confusion[name]]
        np.testing.assert_array_equal(cells, matrix)
        assert sum(int(row["count"]) for row in calibration[name]) == n


def test_without_a_detector_unsure_predictions_are_not_counted(
    workspace, drawn, trained, tmp_path
):
    save_network(tmp_path / "a.safetensors", trained.network)
    model = str(tmp_path / "a.safetensors")
    results, printed = evaluate(workspace, drawn, model=model)
    assert "unsure" not in results["drawn"]
    assert "unsure predictions are not counted" in printed
    assert "do not rely" not in printed


def test_a_set_without_unsure_predictions_needs_no_advice(workspace, drawn):
    results, printed = evaluate(workspace, drawn)
    assert results["drawn"]["unsure"] == 0
    assert "do not rely" not in printed


def test_the_tables_of_evaluate_and_predict_describe_an_image_alike(
    workspace, digit_folder
):
    evaluate(workspace, digit_folder)
    workspace.call("predict", images=str(digit_folder))
    (evaluated,) = table(workspace, "predictions.csv").values()
    predicted = workspace.read("predict/predictions.csv")
    for ours, theirs in zip(evaluated, predicted, strict=True):
        assert ours.pop("set") == "my_digits"
        assert all(0 <= float(theirs.pop(f"p{label}")) <= 1 for label in range(10))
        shares = [float(row.pop("confidence")) for row in (ours, theirs)]
        assert shares[0] == pytest.approx(shares[1], rel=1e-3)
        assert ours == theirs and ours["reason"] in get_args(Reason)
        assert bool(ours["reason"]) == bool(ours["text"]) == (ours["sure"] == "False")


def test_an_unreadable_set_does_not_stop_the_evaluation_of_others(
    workspace, drawn, tmp_path
):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0")
    (tmp_path / "t10k-labels-idx1-ubyte").touch()
    with pytest.raises(UserError, match="ends within its header") as rejected:
        evaluate(workspace, drawn, tmp_path, drawn)
    assert str(rejected.value).startswith("not all images were evaluated")
    assert [*workspace.read("evaluate/metrics.json")] == ["drawn", "drawn-2"]
    assert rejected.value.result.metrics == workspace.read("evaluate/metrics.json")
    with pytest.raises(UserError, match="ends within its header"):
        evaluate(workspace, tmp_path)


def test_clothes_are_unsure_even_after_preprocessing(
    workspace, tmp_path, write_idx, mnist
):
    if not DEBIAN_FOLDER.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    clothes = datasets.load("fashion_mnist", folder=mnist.file.path.parent).test.images
    write_idx(tmp_path / "images-idx3-ubyte", clothes[:150])
    write_idx(tmp_path / "labels-idx1-ubyte", np.zeros(150, np.uint8))
    for prepare, least in ((False, 0.95), (True, 0.8)):
        (values,) = evaluate(workspace, tmp_path, prepare=prepare)[0].values()
        assert values["n"] == 150 and values["unsure"] >= least


def test_a_network_is_evaluated_with_test_images_only_whatever_its_data_is_called(
    empty_project, tmp_path, write_idx
):
    project = empty_project("two names")
    digits = datasets.load("digits", folder=project.outputs / "data")
    for name, part in (("train", digits.train), ("t10k", digits.test)):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", part.images)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", part.labels)
    folder = tmp_path.rename(tmp_path.with_name("aa"))  # before digits in the alphabet
    project.call("data", dataset=folder)
    for trained_on in ("digits", folder):
        project.call("train", dataset=trained_on, epochs=1, tracking="none")
        results, printed = evaluate(project, "digits", folder)
        assert [each["n"] for each in results.values()] == [297, 297]
        assert printed.count("the test images") == 2


def test_a_folder_with_the_name_of_a_data_set_gets_another_name(
    workspace, drawn, tmp_path
):
    folder = shutil.copytree(drawn, tmp_path / "digits")
    results, printed = evaluate(workspace, folder)
    assert [*results] == ["digits-folder"] and "digits-folder: 1 image" in printed


def test_the_results_are_recorded_in_the_run_that_trained_the_network(
    empty_project, drawn
):
    recorded = empty_project("evaluate")
    recorded.call("train", dataset="digits", epochs=1)
    recorded.call("evaluate", sets=["digits", str(drawn)])
    (run,) = recorded.runs()
    metrics = recorded.read("evaluate/metrics.json")
    logged = run.data.metrics
    assert {key: logged[key] for key in logged if "with_test_set" in key} == {
        f"with_test_set/{name}/{key}": pytest.approx(values[key])
        for name, values in metrics.items()
        for key in ("accuracy", "loss")
    }
    ((step, _),) = recorded.points(run, "with_test_set/digits/accuracy")
    assert step == 0  # where MLflow draws a bar
    inputs = {entry.dataset.name: entry.dataset for entry in run.inputs.dataset_inputs}
    assert json.loads(inputs["drawn"].profile) == {"images": 1}
    names = {"metrics.json", "predictions.csv", "scores.png", "mistakes.png"}
    assert recorded.artifacts(run, "evaluate") >= {f"evaluate/{name}" for name in names}
    digits = metrics["digits"]
    recorded.call("evaluate", sets=[str(drawn)])
    (run,) = recorded.runs()
    note = run.data.tags["mlflow.note.content"]  # has both sets
    assert f"**Accuracy on digits**: {digits['accuracy']:.2%} of {digits['n']}" in note
    assert "**Accuracy on drawn**: " in note
    assert "**Last evaluation**: drawn ([confusion matrix](" in note
