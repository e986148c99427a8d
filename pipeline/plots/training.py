"""The plot of stage train: the learning curves.

It is drawn with Pillow, because importing Matplotlib would take longer than an epoch.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageDraw

from pipeline.plots.common import INK, LINE, MUTED, NEGATIVE, PAPER, POSITIVE, font

WIDTH, HEIGHT = 450, 380  # of a panel, in pixels
LEFT, TOP, RIGHT, BOTTOM = 56, 78, WIDTH - 14, HEIGHT - 48  # of its axes
LEGEND, SPACING = 40, 20  # the first line of the legend, and the distance to the next
TEXT = 13  # height of the text, in pixels
FINE = 4  # the curves are drawn larger by this factor, which smooths their edges
MAX_MARKERS = 60  # epochs with a marker each; more would touch
MAX_TICKS = 6  # on an axis
CURVES = (
    ("train", "training, during the epoch", POSITIVE),
    ("val", "validation, after the epoch", NEGATIVE),
)
Number = float | int
Point = tuple[Number, Number]


def learning_curves(history: Sequence[Mapping[str, float]]) -> Image.Image:
    """Draw loss and accuracy of training and validation over the epochs from 1."""
    image = Image.new("RGB", (2 * WIDTH, HEIGHT), PAPER)
    panels: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
        ("loss", "loss (nats)", ".3f", "{:.4g}".format),
        ("accuracy", "accuracy", ".1%", lambda y: f"{100 * y:.4g}%"),
    )
    for column, (metric, title, form, label) in enumerate(panels):
        curves = {
            f"{name}: {history[-1][f'{part}/{metric}']:{form}}": (
                colour,
                [row[f"{part}/{metric}"] for row in history],
            )
            for part, name, colour in CURVES
        }
        image.paste(_panel(title, curves, label), (column * WIDTH, 0))
    return image


def _panel(
    title: str,
    curves: Mapping[str, tuple[str, Sequence[float]]],
    label: Callable[[float], str],
) -> Image.Image:
    """Draw curves, given by their colors and values, over the epochs."""
    values = [y for _, curve in curves.values() for y in curve]
    epochs = len(values) // len(curves)
    x_range, y_range = _with_margin(1, epochs), _with_margin(min(values), max(values))

    def place(x: Number, y: Number) -> Point:
        across = (x - x_range[0]) / (x_range[1] - x_range[0])
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)

    x_ticks = [x for x in _ticks(*x_range) if x == round(x)]
    y_ticks = _ticks(*y_range)
    image = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), PAPER)
    draw = ImageDraw.Draw(image)
    for x in x_ticks:
        _line(draw, [(place(x, 0)[0], TOP), (place(x, 0)[0], BOTTOM)], LINE, 1)
    for y in y_ticks:
        _line(draw, [(LEFT, place(0, y)[1]), (RIGHT, place(0, y)[1])], LINE, 1)
    _line(draw, [(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)], MUTED, 1)
    for number, (colour, curve) in enumerate(curves.values()):
        points = [place(x, y) for x, y in enumerate(curve, start=1)]
        height = LEGEND + SPACING * number
        key = [(LEFT, height), (LEFT + 15, height), (LEFT + 30, height)]
        markers = points if len(points) <= MAX_MARKERS else points[-1:]
        _line(draw, points, colour, 2)
        _line(draw, key, colour, 2)
        for point in [*markers, key[1]]:
            _marker(draw, point, colour, is_square=number == 1)
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    draw, size = ImageDraw.Draw(image), font(TEXT)
    draw.text((LEFT, 20), title, INK, font(TEXT + 1), anchor="ls")
    for number, name in enumerate(curves):
        draw.text((LEFT + 38, LEGEND + SPACING * number), name, INK, size, "lm")
    for x in x_ticks:
        draw.text((place(x, 0)[0], BOTTOM + 7), f"{x:.0f}", INK, size, "ma")
    for y in y_ticks:
        draw.text((LEFT - 7, place(0, y)[1]), label(y), INK, size, "rm")
    draw.text(((LEFT + RIGHT) / 2, HEIGHT - 8), "epoch", INK, size, "ms")
    return image


def _line(
    draw: ImageDraw.ImageDraw, points: Sequence[Point], colour: str, width: int
) -> None:
    scaled = [(FINE * x, FINE * y) for x, y in points]
    draw.line(scaled, colour, width * FINE, joint="curve")


def _marker(
    draw: ImageDraw.ImageDraw, point: Point, colour: str, *, is_square: bool
) -> None:
    x, y = (FINE * each for each in point)
    box, shape = 3 * FINE, draw.rectangle if is_square else draw.ellipse
    shape((x - box, y - box, x + box, y + box), colour)


def _with_margin(low: Number, high: Number) -> Point:
    """Return a range that is wider by 5% at both ends, and never empty."""
    margin = 0.05 * ((high - low) or abs(high) or 1)
    return low - margin, high + margin


def _ticks(low: Number, high: Number) -> list[float]:
    """Return round numbers, at most `MAX_TICKS`, between two numbers."""
    least = (high - low) / MAX_TICKS
    power = 10.0 ** math.floor(math.log10(least))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= least)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
