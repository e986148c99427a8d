"""The learning curve of the interactive page, as the numbers of two SVG plots.

The x axis starts at 0, epoch 0, and y grows downward; the page moves the cursor.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 166  # the size of the area of the lines
LABEL_HEIGHT = 16  # the height of the labels at the ends of the lines
TITLES = {"loss": "loss (nats)", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Line:
    """The training or the validation values of all epochs."""

    name: str
    points: list[tuple[float, float]]  # x and y of each epoch
    label_y: float


@dataclass(frozen=True)
class CurvePlot:
    """The plot of a metric."""

    title: str
    epochs: int
    width: int  # the width of the area of the lines
    height: int
    ticks: list[tuple[float, str]]  # y and text
    lines: list[Line]


def curve_plots(curves: Mapping[str, Sequence[float]]) -> list[CurvePlot]:
    """Return the plots of loss and accuracy; none if no curve was recorded."""
    return [_plot(curves, name) for name in TITLES if f"val/{name}" in curves]


def _plot(curves: Mapping[str, Sequence[float]], name: str) -> CurvePlot:
    lines = {"training": curves[f"train/{name}"], "validation": curves[f"val/{name}"]}
    values = [value for line in lines.values() for value in line]
    low = min(values)
    high = max(values)
    epochs = len(lines["training"])

    def y(value: float) -> float:
        return round(HEIGHT * (high - value) / ((high - low) or 1), 2)

    ends = {kind: y(line[-1]) for kind, line in lines.items()}
    upper = min(ends, key=ends.__getitem__)
    apart = max(0, LABEL_HEIGHT - abs(ends["training"] - ends["validation"])) / 2
    unit = 100 if name == "accuracy" else 1
    step = _round_step(unit * (high - low))
    decimals = max(0, math.ceil(-math.log10(step) - 1e-9))
    first = math.ceil(unit * low / step - 1e-9)
    ticks = [k * step for k in range(first, first + 6)]
    return CurvePlot(
        title=TITLES[name],
        epochs=epochs,
        width=WIDTH,
        height=HEIGHT,
        ticks=[
            (y(tick / unit), f"{tick:.{decimals}f}{'%' if unit == 100 else ''}")
            for tick in ticks
            if tick <= unit * high + 1e-9 * step
        ],
        lines=[
            Line(
                name=kind,
                points=[
                    (round(WIDTH * (i + 1) / epochs, 2), y(value))
                    for i, value in enumerate(line)
                ],
                label_y=ends[kind] + (-apart if kind == upper else apart),
            )
            for kind, line in lines.items()
        ],
    )


def _round_step(size: float) -> float:
    """Return the smallest step 1, 2 or 5 times 10^n for at most five parts."""
    unit = 10.0 ** math.floor(math.log10(size / 5 or 1))
    return next(unit * k for k in (1, 2, 5, 10) if size / (unit * k) <= 5 + 1e-9)
