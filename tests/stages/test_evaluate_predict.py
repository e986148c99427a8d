"""Evaluate and predict as commands, on real pictures of many kinds, good and bad."""

import csv
import gzip
import json
import os
import pickle
import shutil
import struct

import numpy as np
import pytest
from PIL import Image, ImageDraw
from safetensors.numpy import load_file, save_file

from pipeline import datasets
from pipeline.model import metrics, storage


def predictions(project):
    return json.loads((project.outputs / "predict" / "predictions.json").read_text())


def scores(project):
    return json.loads((project.outputs / "evaluate" / "metrics.json").read_text())


def save_enlarged(image, path):
    """A test picture as a person might bring it: large, black on white, off centre."""
    large = Image.fromarray(255 - image).resize((280, 280), Image.Resampling.BICUBIC)
    canvas = Image.new("L", (600, 400), 255)
    canvas.paste(large, (260, 60))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mnist):
    """Twenty test pictures with their labels as names, and four that are none."""
    made = tmp_path_factory.mktemp("pictures") / "my digits"
    for row in range(20):
        label = mnist.test.labels[row]
        save_enlarged(mnist.test.images[row], made / f"{label} of {row}.png")
    return made


# --- Predict ------------------------------------------------------------------------


def test_a_test_picture_is_read_with_its_ten_probabilities(finished):
    done = finished.run("predict", "images=0")
    (record,) = predictions(finished)
    seven = record["probabilities"][7]
    assert f"mnist test image 0: 7 ({seven:.1%}), then " in done.stdout
    assert "sure, label: 7" in done.stdout and seven >= 0.98
    assert record["digit"] == record["label"] == 7 and record["sure"]
    assert sum(record["probabilities"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("pen", [2, 8, 20])
def test_a_line_that_lies_is_no_digit(finished, tmp_path, pen):
    page = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(page).line((30, 100, 170, 100), 0, pen)
    page.save(tmp_path / "line.png")
    done = finished.run("predict", f"images={tmp_path / 'line.png'}")
    assert "unsure: the image does not look like the " in done.stdout


def test_a_folder_is_read_and_shown_step_by_step(finished, folder):
    done = finished.run("predict", f"images={folder}")
    records = predictions(finished)
    assert len(records) == 20 and done.stdout.count("label from the file name: ") == 20
    right = [record["digit"] == record["label"] for record in records]
    assert sum(right) >= 18
    with (finished.outputs / "predict" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == [record["file"] for record in records]
    with Image.open(finished.outputs / "predict" / "preparation.png") as drawn:
        assert drawn.height > 20 * 100


def test_what_cannot_be_read_is_named_and_the_others_are_read(
    finished, tmp_path, mnist
):
    save_enlarged(mnist.test.images[0], tmp_path / "7.png")
    (tmp_path / "text.png").write_text("a seven")
    (tmp_path / "drawing.svg").write_text("<svg/>")
    (tmp_path / "=1+1\n.png").write_bytes((tmp_path / "7.png").read_bytes())
    done = finished.run("predict", f"images={tmp_path}", status=1)
    lines = done.stderr.splitlines()
    assert lines[0] == "error: 2 images were not read" and len(lines) == 3
    assert [record["digit"] for record in predictions(finished)] == [7, 7]
    assert "Traceback" not in done.stderr
    with (finished.outputs / "predict" / "predictions.csv").open() as stream:
        files = [row["file"] for row in csv.DictReader(stream)]
    assert files == ["7.png", "'=1+1\n.png"]  # a spreadsheet runs neither


def test_a_shoe_a_blank_page_and_two_digits_are_not_sure(finished, tmp_path, mnist):
    blank = Image.new("L", (300, 200), 255)
    blank.save(tmp_path / "blank.png")
    two = blank.copy()
    for place, row in ((20, 0), (160, 1)):
        digit = Image.fromarray(255 - mnist.test.images[row]).resize((120, 120))
        two.paste(digit, (place, 40))
    two.save(tmp_path / "two.png")
    noise = np.random.default_rng(1).integers(0, 256, (200, 200), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    finished.run("predict", f"images={tmp_path}")
    found = {record["file"]: record for record in predictions(finished)}
    assert not any(record["sure"] for record in found.values())
    assert found["blank.png"]["reason"] == "blank"
    assert found["two.png"]["reason"] == "more than one digit"
    assert found["noise.png"]["reason"]


def test_an_index_that_is_too_large_is_refused(finished):
    done = finished.run("predict", "images=10000", status=1)
    assert "images must be 0 to 9999, the index of a test image of mnist" in done.stderr


# --- Evaluate -----------------------------------------------------------------------


def test_sets_of_one_name_are_told_apart(finished, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "my digits")
    finished.run("evaluate", f"sets=[{folder},{tmp_path / 'my digits'}]")
    assert list(scores(finished)) == ["my_digits", "my_digits-2"]


def test_what_was_watched_is_prepared_too_if_that_is_asked_for(empty_project):
    small = empty_project("small")
    small.run("train", "dataset=digits", "epochs=10", "tracking=none")
    found = []
    for prepare in ("null", "true"):
        done = small.run("evaluate", f"prepare={prepare}", "tracking=none")
        found.append(scores(small)["digits"]["accuracy"])
    assert "prepared as MNIST was made" in done.stdout
    assert found[0] != found[1]  # those it learned from were only enlarged


def test_a_set_that_is_damaged_leaves_the_others_their_scores(finished, tmp_path):
    (tmp_path / "images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0")
    (tmp_path / "labels-idx1-ubyte").write_bytes(idx(np.zeros(1, np.uint8)))
    done = finished.run("evaluate", f"sets=[{tmp_path},digits]", status=1)
    assert list(scores(finished)) == ["digits"]
    assert "ends within its header" in done.stderr and "Traceback" not in done.stderr


def test_a_name_that_is_no_text_costs_nothing(finished, folder, tmp_path):
    picture = next(path for path in folder.iterdir() if path.name[0] != "0")
    (tmp_path / os.fsdecode(b"0\xff\n.png")).write_bytes(picture.read_bytes())
    (tmp_path / "1.png").write_bytes(picture.read_bytes())  # one of both is a mistake
    done = finished.run("evaluate", f"sets=[{tmp_path}]")
    assert "Traceback" not in done.stderr
    done = finished.run(
        "predict", f"images={os.fsdecode(bytes(tmp_path))}/0\udcff\n.png"
    )
    assert "label from the file name: 0" in done.stdout


def test_several_sets_are_scored_each_as_it_needs(finished, folder, client, recorded):
    done = finished.run("evaluate", f"sets=[mnist,digits,{folder}]")
    found = scores(finished)
    assert list(found) == ["mnist", "digits", "my_digits"]
    assert [found[name]["n"] for name in found] == [10_000, 1_797, 20]
    assert found["mnist"]["accuracy"] == pytest.approx(0.9592, abs=0.005)
    assert found["digits"]["accuracy"] >= 0.76  # 17 % when merely enlarged
    assert found["my_digits"]["accuracy"] >= 0.9
    assert found["mnist"]["unsure"] <= 0.10
    assert "my_digits: 20 pictures: labels from the first digit of" in done.stdout
    run = client.get_run(recorded.info.run_id)
    for name, numbers in found.items():
        logged = run.data.metrics[f"evaluate/{name}/accuracy"]
        assert logged == pytest.approx(numbers["accuracy"])
    uses = {entry.dataset.name for entry in run.inputs.dataset_inputs}
    assert uses >= {"mnist", "digits", "my_digits"}


def test_clothes_are_no_digits(finished, tmp_path):
    try:
        clothes = datasets.load("fashion_mnist", folder=finished.outputs / "data").test
    except FileNotFoundError as error:
        pytest.skip(str(error))
    some = clothes.pick(np.arange(1000))  # which a folder lets be prepared first
    (tmp_path / "clothes-images-idx3-ubyte").write_bytes(idx(some.images))
    (tmp_path / "clothes-labels-idx1-ubyte").write_bytes(idx(some.labels))
    finished.run("evaluate", f"sets=[fashion_mnist,{tmp_path}]")
    as_they_are, prepared = (numbers["unsure"] for numbers in scores(finished).values())
    assert as_they_are >= 0.95 and prepared >= 0.8


def test_without_preparation_the_same_pictures_are_misread(finished, folder):
    finished.run("evaluate", f"sets=[{folder}]", "prepare=false")
    assert scores(finished)["my_digits"]["accuracy"] <= 0.4


def test_numbers_of_each_class_agree_with_the_answers(finished):
    finished.run("evaluate")
    with (finished.outputs / "evaluate" / "answers.csv").open() as stream:
        answers = list(csv.DictReader(stream))
    with (finished.outputs / "evaluate" / "classes.csv").open() as stream:
        classes = list(csv.DictReader(stream))
    for row in classes:
        said = [a for a in answers if a["answer"] == row["class"]]
        true = [a for a in answers if a["label"] == row["class"]]
        hits = sum(a["label"] == a["answer"] for a in said)
        assert int(row["n"]) == len(true)
        assert float(row["precision"]) == pytest.approx(hits / len(said))
        assert float(row["recall"]) == pytest.approx(hits / len(true))
    with (finished.outputs / "evaluate" / "confusion.csv").open() as stream:
        for row in csv.DictReader(stream):
            for digit in range(10):
                pair = {"label": row["label"], "answer": str(digit)}
                count = sum({**a, **pair} == a for a in answers)
                assert int(row[f"answer {digit}"]) == count
    with (finished.outputs / "evaluate" / "calibration.csv").open() as stream:
        bins = [*csv.DictReader(stream)]
    assert sum(int(row["count"]) for row in bins) == 10_000
    numbers = scores(finished)["mnist"]
    unsure = sum(a["sure"] == "False" for a in answers)
    assert numbers["unsure"] == pytest.approx(unsure / 10_000)
    right = sum(a["label"] == a["answer"] for a in answers)
    low, high = metrics.wilson_interval(right, 10_000)
    assert numbers["accuracy_low"] == pytest.approx(low)
    assert numbers["accuracy_high"] == pytest.approx(high)


def idx(array):
    kind = struct.pack(">HBB", 0, 8, array.ndim)
    return kind + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_a_pair_of_idx_files_of_another_size_is_scored(finished, tmp_path, mnist):
    small = [
        Image.fromarray(image).resize((16, 16)) for image in mnist.test.images[:50]
    ]
    images = gzip.compress(idx(np.stack([np.asarray(image) for image in small])))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(images)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(mnist.test.labels[:50]))
    done = finished.run("evaluate", f"sets=[{tmp_path}]")
    ((name, numbers),) = scores(finished).items()
    assert numbers["n"] == 50 and numbers["accuracy"] >= 0.8
    assert f"{name}: 50 pictures: t10k-images-idx3-ubyte.gz, 16x16" in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t10k-images-idx3-ubyte", b"<!DOCTYPE html>", "starts with bytes 3c 21"),
        ("t10k-images-idx3-ubyte.gz", b"version https://git-lfs", "starts with bytes"),
        ("t10k-images-idx3-ubyte.gz", b"PK\x03\x04", "starts with bytes 50 4b"),
        (
            "t10k-images-idx3-ubyte.gz",
            gzip.compress(b"", mtime=0)[:12],
            "no whole gzip file",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            gzip.compress(struct.pack(">HBBIII", 0, 8, 3, 2**32 - 1, 28, 28), mtime=0),
            "claims 4,294,967,295 x 28 x 28: at most 1,000,000 pictures",
        ),
    ],
)
def test_idx_files_that_lie_are_refused(finished, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(1, np.uint8)))
    done = finished.run("evaluate", f"sets=[{tmp_path}]", status=1)
    assert message in done.stderr and str(tmp_path / name) in done.stderr
    assert "Traceback" not in done.stderr


