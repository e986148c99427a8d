"""Measures accuracy and out-of-distribution detection on images of many kinds.

    python tests/benchmarks/images.py [--quick]

Trains the network of the exercise with seeds 1 to 3, then prints tables. Takes about
three minutes. --quick uses one seed and fewer images. Each kind is drawn
from MNIST's test digits, as a pen or a camera would show them, with a fixed seed. Some
constants of the preprocessing were introduced for kinds of images in this benchmark;
see `pipeline/images/constants.py`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from pipeline import datasets
from pipeline.cli import defaults
from pipeline.core import loop
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.margin import margin, min_margin
from pipeline.core.network import network_from
from pipeline.datasets.components import fit_components
from pipeline.images import preprocess
from pipeline.images.reading import gray_levels
from pipeline.images.unsure import WITHOUT_INK
from pipeline.model import OodDetector

TESTS = Path(__file__).resolve().parent.parent
sys.path.append(str(TESTS / "images"))
from drawn_digits import KINDS, shifted, stretched, unusual  # noqa: E402

DATA = TESTS.parent / "outputs" / "data"
SEEDS = (1, 2, 3)
IMAGES_PER_KIND, QUICK_PER_KIND = 200, 50  # images drawn of each kind
QUICK_TEST_IMAGES = 1000


def sets(images, labels, number):
    """Yield the name of each set of digits, its images and their labels."""
    rng = np.random.default_rng(1)
    yield "MNIST test", images, labels
    yield "shifted by 4", [shifted(image, rng) for image in images], labels
    yield "stretched to 16x16", [stretched(image) for image in images], labels
    yield "scikit-learn 8x8", *datasets.spec("digits").originals()
    for kind in KINDS:
        redrawn = [gray_levels(kind(digit, rng)) for digit in images[:number]]
        yield kind.__name__.replace("_", " "), redrawn, labels[:number]
    yield "unusual shapes", *unusual(rng)


def noise(side, number=IMAGES_PER_KIND):
    """Return gray, faint and black-and-white noise."""
    rng, size = np.random.default_rng(3), (number // 4, side, side)
    images = [rng.normal(128, 60, size), rng.normal(30, 10, size)]
    images += [255 * (rng.random(size) < share) for share in (0.1, 0.3, 0.5)]
    return np.concatenate(images).clip(0, 255).astype(np.uint8)


def row(name, *values):
    print(f"{name:26}", *(f"{value:>10}" for value in values), flush=True)


def percent(parts):
    return f"{100 * np.mean(parts):.2f}"


def predict_all(models, images):
    """Preprocess images; return the finding of each, and each network's predictions.

    A prediction is a class, and the reason why it is unsure.
    """
    preprocessed, findings, _ = zip(*map(preprocess, images), strict=True)
    ready, predictions = np.array(preprocessed), []
    for network, detector in models:
        logits = network.logits(ready)
        unsure = detector.reasons(ready, logits)
        reasons = [found or why for found, why in zip(findings, unsure, strict=True)]
        predictions.append([*zip(logits.argmax(dim=1).tolist(), reasons, strict=True)])
    return findings, predictions


def shares(predictions, labels):
    """Return the accuracy, and the ood and unsure fractions of correct predictions."""
    pairs = zip(predictions, labels, strict=True)
    reasons = [reason for (prediction, reason), label in pairs if prediction == label]
    outside = [reason in ("unusual", "unfamiliar") for reason in reasons]
    return len(reasons) / len(labels), np.mean(outside), np.mean([*map(bool, reasons)])


def train(dataset, seed):
    """Train the network of the exercise and fit its detector."""
    hyperparameters = Hyperparameters(**defaults() | {"seed": seed})
    *_, last = loop.train_network(dataset, hyperparameters)
    network, train = network_from(last.tensors), dataset.train
    return network, OodDetector(fit_components(train), min_margin(network, train))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    mnist = datasets.load("mnist", folder=DATA)
    seeds, test, number = SEEDS, mnist.test, IMAGES_PER_KIND
    if quick:
        seeds, number = SEEDS[:1], QUICK_PER_KIND
        test = test.pick(np.arange(QUICK_TEST_IMAGES))
    clothes = datasets.load("fashion_mnist", folder=DATA).test.images[: len(test)]
    models = [train(mnist, seed) for seed in seeds]
    outputs = [network.predict(test.images) for network, _ in models]
    errors = [output.argmax(axis=1) != test.labels for output in outputs]
    values = "Percentages of one seed" if quick else "Percentages, means of three seeds"
    print(f"{values}; ood, unsure: of the correct predictions")
    row("", "images", "accuracy", "ood", "unsure", "blank", "several")
    accuracy = percent([~wrong for wrong in errors])
    row("MNIST test, not preprocessed", len(test), accuracy)
    for name, images, labels in sets(test.images, test.labels, number):
        findings, predicted = predict_all(models, images)
        measured = zip(*(shares(each, labels) for each in predicted), strict=True)
        blank = sum(finding in WITHOUT_INK for finding in findings)
        several = findings.count("several objects")
        row(name, len(labels), *map(percent, measured), blank, several)
    print("\nWithout preprocessing")
    unprocessed = {"MNIST test": test.images, "clothes": clothes}
    known = models[0][1].components  # the components of the data, not of a network
    for name, images in (unprocessed | {"noise": noise(28, number)}).items():
        classes = [network.predict(images).argmax(axis=1) for network, _ in models]
        unfamiliar = [known.is_unfamiliar(images, each) for each in classes]
        row(f"unfamiliar: {name}", percent(unfamiliar))
    pairs = zip(models, outputs, strict=True)
    close = [margin(output) < d.min_margin for (_, d), output in pairs]
    row("small margin: MNIST test", percent(close))
    pairs = zip(close, errors, strict=True)
    row("small margin: errors", percent([near[wrong].mean() for near, wrong in pairs]))
    print("\nPreprocessed; unsure for any reason")
    without_digits = {
        f"noise {side}x{side}": noise(side, number) for side in (8, 28, 128, 300)
    }
    for name, images in ({"clothes": clothes} | without_digits).items():
        _, predicted = predict_all(models, images)
        unsure = percent([bool(reason) for each in predicted for _, reason in each])
        row(f"unsure: {name}", len(images), unsure)


if __name__ == "__main__":
    main()
