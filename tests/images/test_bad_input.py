"""Photographs and screenshots that do not show a single digit on paper."""

import string

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from pipeline.images import preprocess, read_image
from pipeline.images.digit import Strokes, finding_of, finding_of_photo

SHAPE = (300, 400)  # pixels


def photographed(levels, rng, noise=3):
    levels = levels + rng.normal(0, noise, levels.shape)
    return levels.clip(0, 255).round().astype(np.uint8)


def wood(rng, shape=SHAPE):
    grain = ndimage.gaussian_filter(rng.normal(0, 1, shape), (1.5, 25))
    return rng.uniform(60, 160) * (1 + rng.uniform(0.05, 0.2) * grain / grain.std())


def table(digit, rng):
    """Return a photograph of nothing but a table."""
    return photographed(wood(rng), rng)


def words(rng, size, *, shape=SHAPE, ink=60, paper=230):
    """Return lines of random words."""
    image = Image.new("L", shape[::-1], paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    letters = [*string.ascii_lowercase, *"  e  a  n  t  "]
    for top in range(size, shape[0] - size, round(1.5 * size)):
        line = "".join(rng.choice(letters, 2 * shape[1] // size))
        draw.text((size, top), line, fill=ink, font=font)
    return np.asarray(image, np.float64)


def text(digit, rng):
    """Return a page of text."""
    return photographed(words(rng, int(rng.integers(10, 30))), rng)


def screenshot(digit, rng):
    """Return a window with a title bar, buttons and text, without noise."""
    levels = words(rng, int(rng.integers(10, 16)), ink=30, paper=250)
    levels[:30] = 60
    for left in range(20, 380, int(rng.integers(60, 120))):
        levels[250:280, left : left + 40] = 120
    return levels.astype(np.uint8)


def two_sheets(digit, rng):
    """Return a photograph of two sheets with a digit each, on a table."""
    levels = wood(rng, (300, 500))
    levels *= 80 / levels.mean()
    for left in (20, 260):
        levels[40:260, left : left + 210] = rng.uniform(200, 240)
        large = np.asarray(Image.fromarray(digit).resize((130, 130))) / 255
        levels[90:220, left + 40 : left + 170] *= 1 - 0.7 * large
    return photographed(levels, rng)


def cut_off(digit, rng):
    """Return a digit that the border of a photograph cuts in two."""
    large = np.asarray(Image.fromarray(digit).resize((220, 220))) / 255
    levels = np.full(SHAPE, rng.uniform(180, 240))
    columns = np.flatnonzero(large.max(axis=0) > 0.5)
    first = int((columns[0] + columns[-1]) / 2)
    levels[40:260, : 220 - first] *= 1 - 0.7 * large[:, first:]
    return photographed(levels, rng)


KINDS = (table, text, screenshot, two_sheets, cut_off)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_prediction_for_an_image_without_exactly_one_digit_is_always_unsure(
    kind, mnist, trained, detector
):
    rng = np.random.default_rng(1)
    images = [kind(digit, rng) for digit in mnist.test.images[:3]]
    preprocessed, findings, _ = zip(*map(preprocess, images), strict=True)
    ready = np.array(preprocessed)
    unsure = detector.reasons(ready, trained.network.logits(ready))
    assert all(map(any, zip(findings, unsure, strict=True)))


@pytest.mark.parametrize("turns", range(4))
def test_a_digit_that_a_border_cuts_is_reported(mnist, turns):
    rng = np.random.default_rng(1)
    photos = [cut_off(digit, rng) for digit in mnist.test.images[:3]]
    found = [preprocess(np.rot90(photo, turns)).finding for photo in photos]
    assert found == 3 * ["cut off"]


@pytest.mark.parametrize("file", ["scan.png", "scan.jpg"])
@pytest.mark.parametrize("factor", [1, 4])
def test_a_scan_that_cuts_a_digit_is_a_photograph_at_any_resolution(
    file, factor, tmp_path
):
    # The search reduces a large image: without noise, its border would be uniform.
    side = 400 * factor
    image = Image.new("L", (side, side), 230)
    places = factor * np.array([(250, 300), (250, -60), (120, 200), (300, 200)])
    draw = ImageDraw.Draw(image)
    draw.line([*map(tuple, places)], fill=60, width=14 * factor, joint="curve")
    levels = photographed(np.asarray(image), np.random.default_rng(1), noise=2)
    Image.fromarray(levels).save(tmp_path / file, quality=90)
    assert preprocess(read_image(tmp_path / file)).finding == "cut off"


@pytest.mark.parametrize("turns", range(4))
def test_strokes_far_along_a_border_from_a_corner_are_an_edge_and_others_are_cut_off(
    turns,
):
    for columns, expected in (
        (slice(0, 101), "paper edge"),
        (slice(299, 400), "paper edge"),
        (slice(0, 100), "cut off"),
        (slice(1, 300), "cut off"),
    ):
        mask = np.zeros(SHAPE, bool)
        mask[:30, columns] = True
        mask = np.rot90(mask, turns)
        strokes = Strokes(np.zeros(mask.shape, np.float32), mask, mask)
        found = finding_of_photo(strokes, flat=~mask, has_uniform_border=False)
        assert found == expected


@pytest.mark.parametrize(("width", "finding"), [(110, "paper edge"), (30, "cut off")])
def test_the_reasons_shadow_border_and_several_objects_are_checked_in_this_order(
    width, finding
):
    shapes, at_border = np.zeros((2, *SHAPE), bool)
    for left in range(10, 370, 45):  # eight squares
        shapes[100:130, left : left + 30] = True
    at_border[:30, :width] = True
    everything = shapes | at_border
    for digit, flat, expected in (
        (shapes, ~everything, "several objects"),
        (everything, ~everything, finding),
        (everything, shapes, "shadow"),
    ):
        strokes = Strokes(np.zeros(SHAPE, np.float32), digit, digit)
        found = finding_of_photo(strokes, flat=flat, has_uniform_border=False)
        assert found == expected


def test_several_digits_are_the_reason_before_shapes_that_no_pen_can_draw():
    square = np.ones((40, 40), bool)  # too thick for a stroke
    gap = np.zeros((40, 10), bool)
    for mask, finding in (
        (square, "unusual"),
        (np.hstack([square, gap, square]), "several objects"),
    ):
        assert finding_of(mask, np.ones((80, 80), bool)) == finding
