import re
import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline import UserError
from pipeline.predict import predict as run_predict


def predict(workspace, images, **keys):
    """Classify images in this process; return the predictions, and what is printed."""
    printed = workspace.call("predict", images=str(images), **keys)
    predictions = workspace.read("predict/predictions.json")
    return predictions, " ".join(printed.split())  # long lines are wrapped


def files_in_csv(workspace):
    return [row["file"] for row in workspace.read("predict/predictions.csv")]


def test_a_test_image_gets_ten_probabilities_even_from_a_copied_network(
    workspace, tmp_path
):
    (record,), printed = predict(workspace, 0)
    seven = record["probabilities"][7]
    text = f"the network predicts 7 ({seven:.1%}), which is correct."
    assert printed.startswith(f"mnist test image 0: {text} 0 ") and seven >= 0.98
    assert record["predicted"] == record["label"] == 7 and record["sure"]
    assert sum(record["probabilities"]) == pytest.approx(1, abs=1e-5)
    shutil.copytree(workspace.trained(""), tmp_path / "train")
    path = tmp_path / "train" / "model.safetensors"
    path = path.rename(path.with_name("another.safetensors"))
    assert predict(workspace, 0, model=str(path))[0] == [record]


def test_a_folder_is_classified_and_its_preprocessing_is_plotted(
    workspace, digit_folder
):
    records, printed = predict(workspace, digit_folder)
    correct = sum(record["predicted"] == record["label"] for record in records)
    assert len(records) == printed.count("the network predicts") == 10 and correct >= 9
    assert f"{correct} of 10 images are classified correctly" in printed
    right = ", which is correct.", " The prediction is correct."
    assert sum(map(printed.count, right)) == correct
    unsure = sum(not record["sure"] for record in records)
    assert re.search(rf"\b{unsure} predictions? (is|are) marked unsure", printed)
    wrong = ", but the label is ", " The prediction is wrong: the label is "
    assert sum(map(printed.count, wrong)) == 10 - correct
    files = [record["file"].replace("\udcff", r"\udcff") for record in records]
    assert files_in_csv(workspace) == files
    with Image.open(workspace.outputs / "predict" / "preprocessing.png") as plot:
        assert plot.height > 10 * 100


def test_wrong_and_then_unsure_predictions_of_many_images_are_plotted(workspace):
    folder = workspace.outputs / "predict"

    def plotted(rows):
        records, printed = predict(workspace, ",".join(map(str, rows)))
        names = ["preprocessing.png", "preprocessing-2.png", "preprocessing-3.png"]
        assert f"plot {folder / names[0]}, {names[1]}, {names[2]} files" in printed
        assert {path.name for path in folder.glob("*.png")} == {*names}
        images = [Image.open(folder / name) for name in names]
        assert {image.width for image in images} < {*range(1366)}  # fit a laptop
        bodies = [np.asarray(image)[-3000:] for image in images]  # without the titles
        return records, np.stack(bodies)

    records, plot = plotted(range(150))
    groups = [  # wrong, unsure, sure
        1 + each["sure"] if each["predicted"] == each["label"] else 0
        for each in records
    ]
    assert {*groups} == {0, 1, 2}
    rows = sorted(range(150), key=groups.__getitem__)[:60]
    assert (plotted(rows)[1] == plot).all()
    predict(workspace, ",".join(map(str, rows[:20])))
    assert [path.name for path in folder.glob("*.png")] == ["preprocessing.png"]


def test_after_an_own_image_the_sum_of_its_class_is_suggested(
    workspace, tmp_path, draw
):
    draw(0, tmp_path / "7.png")
    printed = predict(workspace, tmp_path / "7.png")[1]
    step = f"next python -m pipeline.inspect neuron=N28 image={tmp_path / '7.png'}"
    assert f"{step} shows how N28 computed the logit of 7 python -m" in printed
    text = workspace.call("inspect", neuron="N28", image=str(tmp_path / "7.png"))
    assert "N28: neuron 8 of layer 2, for digit 7" in text
    draw(1, tmp_path / "2.png")
    assert "neuron=" not in predict(workspace, tmp_path)[1]  # several images
    assert (
        "next python -m pipeline.predict images=photo.jpg" in (predict(workspace, 0)[1])
    )


