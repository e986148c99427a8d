import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import datasets
from pipeline.core.dataset import LabeledImages
from pipeline.evaluation import Predictions, classify, preprocess_for, scores
from pipeline.evaluation.result_files import plot_wrong_predictions, wrong_predictions
from pipeline.evaluation.sentences import (
    count_unsure,
    describe_prediction,
    describe_result,
    with_other_classes,
)
from pipeline.evaluation.test_sets import find_test_set
from pipeline.images import ImageSet, PreprocessedImages, preprocess_images
from pipeline.interpret import ModelAnalysis
from pipeline.interpret.page.rendering import select_data
from pipeline.model import load_detector, load_trained_network, save_network


def test_the_wilson_interval_agrees_with_a_published_value():
    from scipy.stats import binomtest  # slow: for this test only

    # Brown, Cai, DasGupta (2001), Interval estimation for a binomial proportion: 5 of
    # 10 lie between 0.2366 and 0.7634.
    low, high = scores.wilson_interval(5, 10)
    assert (low, high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    expected = binomtest(977, 1000).proportion_ci(method="wilson")
    assert scores.wilson_interval(977, 1000) == (expected.low, expected.high)
    assert scores.wilson_interval(17, 17)[1] == 1
    assert str(scores.wilson_interval(0, 17)[0]) == "0.0"  # not -0.0


def test_calibration_error_is_the_mean_distance_between_confidence_and_accuracy():
    # Six of eight predictions with 0.9 and one of two with 0.5 are correct.
    is_correct = np.array([True] * 6 + [False] * 2 + [True, False])
    bins = scores.reliability(np.array([0.9] * 8 + [0.5] * 2), is_correct)
    assert [each.count for each in bins] == [2, 8]
    expected = 0.8 * abs(0.75 - 0.9) + 0.2 * abs(0.5 - 0.5)
    assert scores.calibration_error(bins) == pytest.approx(expected)


def test_the_worst_classes_confusions_and_wrong_predictions_are_described():
    labels = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4], np.uint8)
    predicted = [0, 9, 9, 1, 8, 2, 3, 3, 3, 2, 5]
    confidence = [0.99, 0.5, 0.6, 0.99, 0.9, 0.99, 0.99, 0.99, 0.99, 0.8, 0.7]
    names = [f"few {row}\n.png" for row in range(11)]
    images, logits = np.zeros((11, 28, 28), np.uint8), torch.zeros(11, 10)
    paths = [*map(Path, names)]
    source = ImageSet(
        "few", "", names, labels.tolist(), paths, "raw", class_names="0123456789"
    )
    preprocessed = PreprocessedImages(source, images, [""] * 11, (), how="")
    for row, probability in enumerate(confidence):
        logits[row, predicted[row]] = math.log(9 * probability / (1 - probability))
    spec = datasets.spec("fashion_mnist")
    result = Predictions(preprocessed, spec, logits, [None] * 11)
    text, note, *details = describe_result(result)
    assert text == "few: 6 of 11 images are classified correctly."
    assert note.startswith("the classes of this set differ from the classes of ")
    assert details == [
        # 3 (75%) is the fourth; 2 has no error, and other classes have no images.
        "worst classes: 4 (0.0% of 1), 0 (33.3% of 3), 1 (50.0% of 2)",
        "most frequent confusions: 0 as ankle boot (2), 1 as bag (1), "
        "3 as pullover (1)",
    ]
    # The label is not t-shirt/top, its name in the network's data set.
    assert describe_prediction(result, 1).endswith(", but the label is 0.")
    captions = [caption for caption, _ in wrong_predictions(result)]
    first, second, *others = captions  # the most confident ones first
    bag = "predicted: bag\nconfidence: 90.0%\nlabel: 1\n"  # the label is not a class
    assert first == f"{bag}few 4\ufffd.png" and len(others) == 3
    assert second.startswith("predicted: pullover\nconfidence: 80.0%\nlabel: 3\n")
    stored = replace(preprocessed, source=replace(source, images=images))
    caption, _ = wrong_predictions(replace(result, preprocessed=stored))[0]
    assert caption == f"{bag}image 4"
    # No probability is 1: a confidence of 1.0 is rounded to 32 bits.
    for logit in (12.0, 40.0):
        sure = replace(result, logits=logits.index_fill(0, torch.tensor(4), 0))
        sure.logits[4, 8] = logit
        assert "confidence: >99.9%\n" in wrong_predictions(sure)[0][0]
        assert "bag (>99.9%), but" in describe_prediction(sure, 4)
    right = replace(result, logits=torch.eye(10)[labels.tolist()])
    assert len(describe_result(right)) == 2
    assert with_other_classes(right).startswith(" (other classes: correct means ")
    digits = replace(right, spec=datasets.spec("mnist"))
    assert not with_other_classes(digits)
    titles = plot_wrong_predictions(digits), plot_wrong_predictions(right)
    assert titles[0] != titles[1]  # one has the remark
    own = replace(preprocessed, source=replace(source, kind="own"))
    unchanged = replace(digits, preprocessed=own)
    assert titles[0] != plot_wrong_predictions(unchanged)  # one says how
    assert all(image.height < 50 for image in titles)  # only a title


