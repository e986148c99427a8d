"""Measures accuracy and out-of-distribution detection on images of many kinds.

    python tests/benchmarks/images.py [folder of images with a labels.csv]

Trains the network of the exercise with seeds 1 to 3, then prints tables; takes about
three minutes. Each kind is drawn from MNIST's test digits, as a pen or a camera would
show them, with a fixed seed; the preprocessing was not tuned to these images. The
labels.csv of a folder has the columns path and label.
"""

import io
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from pipeline import datasets
from pipeline.images import list_images, preprocessing, read_image
from pipeline.images.ink import grey_levels
from pipeline.model import ood
from pipeline.training import loop

DIGITS = "0123456789"
DATA = Path(__file__).resolve().parent.parent.parent / "outputs" / "data"
SEEDS = (1, 2, 3)
IMAGES_PER_KIND = 200  # images drawn of each kind
SMALL_SIDE = 16  # side of the images of USPS and Semeion, in pixels


def grey(values):
    return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))


def stretched(image):
    """As in USPS: cut out and stretched to fill a small square."""
    tight = image[preprocessing.bounding_box(image > 0)]
    return np.asarray(Image.fromarray(tight).resize((SMALL_SIDE, SMALL_SIDE)))


def binary(image):
    """As in Semeion: the same in black and white."""
    return np.where(stretched(image) > 100, 255, 0).astype(np.uint8)


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
    return ink[preprocessing.bounding_box(ink > 0)]


def placed(ink, rng, size=(320, 320)):
    canvas = np.zeros(np.maximum(size, np.add(ink.shape, 8)))
    top, left = rng.integers(3, np.subtract(canvas.shape, ink.shape) - 3)
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas


def written(digit, rng, widths, heights=(120, 330), size=(320, 320)):
    return placed(inked(digit, rng.integers(*heights), rng.uniform(*widths)), rng, size)


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
    grey(values + rng.normal(0, noise, values.shape)).save(stored, "JPEG", quality=65)
    return Image.open(stored)


def tinted(ink, colour, paper):
    ink = ink[..., None]
    return Image.fromarray((paper * (1 - ink) + colour * ink).round().astype(np.uint8))


def white_on_black(digit, rng):
    return grey(255 * written(digit, rng, (8, 30)))


def thin_pen(digit, rng):
    return grey(255 * (1 - written(digit, rng, (1, 2))))


def blurry_pen(digit, rng):
    ink = ndimage.gaussian_filter(written(digit, rng, (6, 12)), rng.uniform(3, 7))
    return tinted(0.9 * ink / ink.max(), np.array([40, 60, 160]), 235)


def wide_canvas(digit, rng):
    size = (rng.integers(200, 400), rng.integers(700, 1400))
    return grey(255 * (1 - written(digit, rng, (1.5, 4), (60, 140), size)))


def grey_paper(digit, rng):
    ink = written(digit, rng, (4, 12))
    paper = rng.uniform(150, 230) * light(ink.shape, rng, 0.5)
    return photographed(paper * (1 - 0.6 * ink), rng, rng.uniform(2, 7))


def shadow(digit, rng):
    ink = written(digit, rng, (5, 12))
    inside = light(ink.shape, rng, 1) < rng.uniform(0.35, 0.65)
    dimmed = 1 - 0.4 * ndimage.gaussian_filter(inside.astype(float), 3)
    return photographed(220 * dimmed * (1 - 0.7 * ink), rng, 3)


def squared_paper(digit, rng):
    ink = written(digit, rng, (4, 10))
    lines = squares(ink.shape, rng, rng.uniform(-0.06, 0.06)) * rng.uniform(0.1, 0.4)
    paper = rng.uniform(200, 250) * light(ink.shape, rng, 0.2)
    ink *= rng.uniform(0.6, 0.85)
    return photographed(paper * (1 - lines) * (1 - ink), rng, 3)


def pencil_photo(digit, rng):
    ink = written(digit, rng, (3, 6), (200, 420), (480, 360))
    lines = squares(ink.shape, rng, rng.uniform(-0.05, 0.05)) * rng.uniform(0.08, 0.25)
    paper = rng.uniform(150, 210) * light(ink.shape, rng, 0.45)
    return photographed(paper * (1 - lines) * (1 - rng.uniform(0.4, 0.7) * ink), rng, 5)


def chalk(digit, rng):
    ink = written(digit, rng, (5, 14))
    crumbs = ndimage.gaussian_filter(rng.normal(1, 1.2, ink.shape), 1.2).clip(0.3, 1.2)
    return photographed((50 + 130 * ink * crumbs) * light(ink.shape, rng, 0.4), rng, 5)


def transparent(digit, rng):
    ink = grey(255 * written(digit, rng, (2, 12)))
    return Image.merge("LA", [Image.new("L", ink.size, int(rng.choice([0, 255]))), ink])


def coloured(digit, rng):
    pairs = [((230, 40, 40), 255), ((250, 210, 30), 255), ((60, 60, 255), 0)]
    colour, paper = pairs[rng.integers(3)]
    return tinted(written(digit, rng, (3, 12)), np.array(colour), paper)


def sixteen_bits(digit, rng):
    ink = written(digit, rng, (3, 12))
    return Image.fromarray(((1 - 0.8 * ink) * 50000).astype(np.uint16))


def tiny_scan(digit, rng):
    ink = placed(inked(digit, 260, rng.uniform(8, 20)), rng, (280, 280))
    scan = grey(rng.uniform(180, 255) * (1 - 0.85 * ink))
    return scan.resize((28, 28), Image.Resampling.BOX)


