"""Measures accuracy and out-of-distribution detection on images of many kinds.

    python tests/benchmarks/images.py [--quick]

Trains the network of the exercise with seeds 1 to 3, then prints tables; takes about
three minutes. With --quick, there are one seed and fewer images. Each kind is drawn
from MNIST's test digits, as a pen or a camera would show them, with a fixed seed; the
preprocessing was not tuned to these images.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy import ndimage

from pipeline import datasets
from pipeline.cli import defaults
from pipeline.core import loop
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.margin import margin, smallest_margin
from pipeline.datasets.components import fit_components
from pipeline.images import preprocess
from pipeline.images.digit import bounding_box
from pipeline.images.reading import gray_levels
from pipeline.model import OodDetector

DATA = Path(__file__).resolve().parent.parent.parent / "outputs" / "data"
SEEDS = (1, 2, 3)
IMAGES_PER_KIND, QUICK_PER_KIND = 200, 50  # images drawn of each kind
QUICK_TEST_IMAGES = 1000


def gray(values):
    return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))


def stretched(image):
    """As in USPS: cut out and stretched to fill a small square."""
    tight = image[bounding_box(image > 0)]
    return np.asarray(Image.fromarray(tight).resize((16, 16)))


def shifted(image, rng):
    step = rng.choice([(4, 0), (0, 4), (4, 4), (4, -4)]) * rng.choice([1, -1])
    return ndimage.shift(image, step, order=0)


def skeleton(mask):
    """Thin strokes to one pixel (Zhang and Suen, 1984)."""
    mask = np.pad(mask, 1).astype(np.uint8)
    ring = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
    while True:
        before = mask.copy()
        for corners in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            near = [np.roll(mask, step, (0, 1)) for step in ring]
            turns = sum((near[i] == 0) & (near[(i + 1) % 8] == 1) for i in range(8))
            gone = (mask == 1) & (turns == 1) & (sum(near) >= 2) & (sum(near) <= 6)
            for a, b, c in corners:
                gone &= near[a] * near[b] * near[c] == 0
            mask[gone] = 0
        if (mask == before).all():
            return mask[1:-1, 1:-1].astype(bool)


def inked(digit, height, width):
    """Redraw a digit with a pen `width` pixels wide; return ink in [0, 1]."""
    large = Image.fromarray(digit.astype(np.float32)).resize((height, height))
    smooth = ndimage.gaussian_filter(np.asarray(large), height / 70) > 110
    away = ndimage.distance_transform_edt(~skeleton(smooth))
    ink = np.clip(width / 2 + 0.5 - away, 0, 1)
    return ink[bounding_box(ink > 0)]


def written(digit, rng, widths, heights=(120, 330), size=(320, 320)):
    """Put a redrawn digit anywhere on a canvas, which is larger if it does not fit."""
    ink = inked(digit, rng.integers(*heights), rng.uniform(*widths))
    canvas = np.zeros(np.maximum(size, np.add(ink.shape, 8)))
    top, left = rng.integers(3, np.subtract(canvas.shape, ink.shape) - 3)
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas


def light(shape, rng, strength):
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    along = (x * np.cos(angle) + y * np.sin(angle)) / 1.42
    return 1 - strength * (0.5 + 0.5 * along + 0.15 * (x * x + y * y))


def squares(shape, rng, angle):
    y, x = np.indices(shape)
    cos, sin = np.cos(angle), np.sin(angle)
    gap, thickness = rng.uniform(18, 55), rng.uniform(1, 2.5)
    lines = np.zeros(shape)
    for place in (x * cos + y * sin, y * cos - x * sin):
        away = np.abs((place + rng.uniform(0, gap)) % gap - gap / 2)
        lines = np.maximum(lines, np.clip(thickness / 2 + 0.5 - away, 0, 1))
    return lines


def photographed(values, rng, noise):
    stored = io.BytesIO()
    gray(values + rng.normal(0, noise, values.shape)).save(stored, "JPEG", quality=65)
    return Image.open(stored)


def on_table(paper, rng, sides, tilt):
    """Cover the image of a sheet with a darker table beyond some of its edges.

    Args:
        paper: The gray levels of the sheet.
        rng: A random generator.
        sides: The number of edges.
        tilt: The angle between edges and borders is at most this many degrees.
    """
    height, width = paper.shape
    y, x = np.indices(paper.shape)
    angle = np.radians(rng.uniform(-tilt, tilt))
    x, y = x - width / 2, y - height / 2
    across = x * np.cos(angle) + y * np.sin(angle)
    down = y * np.cos(angle) - x * np.sin(angle)
    away = width / 2 - across, width / 2 + across, height / 2 - down, height / 2 + down
    margins = rng.uniform(0.03, 0.12, 4) * min(paper.shape)
    inside = np.ones(paper.shape, bool)
    for side in rng.choice(4, sides, replace=False):
        inside &= away[side] > margins[side]
    grain = ndimage.gaussian_filter(rng.normal(0, 1, paper.shape), (1, 8))  # of wood
    table = rng.uniform(0.15, 0.55) * (1 + rng.uniform(0, 0.15) * grain / grain.std())
    covered = 1 - ndimage.gaussian_filter(inside.astype(float), 1)
    return paper * (1 + covered * (table - 1))


def paper_edges(digit, rng, sides=None, tilt=10):
    ink = np.pad(written(digit, rng, (5, 11), (100, 220), (240, 240)), 70)
    lit = rng.uniform(170, 245) * light(ink.shape, rng, 0.3)
    sides = rng.integers(1, 5) if sides is None else sides
    surrounded = on_table(np.ones(ink.shape), rng, sides, tilt)
    return photographed(surrounded * lit * (1 - 0.7 * ink), rng, 4)


def faint_pencil(digit, rng):
    ink = written(digit, rng, (6, 14))
    return gray(rng.uniform(150, 245) - 20 * ink + rng.normal(0, 5, ink.shape))


def white_on_black(digit, rng):
    return gray(255 * written(digit, rng, (8, 30)))


def thin_pen(digit, rng):
    return gray(255 * (1 - written(digit, rng, (1, 2))))


def blurry_pen(digit, rng):
    ink = ndimage.gaussian_filter(written(digit, rng, (6, 12)), rng.uniform(3, 7))
    return gray(235 - 180 * ink / ink.max())


def wide_canvas(digit, rng):
    size = (rng.integers(200, 400), rng.integers(700, 1400))
    return gray(255 * (1 - written(digit, rng, (1.5, 4), (60, 140), size)))


def shadow(digit, rng):
    ink = written(digit, rng, (5, 12))
    inside = light(ink.shape, rng, 1) < rng.uniform(0.35, 0.65)
    dimmed = 1 - 0.4 * ndimage.gaussian_filter(inside.astype(float), 3)
    return photographed(220 * dimmed * (1 - 0.7 * ink), rng, 3)


def squared_paper(digit, rng):
    ink = written(digit, rng, (3, 10), (200, 420), (480, 360))
    lines = squares(ink.shape, rng, rng.uniform(-0.06, 0.06)) * rng.uniform(0.08, 0.4)
    paper = rng.uniform(150, 250) * light(ink.shape, rng, 0.45)
    ink *= rng.uniform(0.4, 0.85)  # from pencil to pen
    return photographed(paper * (1 - lines) * (1 - ink), rng, 5)


def chalk(digit, rng):
    ink = written(digit, rng, (5, 14))
    crumbs = ndimage.gaussian_filter(rng.normal(1, 1.2, ink.shape), 1.2).clip(0.3, 1.2)
    return photographed((50 + 130 * ink * crumbs) * light(ink.shape, rng, 0.4), rng, 5)


KINDS = (white_on_black, thin_pen, blurry_pen, wide_canvas)
KINDS += (shadow, squared_paper, chalk, paper_edges, faint_pencil)


def ring(x, y, width, height):
    """Points of an ellipse around a point."""
    turns = np.linspace(0, 2 * np.pi, 25)
    return [*zip(x + width * np.cos(turns), y + height * np.sin(turns), strict=True)]


# Strokes of forms that are rare in MNIST, as points with coordinates in [0, 1].
UNUSUAL_FORMS = {
    "slashed zero": (0, [ring(0.35, 0.5, 0.35, 0.5), [(0, 1), (0.7, 0)]]),
    "hooked and footed one": (
        1,
        [[(0, 0.35), (0.3, 0), (0.3, 1)], [(0, 1), (0.6, 1)]],
    ),
    "open four": (4, [[(0.1, 0), (0, 0.6), (0.6, 0.6)], [(0.55, 0), (0.5, 1)]]),
    "crossed seven": (
        7,
        [[(0, 0), (0.7, 0), (0.3, 1)], [(0.15, 0.5), (0.65, 0.5)]],
    ),
}


def drawn(strokes, rng, side=280):
    """Draw strokes with shaky corners, a slant and a pen of random width."""
    image = Image.new("L", (side, side), 255)
    draw, width = ImageDraw.Draw(image), int(rng.integers(8, 20))
    slant = rng.normal(0, 0.12)
    for stroke in strokes:
        points = np.array(stroke) + rng.normal(0, 0.015, (len(stroke), 2))
        points[:, 0] += 0.15 + slant * (0.5 - points[:, 1])
        places = [tuple(point) for point in side * (0.15 + 0.7 * points)]
        draw.line(places, fill=20, width=width, joint="curve")
    return np.asarray(image)


def unusual(rng, number=20):
    """Return images of unusual forms, `number` of each, and their labels."""
    forms = [form for form in UNUSUAL_FORMS.values() for _ in range(number)]
    return [drawn(strokes, rng) for _, strokes in forms], [label for label, _ in forms]


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
    yield "unusual forms", *unusual(rng)


def noise(side, number=IMAGES_PER_KIND):
    """Gray, faint and black-and-white noise."""
    rng, size = np.random.default_rng(3), (number // 4, side, side)
    images = [rng.normal(128, 60, size), rng.normal(30, 10, size)]
    images += [255 * (rng.random(size) < share) for share in (0.1, 0.3, 0.5)]
    return np.concatenate(images).clip(0, 255).astype(np.uint8)


def row(name, *values):
    print(f"{name:26}", *(f"{value:>10}" for value in values), flush=True)


def percent(parts):
    return f"{100 * np.mean(parts):.2f}"


def judge(models, images):
    """Preprocess images; return what was found in each, and each network's predictions.

    A prediction is a class, and the reason why it is unsure.
    """
    prepared, findings, _ = zip(*map(preprocess, images), strict=True)
    ready, predictions = np.array(prepared), []
    for network, detector in models:
        logits = network.logits(ready)
        judged = detector.reasons(ready, logits)
        reasons = [found or why for found, why in zip(findings, judged, strict=True)]
        predictions.append([*zip(logits.argmax(dim=1).tolist(), reasons, strict=True)])
    return findings, predictions


def shares(predictions, labels):
    """Return the accuracy, and the ood and unsure fractions of correct predictions."""
    pairs = zip(predictions, labels, strict=True)
    reasons = [reason for (prediction, reason), label in pairs if prediction == label]
    outside = [reason in ("not drawn", "unlike") for reason in reasons]
    return len(reasons) / len(labels), np.mean(outside), np.mean([*map(bool, reasons)])


def train(split, seed):
    """Train the network of the exercise and fit its detector."""
    hyperparameters = Hyperparameters(**defaults() | {"seed": seed})
    network, _ = loop.train_network(split, hyperparameters)
    threshold = smallest_margin(network.predict(split.train.images).numpy())
    return network, OodDetector(fit_components(split.train), threshold)


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
    models = [train(mnist.split("exercise"), seed) for seed in seeds]
    outputs = [network.predict(test.images).numpy() for network, _ in models]
    errors = [output.argmax(axis=1) != test.labels for output in outputs]
    values = "Percentages of one seed" if quick else "Percentages, means of three seeds"
    print(f"{values}; ood, unsure: of the correct predictions")
    row("", "images", "accuracy", "ood", "unsure", "blank", "several")
    accuracy = percent([~wrong for wrong in errors])
    row("MNIST test, unprocessed", len(test), accuracy)
    for name, images, labels in sets(test.images, test.labels, number):
        findings, judged = judge(models, images)
        measured = zip(*(shares(each, labels) for each in judged), strict=True)
        blank = findings.count("blank") + findings.count("no ink")
        several = findings.count("several")
        row(name, len(labels), *map(percent, measured), blank, several)
    print("\nWithout preprocessing")
    unprocessed = {"MNIST test": test.images, "Fashion-MNIST test": clothes}
    known = models[0][1].components  # of the data, so all networks have the same
    for name, images in (unprocessed | {"noise": noise(28, number)}).items():
        classes = [
            network.predict(images).numpy().argmax(axis=1) for network, _ in models
        ]
        unlike = [known.is_unlike(images, each) for each in classes]
        row(f"unlike: {name}", percent(unlike))
    pairs = zip(models, outputs, strict=True)
    close = [margin(output) < d.min_margin for (_, d), output in pairs]
    row("close: MNIST test", percent(close))
    pairs = zip(close, errors, strict=True)
    row("close: misclassified", percent([near[wrong].mean() for near, wrong in pairs]))
    print("\nPreprocessed; unsure for any reason")
    without_digits = {
        f"noise {side}x{side}": noise(side, number) for side in (8, 28, 128, 300)
    }
    for name, images in ({"clothes": clothes} | without_digits).items():
        _, judged = judge(models, images)
        unsure = percent([bool(reason) for each in judged for _, reason in each])
        row(f"unsure: {name}", len(images), unsure)


if __name__ == "__main__":
    main()
