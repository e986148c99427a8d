"""The bytes of the ink and of the preprocessed image, for drawings of four kinds.

A changed hash means that images of users are preprocessed differently. Look at the new
images, compare `python tests/benchmarks/images.py` before and after, and store the new
hash. The ink is compared in 32 levels, because its last bits depend on the processor.
"""

import hashlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.images import constants, preprocess
from pipeline.images.ink import ink_of_photo
from pipeline.images.scene import Scene

SIDE = 240
Y, X = np.mgrid[:SIDE, :SIDE] / SIDE
FOUR = [(150, 200), (150, 40), (60, 140), (190, 140)]


def strokes(width):
    """Return a 4 drawn with a pen of this many pixels; True is ink."""
    image = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(image).line(FOUR, fill=255, width=width, joint="curve")
    return np.asarray(image) > 0


def thin_pen():
    return np.where(strokes(2), 60.0, 235.0)


def photo_with_a_gradient():
    noise = np.random.default_rng(1).normal(0, 3, (SIDE, SIDE))
    return (220 - 110 * X - 40 * Y**2) * np.where(strokes(9), 0.35, 1) + noise


def ruled_paper():
    tilted = (np.arange(SIDE)[:, None] + 0.03 * np.arange(SIDE)) % 24 < 2
    return 230 * np.where(tilted, 0.75, 1) * np.where(strokes(7), 0.3, 1)


def inverted():
    return 255 - thin_pen()


def sha256(levels):
    return hashlib.sha256(np.ascontiguousarray(levels).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("draw", "ink", "preprocessed"),
    [
        (thin_pen, "ea0d0e2db29cd36c", "4d9379b402cd7210"),
        (photo_with_a_gradient, "031e998f00ac92ba", "b0b814682ed2633c"),
        (ruled_paper, "58999b3e4729e9c7", "d4a56f03f69d9037"),
        (inverted, "ea0d0e2db29cd36c", "4d9379b402cd7210"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_ink_of_a_drawing_has_these_bytes(draw, ink, preprocessed):
    levels = draw().clip(0, 255).round().astype(np.uint8)
    scene, widest = Scene(levels), constants.WINDOWS_PER_SIDE[0]
    found = ink_of_photo(
        scene.whole.dark_on_light(levels),
        is_evenly_lit=scene.has_uniform_border,
        windows_per_side=widest,
    )
    found = (31 * found).round().astype(np.uint8)
    image, finding, _ = preprocess(levels)
    assert finding == ""
    assert (sha256(found), sha256(image)) == (ink, preprocessed)


def seven(lines, tilt=4.5):
    """Return a small 7 near a corner of a page, which can be tilted graph paper."""
    image = Image.new("L", (1600, 1200), 225)
    pen, slope = ImageDraw.Draw(image), np.tan(np.radians(tilt))
    for start in range(-400, 2000, 50) if lines else ():
        pen.line([(0, start), (1600, start + 1600 * slope)], fill=150, width=2)
        pen.line([(start, 0), (start - 1200 * slope, 1200)], fill=150, width=2)
    pen.line([(1432, 1020), (1468, 1020), (1444, 1080)], fill=40, width=7)
    noise = np.random.default_rng(1).normal(0, 3, (1200, 1600))
    return (np.asarray(image) + noise).clip(0, 255).round().astype(np.uint8)


def test_a_small_digit_on_tilted_graph_paper_is_cut_out_where_it_is():
    (graph, finding, _), (blank, _, _) = map(preprocess, map(seven, (True, False)))
    assert finding == ""
    assert np.corrcoef(graph.ravel(), blank.ravel())[0, 1] > 0.97