KINDS = (white_on_black, thin_pen, blurry_pen, wide_canvas, grey_paper, shadow)
KINDS += (squared_paper, pencil_photo, chalk, transparent, coloured, sixteen_bits)
KINDS += (tiny_scan,)


def sets(test, folder):
    """Yield the name of each set, its images and their labels."""
    rng = np.random.default_rng(1)
    images, labels = test.images, test.labels
    yield "MNIST test", images, labels
    yield "inverted", 255 - images, labels
    yield "shifted by 4", [shifted(image, rng) for image in images], labels
    yield "stretched 16x16, grey", [stretched(image) for image in images], labels
    yield "stretched 16x16, binary", [binary(image) for image in images], labels
    yield "scikit-learn 8x8", *datasets.spec("digits").originals()
    for kind in KINDS:
        drawn = [grey_levels(kind(digit, rng)) for digit in images[:IMAGES_PER_KIND]]
        yield kind.__name__.replace("_", " "), drawn, labels[:IMAGES_PER_KIND]
    if folder:
        entries = list_images(folder).entries
        read = [read_image(entry.source) for entry in entries]
        yield folder.name, read, [entry.label for entry in entries]


def without_digits(clothes):
    """Yield the name and the images of each set without digits."""
    rng = np.random.default_rng(3)
    large = [np.asarray(grey(image).resize((140, 140))) for image in clothes[:1000]]
    for name, images in (("clothes", clothes), ("clothes 140x140", np.array(large))):
        yield name, images
        yield f"{name}, inverted", 255 - images
    for side in (8, 16, 20, 28, 32, 50, 64, 65, 80, 128, 300):
        size = (IMAGES_PER_KIND // 4, side, side)
        noise = [rng.normal(128, 60, size), rng.normal(200, 20, size)]
        noise += [rng.normal(30, 10, size), rng.uniform(0, 255, size)]
        noise += [255 * (rng.random(size) < share) for share in (0.1, 0.3, 0.5)]
        yield f"noise {side}x{side}", np.concatenate(noise).clip(0, 255).astype("u1")


def row(name, *values):
    print(f"{name:26}", *(f"{value:>10}" for value in values), flush=True)


def percent(parts):
    return f"{100 * np.mean(parts):.2f}"


def preprocess(images):
    """Return the preprocessed images, the digits on each, and which a pen can draw."""
    results = [preprocessing.preprocess(image) for image in images]
    columns = [(each.image, each.digit_count, each.drawn) for each in results]
    return tuple(map(np.array, zip(*columns, strict=True)))


def train(split, seed):
    """Train the network of the exercise and fit its detector."""
    options = {"hidden": 20, "epochs": 20, "batch_size": 32, "lr": 0.001}
    network, _ = loop.train(split, seed=seed, **options)
    detector = ood.fit_detector(network, split.train.images, split.train.labels)
    return network, detector


def main():
    torch.set_num_threads(1)
    mnist = datasets.load("mnist", folder=DATA)
    models = [train(mnist.split("exercise"), seed) for seed in SEEDS]
    print("Percentages, means of three seeds; ood and unsure: of the correct answers")
    row("", "images", "accuracy", "ood", "unsure", "blank", "several")
    plain = [network.predict(mnist.test.images).numpy() for network, _ in models]
    errors = [answer.argmax(1) != mnist.test.labels for answer in plain]
    accuracy = percent([~wrong for wrong in errors])
    row("MNIST test, unprocessed", len(mnist.test), accuracy)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for name, images, labels in sets(mnist.test, folder):
        ready, counts, drawn = preprocess(images)
        accuracies, outside, unsure = [], [], []
        for network, detector in models:
            answers = network.predict(ready).numpy()
            correct = answers.argmax(1) == np.asarray(labels)
            verdicts = detector.judge(
                ready, answers, counts, drawn, class_names=DIGITS, noun="digit"
            )
            accuracies.append(correct.mean())
            strange = detector.out_of_distribution(ready, answers.argmax(1)) | ~drawn
            outside.append(strange[correct].mean())
            unsure.append(np.mean([not each.sure for each in verdicts], where=correct))
        measured = map(percent, (accuracies, outside, unsure))
        row(name, len(ready), *measured, (counts == 0).sum(), (counts > 1).sum())
    clothes = datasets.load("fashion_mnist", folder=DATA).test.images
    noise = np.random.default_rng(2).integers(0, 256, (1000, 28, 28)).astype(np.uint8)
    print("\nWithout preprocessing")
    unprocessed = {"MNIST test": mnist.test.images, "Fashion-MNIST test": clothes}
    unprocessed |= {"noise": noise, "blank": noise[:1] * 0}
    for name, images in unprocessed.items():
        outside = []
        for network, detector in models:
            answers = network.predict(images).numpy().argmax(1)
            outside.append(detector.out_of_distribution(images, answers))
        row(f"ood: {name}", percent(outside))
    close = [d.is_close(answer) for (_, d), answer in zip(models, plain, strict=True)]
    row("close: MNIST test", percent(close))
    pairs = zip(close, errors, strict=True)
    row("errors that are close", percent([near[wrong].mean() for near, wrong in pairs]))
    print("\nPreprocessed; unsure for any reason")
    for name, images in without_digits(clothes):
        ready, counts, drawn = preprocess(images)
        unsure = []
        for network, detector in models:
            answers = network.predict(ready).numpy()
            verdicts = detector.judge(
                ready, answers, counts, drawn, class_names=DIGITS, noun="digit"
            )
            unsure += [not verdict.sure for verdict in verdicts]
        row(f"unsure: {name}", len(ready), percent(unsure))


if __name__ == "__main__":
    main()