def test_unreadable_images_are_reported_and_the_others_are_classified(
    workspace, tmp_path, draw
):
    draw(0, tmp_path / "7.png")
    draw(0, tmp_path / "=1+1\n.png")
    (tmp_path / "text.png").write_text("a seven")
    (tmp_path / "drawing.svg").write_text("<svg/>")
    with pytest.raises(UserError, match="not all images were classified") as error:
        predict(workspace, tmp_path)
    assert len(str(error.value).splitlines()) == 3
    records = workspace.read("predict/predictions.json")
    assert [record["predicted"] for record in records] == [7, 7]
    assert error.value.result.predictions.records() == records
    # The apostrophe keeps a spreadsheet from running the name as a formula.
    assert files_in_csv(workspace) == ["7.png", "'=1+1\n.png"]


def test_blank_pages_pairs_lines_and_noise_are_unsure(workspace, tmp_path, mnist):
    blank, line = np.full((2, 200, 300), 255, np.uint8)
    line[96:104, 50:250] = 0
    noise = np.random.default_rng(1).integers(0, 256, (200, 200), dtype=np.uint8)
    pair = 255 - np.hstack(mnist.test.images[:2])
    pale = np.full((300, 300), 180, np.uint8)
    pale[60:240, 140:160] = 177
    images = {"1 blank": blank, "2 line": line, "3 noise": noise, "4 pair": pair}
    images["5 pale"] = pale
    for name, image in images.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    records, printed = predict(workspace, tmp_path)
    assert "more than one digit or object, crop the image to a digit." in printed
    assert "write the digit upright and in its usual form" in printed
    assert "If a digit is cut off" not in printed  # no digit is cut off
    assert not any(record["sure"] for record in records)
    reasons = [record["reason"] for record in records]
    assert reasons == ["blank", "unusual", "no ink", "several objects", "no ink"]
    blank, line, noise, pair, pale = (record["text"] for record in records)
    assert blank == "the image is blank"
    remedy = "use a darker pen or more light, or crop the image"
    assert noise == pale == f"no ink was found: {remedy}"
    assert pair == "there is more than one digit or object"
    assert line == "the strokes are unusual for a digit"


def test_the_output_says_that_the_name_of_a_single_file_contains_its_label(
    workspace, tmp_path, draw
):
    draw(0, tmp_path / "7.png")
    draw(0, tmp_path / "seven.png")
    told = "1 file: labels from the first number in each file name, if it has one digit"
    printed = [predict(workspace, path)[1] for path in sorted(tmp_path.iterdir())]
    assert [told in text for text in printed] == [True, False]
    assert not any("write the digit" in text for text in printed)


@pytest.mark.parametrize("level", [177, 180], ids=["no ink", "blank"])
def test_no_other_advice_follows_a_reason_that_says_what_helps(
    workspace, tmp_path, level
):
    pale = np.full((300, 300), 180, np.uint8)
    pale[60:240, 140:160] = level
    Image.fromarray(pale).save(tmp_path / "pale.png")
    (record,), printed = predict(workspace, tmp_path / "pale.png")
    assert record["reason"] and "If " not in printed


def test_a_digit_that_the_border_cuts_gets_its_own_advice(workspace, tmp_path):
    levels = np.random.default_rng(1).normal(220, 3, (300, 300))
    levels[60:80, 200:] = levels[60:200, 240:260] = levels[180:200, 150:260] = 50
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "cut.png")
    (record,), printed = predict(workspace, tmp_path / "cut.png")
    assert record["reason"] == "cut off"
    assert "If a digit is cut off, use an image with paper all around it." in printed
    assert "write the digit" not in printed