def test_a_set_in_which_an_image_has_no_label_is_not_scored():
    images = np.zeros((3, 28, 28), np.uint8)
    source = ImageSet(
        "few", "", ["a", "b", "c"], [1, None, None], images, "preprocessed"
    )
    preprocessed = PreprocessedImages(source, images, [""] * 3, (), how="")
    spec = datasets.spec("mnist")
    result = Predictions(preprocessed, spec, torch.zeros(3, 10), [None] * 3)
    for function in (
        scores.score,
        scores.confusion,
        wrong_predictions,
        describe_result,
    ):
        with pytest.raises(ValueError, match="few cannot be scored: 2 images without"):
            function(result)


def test_without_a_detector_only_preprocessing_makes_a_prediction_unsure(
    new_network, tmp_path, few
):
    save_network(tmp_path / "model.safetensors", new_network(5))
    trained = load_trained_network(tmp_path / "model.safetensors")
    images = few.val.images[:3]
    source = ImageSet("few", "", ["a", "b", "c"], [None] * 3, images, "preprocessed")
    preprocessed = PreprocessedImages(
        source, images, ["", "several objects", "blank"], (), how=""
    )
    predictions = classify(
        preprocessed, trained, load_detector(trained, folder=tmp_path)
    )
    assert predictions.reasons == [None, "several objects", "blank"]
    assert predictions.sure == [None, False, False]
    assert predictions.doubt(1) == "there is more than one digit or object"
    text = "). The prediction is marked unsure because the image is blank."
    assert text in describe_prediction(predictions, 2)
    assert scores.per_image(predictions)[1]["text"] == predictions.doubt(1)


def test_unsure_predictions_are_counted_even_among_the_wrong_ones():
    labels = [0, 1, 2, 3, None]
    images = np.zeros((5, 28, 28), np.uint8)
    source = ImageSet("few", "", [*"abcde"], labels, images, "raw")
    preprocessed = PreprocessedImages(source, images, [""] * 5, (), how="")
    reasons = [
        "",
        "small margin",
        "unfamiliar",
        "",
        "several objects",
    ]  # classes 0 0 0 0 0
    result = Predictions(
        preprocessed, datasets.spec("mnist"), torch.zeros(5, 10), reasons
    )
    text = "3 predictions are marked unsure. Of the wrong predictions, "
    text += "2 of 3 are marked."
    assert count_unsure(result) == text
    right = replace(preprocessed, source=replace(source, labels=[0, 0, 0, 0, None]))
    text = "3 predictions are marked unsure."
    assert count_unsure(replace(result, preprocessed=right)) == text
    text = describe_prediction(replace(result, preprocessed=right), 1)
    reason = "The prediction is marked unsure because 1 is a close second (10.0%)."
    assert text.endswith(f", which is correct. {reason}")


def test_without_a_detector_a_set_of_blank_images_has_an_unsure_percentage(
    new_network, tmp_path
):
    save_network(tmp_path / "model.safetensors", new_network(5))
    trained = load_trained_network(tmp_path / "model.safetensors")
    images = np.zeros((3, 28, 28), np.uint8)
    source = ImageSet("blank", "", ["a", "b", "c"], [0, 1, 2], images, "preprocessed")
    detector = load_detector(trained, folder=tmp_path)
    for findings, unsure in (["blank"] * 3, 1.0), (["blank", "blank", ""], None):
        preprocessed = PreprocessedImages(source, images, findings, (), how="")
        predictions = classify(preprocessed, trained, detector)
        assert predictions.sure[:2] == [False] * 2
        assert scores.score(predictions).get("unsure") == unsure


def test_training_evaluation_and_the_page_count_blank_images_alike(
    trained, histories, detector, mnist, few
):
    blank = few.val.images[:60].copy()
    # A blank image gets the class that the biases predict, which is the label of some.
    blank[:30] = 0
    test = LabeledImages(blank, few.val.labels[:60])
    dataset = replace(mnist, train=few.train, test=test)
    _, page = select_data(ModelAnalysis(trained, dataset, histories))
    source = find_test_set(None, dataset=dataset, split="exercise")
    preprocessed = preprocess_for(datasets.spec("mnist"), source)
    result = classify(preprocessed, trained, detector)
    expected = (trained.network.classify(blank) == test.labels).mean()
    assert result.is_correct[:30].any() and not result.is_correct[:30].all()
    assert scores.score(result)["accuracy"] == page.float_accuracy == expected
    assert scores.confusion_matrix(result).sum() == 60
    named = ", ".join(result.source.files[:3])
    assert f"no ink was found in 30 images: {named}, \u2026" in describe_result(result)
    text = ". The prediction is marked unsure because the image is blank."
    assert describe_prediction(result, 0).endswith(text)
    rows = scores.per_image(result)
    assert (rows[0]["reason"], rows[0]["text"]) == ("blank", "the image is blank")
    assert all(bool(row["reason"]) != row["sure"] for row in rows)


def test_precision_recall_and_f1_are_those_of_scikit_learn(trained, detector, few):
    from sklearn import metrics as sklearn  # slow: for this test only

    source = ImageSet("few", "", [""] * 200, [], few.val.images[:200], "preprocessed")
    labels = (few.val.labels[:200] % 9).tolist()  # 9 is never a label
    preprocessed = preprocess_images(replace(source, labels=labels), as_mnist=False)
    predictions = classify(preprocessed, trained, detector)
    expected = sklearn.precision_recall_fscore_support(
        labels, predictions.classes, labels=[*range(10)], zero_division=0
    )
    rows = [[*row.values()][1:] for row in scores.per_class(predictions)]
    np.testing.assert_array_equal(np.array(rows).T, expected)
    matrix = sklearn.confusion_matrix(labels, predictions.classes, labels=[*range(10)])
    np.testing.assert_array_equal(scores.confusion_matrix(predictions), matrix)
