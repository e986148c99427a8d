"""Digits like pen drawings and photographs, for the tests and the image benchmark.

Digits are redrawn from MNIST's digits or drawn from strokes, with a random generator.
"""

import io

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from pipeline.images.digit import bounding_box


def gray(values):
    return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))


def stretched(image):
    """Cut out a digit and stretch it to fill a small square, as in USPS."""
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
    grain = ndimage.gaussian_filter(rng.normal(0, 1, paper.shape), (1, 8))  # wood grain
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


def graph_paper(digit, rng):
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
KINDS += (shadow, graph_paper, chalk, paper_edges, faint_pencil)


def ring(x, y, width, height):
    """Return points of an ellipse around a point."""
    turns = np.linspace(0, 2 * np.pi, 25)
    return [*zip(x + width * np.cos(turns), y + height * np.sin(turns), strict=True)]


# Strokes of shapes that are rare in MNIST, as points with coordinates in [0, 1].
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
    """Return images of unusual shapes, `number` of each, and their labels."""
    forms = [form for form in UNUSUAL_FORMS.values() for _ in range(number)]
    return [drawn(strokes, rng) for _, strokes in forms], [label for label, _ in forms]