def test_a_missing_image_is_reported_with_the_folder_that_was_searched(
    workspace, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    accepted = "must be the index of a test image, such as 0, or a file"
    text = f"foto.jpg does not exist in {tmp_path}: images {accepted} or folder"
    with pytest.raises(UserError, match=f"{re.escape(text)}$"):
        predict(workspace, "foto.jpg")
    text = f"foto.jpg does not exist: images {accepted} or folder"
    with pytest.raises(UserError, match=f"/{re.escape(text)}$"):
        predict(workspace, tmp_path / "foto.jpg")
    with pytest.raises(
        UserError, match=f"foto does not exist in .*: image {accepted}$"
    ):
        workspace.call("inspect", image="foto", neuron="N11")


def test_nothing_is_printed_about_labels_if_no_file_can_be_read(workspace, tmp_path):
    (tmp_path / "7.png").write_text("a seven")
    error = pytest.raises(UserError, match=r"7\.png is damaged or not an image")
    with workspace.captured() as printed, error:
        run_predict(images=tmp_path / "7.png")
    assert printed.getvalue() == ""


def test_all_commands_count_the_class_that_the_network_gives_to_blank_images(
    workspace, tmp_path
):
    for label in range(10):  # the biases alone predict one of the labels
        Image.new("L", (60, 60), 255).save(tmp_path / f"{label}.png")
    _, output = predict(workspace, tmp_path)
    assert "1 of 10 images is classified correctly" in output
    evaluated = workspace.call("evaluate", sets=[str(tmp_path)], tracking="none")
    assert "1 of 10 images is classified correctly" in evaluated
    text = "no ink was found in 10 images: 0.png, 1.png, 2.png, \u2026"
    assert text in evaluated
    (scores,) = workspace.read("evaluate/metrics.json").values()
    assert scores["accuracy"] == 0.1 and scores["unsure"] == 1
    assert "model.safetensors, trained on mnist" in output


def test_a_network_predicts_without_its_data_and_without_its_detector(
    empty_project, few, write_idx, draw, tmp_path
):
    folder = tmp_path / "zeros and ones"  # the other eight classes have no images
    folder.mkdir()
    drawn = tmp_path / "drawn"
    for row in range(3):
        draw(row, drawn / f"{row}.png")
    data = few.train.pick(np.flatnonzero(few.train.labels < 2)[:8])
    write_idx(folder / "images-idx3-ubyte", data.images)
    write_idx(folder / "labels-idx1-ubyte", data.labels)
    workspace = empty_project("moved")
    options = {"epochs": 1, "batch_size": 7, "lr": 1e-6}
    workspace.call("train", dataset=str(folder), **options)
    folder.rename(tmp_path / "moved")
    records, _ = predict(workspace, drawn)
    assert {record["predicted"] for record in records} - {0, 1}
    (record,), _ = predict(workspace, 0)  # the images are in the prepared file
    assert record["label"] in (0, 1)
    assert "1 image; the validation images" in workspace.call("evaluate")
    workspace.call("inspect", weight="layer_1[300,5]")
    data = workspace.outputs / "data"
    (components,) = data.glob("zeros_and_ones-*-components.safetensors")
    components.unlink()
    assert predict(workspace, drawn)[0] == records  # the components are computed again
    for prepared in data.glob("zeros_and_ones-*.safetensors"):
        prepared.unlink()
    lost = "is missing: run python -m pipeline.data dataset=<folder> with a folder"
    with pytest.raises(UserError, match=lost) as missing:
        predict(workspace, 0)
    assert str(missing.value).endswith("  labels-idx1-ubyte")
    without, printed = predict(workspace, drawn)
    assert "the training images are missing (python -m pipeline.data" in printed
    text = without[0]["text"]
    assert text.startswith("the training images are missing (python -m pipeline.data")
    unknown = {"sure": None, "reason": None, "text": text}
    assert without == [record | unknown for record in records]