def test_more_pictures_than_memory_is_meant_for_are_refused(finished, tmp_path):
    many = np.zeros((100_001, 1, 1), np.uint8)
    (tmp_path / "images-idx3-ubyte").write_bytes(idx(many))
    (tmp_path / "labels-idx1-ubyte").write_bytes(idx(many.ravel()))
    done = finished.run("evaluate", f"sets=[{tmp_path}]", status=1)
    assert "has 100,001 pictures: at most 100,000 are scored at once" in done.stderr


def models(tmp_path, good):
    tensors = load_file(good)
    content = good.read_bytes()
    (tmp_path / "text.safetensors").write_text("a network")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "truncated.safetensors").write_bytes(content[:-100])
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(tensors))
    odd = tensors | {"layer_1.bias": np.zeros(3, np.float32)}
    save_file(odd, tmp_path / "shapes.safetensors")
    bad = tensors | {"layer_2.bias": np.full(10, np.nan, np.float32)}
    save_file(bad, tmp_path / "nan.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    return {
        "text.safetensors": "is not a safetensors file",
        "empty.safetensors": "is not a safetensors file",
        "truncated.safetensors": "is not a safetensors file",
        "pickle.pt": "is not a safetensors file",
        "shapes.safetensors": "a network contains",
        "nan.safetensors": "layer_2.bias must hold finite numbers",
        "folder.safetensors": "is no file",
        "nowhere.safetensors": "is missing",
    }


def test_a_model_file_that_is_none_is_refused_unread(finished, tmp_path):
    good = finished.trained("model.safetensors")
    for name, message in models(tmp_path, good).items():
        with pytest.raises((ValueError, FileNotFoundError), match=message) as refused:
            storage.load_model(tmp_path / name)
        assert str(tmp_path / name) in str(refused.value)
    done = finished.run("predict", f"model={tmp_path / 'pickle.pt'}", status=1)
    assert done.stderr.startswith(f"error: {tmp_path / 'pickle.pt'} is no safetensors")
    assert "Traceback" not in done.stderr


def test_a_network_is_reached_by_its_file_too(finished):
    done = finished.run("predict", f"model={finished.trained('model.safetensors')}")
    assert f"7 ({predictions(finished)[0]['probabilities'][7]:.1%})" in done.stdout


def test_run_and_model_together_are_refused(finished):
    done = finished.run("evaluate", "run=a", "model=b", status=2)
    assert "run and model both select a network: leave out one of them" in done.stderr
