"""Arrays in, pictures out: the only module that knows Matplotlib.

Pictures that are drawn every epoch are made with NumPy and Pillow alone, in a few
milliseconds; Matplotlib would take longer than the training between them.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 28  # pixels of a picture
SHOWN = 100  # templates that one picture shows at most
TICKS = 10  # settings of a sweep that are all named on its axis
INK, PAPER, GRID = (32, 33, 36), (255, 255, 255), (218, 220, 224)
BLUE, ORANGE = (0, 90, 181), (220, 50, 32)  # told apart by the colour-blind too
TRAIN, VAL = "#005ab5", "#dc3220"


def templates(
    weights: Float[np.ndarray, "hidden 784"],
    tensors: Mapping[str, Float[np.ndarray, "..."]],
    *,
    title: str,
) -> Image.Image:
    """Draw what each neuron of layer_1 looks for, and how all weights are spread.

    Args:
        weights: The weights of layer_1, a row a neuron; a row is drawn as a picture in
            which blue pixels speak for the neuron, red ones against it, white is 0.
        tensors: Those whose histograms stand beside the templates, by name.
        title: The line above.

    Returns:
        The picture; of more than 100 neurons it shows the first 100.
    """
    shown = weights[:SHOWN]
    scale = float(np.quantile(np.abs(shown), 0.99)) or 1.0  # the rest is drawn full
    colours = signed(shown, scale=scale)
    captions = [f"N1{number}" for number in range(1, len(shown) + 1)]
    columns = 5 if len(shown) <= 20 else 10
    grid = _grid(colours, captions, columns=columns, enlarged=3)
    plots = [_histogram(name, values) for name, values in tensors.items()]
    plot_height = max(100, grid.height // len(plots))
    height = max(grid.height, plot_height * len(plots))
    picture = Image.new("RGB", (grid.width + 316, height + 54), PAPER)
    draw = ImageDraw.Draw(picture)
    more = f", the first {SHOWN} of {len(weights)}" if len(weights) > SHOWN else ""
    draw.text((12, 8), title, INK, _font(16))
    draw.text(
        (12, 30),
        f"weights of layer_1 as 28x28 pictures{more}: red -{scale:.2f} and below, "
        f"white 0, blue +{scale:.2f} and above",
        INK,
        _font(12),
    )
    picture.paste(grid, (8, 50))
    for row, plot in enumerate(plots):
        picture.paste(plot, (grid.width + 16, 50 + row * plot_height))
    return picture


def signed(
    values: Float[np.ndarray, "n 784"],
    *,
    scale: float,
    unlearned: Bool[np.ndarray, "784"] | None = None,
) -> UInt8[np.ndarray, "n 28 28 3"]:
    """Colour numbers: blue above 0, red below, white 0, full at the scale.

    What was never learned is grey.
    """
    strength = np.clip(values / (scale or 1.0), -1, 1).reshape(-1, SIDE, SIDE, 1)
    white, blue, orange = (np.array(c, np.float32) for c in (PAPER, BLUE, ORANGE))
    colours = np.where(
        strength >= 0,
        white + strength * (blue - white),
        white - strength * (orange - white),
    )
    if unlearned is not None:
        colours[:, unlearned.reshape(SIDE, SIDE)] = GRID
    return colours.astype(np.uint8)


def class_means(
    images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, " n"]
) -> Image.Image:
    """Draw the mean picture of each class, with its number of pictures."""
    classes = np.unique(labels)
    means = [images[labels == label].mean(axis=0) for label in classes]
    captions = [f"{label}: {np.sum(labels == label):,}" for label in classes]
    return _grid(np.stack(means).astype(np.uint8), captions, columns=5, enlarged=4)


def contact_sheet(
    images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, " n"]
) -> Image.Image:
    """Draw the first 20 pictures of each class, a row a class."""
    rows = [np.flatnonzero(labels == label)[:20] for label in np.unique(labels)]
    sheet = np.zeros((len(rows), 20, SIDE, SIDE), np.uint8)
    for place, found in zip(sheet, rows, strict=True):
        place[: len(found)] = images[found]
    whole = sheet.swapaxes(1, 2).reshape(len(rows) * SIDE, 20 * SIDE)
    return Image.fromarray(whole).resize(
        (whole.shape[1] * 2, whole.shape[0] * 2), Image.Resampling.NEAREST
    )


def learning_curves(history: Sequence[Mapping[str, float]]) -> Image.Image:
    """Draw loss and accuracy over the epochs from 1, training beside validation."""
    figure = _figure(9.0, 3.6)
    epochs = range(1, len(history) + 1)
    for axes, quantity, unit in zip(
        figure.subplots(1, 2),
        ("loss", "accuracy"),
        ("nats", "share right"),
        strict=True,
    ):
        for part, colour in (("train", TRAIN), ("val", VAL)):
            values = [row[f"{part}/{quantity}"] for row in history]
            axes.plot(
                epochs, values, ".-", color=colour, label=f"{part} {values[-1]:.4f}"
            )
        axes.set(xlabel="epoch", ylabel=unit, title=quantity)
        axes.xaxis.get_major_locator().set_params(integer=True)
        _plain(axes)
        axes.legend(frameon=False)
    return _drawn(figure)


def scores(
    counts: Int[np.ndarray, "n n"], bins: Float[np.ndarray, "bins 3"], *, title: str
) -> Image.Image:
    """Draw what was answered to what, and how much its confidence is worth.

    Args:
        counts: The pictures of each label (row) that got each answer (column).
        bins: Of pictures with about the same confidence: how many there are, the mean
            of their confidence, and the share of them that is right.
        title: What was scored, and how well.
    """
    figure = _figure(12.4, 6.2)
    left, right = figure.subplots(1, 2)
    figure.suptitle(title, fontsize=12)
    _confusion(left, counts)
    _reliability(right, bins)
    return _drawn(figure)


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures of the same width below one another."""
    height = sum(picture.height for picture in pictures)
    whole = Image.new("RGB", (pictures[0].width, height), PAPER)
    for number, picture in enumerate(pictures):
        above = sum(earlier.height for earlier in pictures[:number])
        whole.paste(picture, (0, above))
    return whole


def _confusion(axes: "Axes", counts: Int[np.ndarray, "n n"]) -> None:
    """Draw a confusion matrix.

    The colour follows the mistakes alone, so that 30 of them stand out beside the
    thousand right answers on the diagonal, which are grey.
    """
    right = np.eye(len(counts), dtype=bool)
    mistakes = np.where(right, 0, counts)
    most = max(int(mistakes.max()), 1)
    axes.imshow(mistakes, cmap="Oranges", vmax=most)
    axes.imshow(np.where(right, 0.1, np.nan), cmap="Greys", vmin=0, vmax=1)
    for (label, answer), count in np.ndenumerate(counts):
        if count:
            colour = "white" if mistakes[label, answer] > 0.6 * most else "black"
            drawn = axes.text(answer, label, f"{count:,}", color=colour, fontsize=9)
            drawn.set(ha="center", va="center")
    classes = range(len(counts))
    axes.set(xticks=classes, yticks=classes, xlabel="answer", ylabel="label")
    axes.set_title("how often each label got each answer", fontsize=11)
    axes.spines[:].set_visible(False)


def _reliability(axes: "Axes", bins: Float[np.ndarray, "bins 3"]) -> None:
    """Draw accuracy against confidence: on the diagonal a network knows what it knows.

    The area of a dot follows the number of its pictures.
    """
    counts, confidence, accuracy = bins.T
    axes.plot([0, 1], [0, 1], "--", color="#9aa0a6", label="as sure as it is right")
    sizes = 20 + 600 * counts / counts.max()
    axes.scatter(confidence, accuracy, sizes, color=TRAIN, alpha=0.7)
    for count, x, y in bins:
        axes.annotate(
            f"{count:,.0f}",
            (x, y),
            xytext=(0, -16),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set(xlabel="mean confidence", ylabel="share right", xlim=(0, 1.05))
    axes.set_ylim(-0.05, 1.08)
    axes.set_title("how much its confidence is worth", fontsize=11)
    axes.legend(frameon=False, loc="upper left")
    _plain(axes)


@dataclass(frozen=True)
class Row:
    """Pictures that belong together, such as the steps of a preparation."""

    pictures: Mapping[str, UInt8[np.ndarray, "height width *rgb"]]  # by their captions
    told: Sequence[str]  # lines beside them


def rows(shown: Sequence[Row], *, side: int = 112, text: int = 260) -> Image.Image:
    """Draw rows one below the other, each with its pictures from left to right.

    Args:
        shown: The rows.
        side: Of a picture, in pixels.
        text: Width of the lines beside them.
    """
    gap = 12
    columns = max(len(one.pictures) for one in shown)
    width = columns * (side + gap) + gap + text
    sheet = Image.new("RGB", (width, len(shown) * (side + 34) + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, one in enumerate(shown):
        y = row * (side + 34) + gap
        for column, (caption, levels) in enumerate(one.pictures.items()):
            x = column * (side + gap) + gap
            picture = Image.fromarray(levels)
            factor = side / max(picture.size)
            size = [max(1, round(length * factor)) for length in picture.size]
            how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
            place = (x + (side - size[0]) // 2, y + (side - size[1]) // 2)
            draw.rectangle((x - 1, y - 1, x + side, y + side), GRID, GRID)
            sheet.paste(picture.resize((size[0], size[1]), how), place)
            draw.text((x, y + side + 3), caption, INK, _font(12))
        for number, line in enumerate(one.told):
            draw.text((width - text, y + 18 * number), line, INK, _font(13))
    return sheet


def responses(
    means: Float[np.ndarray, "n 10"],
    costs: Float[np.ndarray, "n 11"],
    names: Sequence[str],
) -> Image.Image:
    """Draw what each neuron says to each digit, beside what switching it off costs.

    Args:
        means: The mean of what a neuron (row) says to each digit.
        costs: The accuracy lost without it, in all and for each digit.
        names: Of the neurons.
    """
    figure = _figure(13.2, 1.5 + 0.3 * len(names))
    left, right = figure.subplots(1, 2, width_ratios=[10, 11])
    digits = [str(digit) for digit in range(means.shape[1])]
    lost = "what switching it off costs, in % of the pictures (below 0: a gain)"
    fine = ".1f" if costs[:, 0].max() >= 0.01 else ".2f"
    for axes, values, columns, colours, title, form in (
        (left, means, digits, "Blues", "what each neuron says to each digit", ".1f"),
        (right, 100 * costs, ["all", *digits], "Oranges", lost, fine),
    ):
        most = float(values.max()) or 1.0
        axes.imshow(values, cmap=colours, vmin=0, vmax=most, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > 0.6 * most else "black"
            drawn = axes.text(
                column, row, f"{value:{form}}", color=colour, fontsize=8.5
            )
            drawn.set(ha="center", va="center")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("digit")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    right.axvline(0.5, color="white", linewidth=4)
    return _drawn(figure)


def lit(shares: Float[np.ndarray, "784"]) -> Image.Image:
    """Draw in which share of the pictures each pixel is lit, and which never is."""
    figure = _figure(6.4, 5.6)
    axes = figure.subplots()
    drawn = axes.imshow(shares.reshape(SIDE, SIDE), cmap="Blues", vmin=0)
    row, column = np.nonzero(shares.reshape(SIDE, SIDE) == 0)
    label = f"never lit: {len(row)} of {len(shares)}, so nothing is learned here"
    axes.scatter(column, row, 22, VAL, marker="x", linewidths=1.2, label=label)
    figure.colorbar(drawn, shrink=0.8, format="{x:.0%}", label="of the pictures")
    axes.set_title("how often each pixel is lit in training", fontsize=11)
    axes.set(xlabel="column", ylabel="row", xticks=range(0, SIDE, 4))
    axes.set_yticks(range(0, SIDE, 4))
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return _drawn(figure)


def lines(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    fitted: Mapping[str, tuple[float, float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> Image.Image:
    """Draw points, and lines y = m * x + c through them, each with its m and c."""
    figure = _figure(7.2, 4.6)
    axes = figure.subplots()
    axes.plot(x, y, ".", color="#9aa0a6", markersize=4, alpha=0.6)
    styles = (":", "-.", "--", "-")
    for place, (name, (m, c)) in enumerate(fitted.items()):
        last = place == len(fitted) - 1
        axes.plot(
            *([0, 1], [c, m + c], styles[min(place, 3)]),
            color=TRAIN if last else VAL,
            linewidth=3 if last else 1.4,
            zorder=2 if last else 3,  # else it hides those that nearly are the same
            label=f"{name}: y = {m:.2f}·x {c:+.2f}",
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    _plain(axes)
    return _drawn(figure)


@dataclass(frozen=True)
class Point:
    """A setting in a sweep's picture."""

    x: float
    accuracies: Sequence[float]  # in [0, 1], one for each seed
    caption: str


def sweep(
    lines: Mapping[str, Sequence[Point]], *, xlabel: str, title: str
) -> Image.Image:
    """Draw validation accuracy against what a sweep varies, a line for each name.

    Without an xlabel the settings have no order, and no line is drawn.

    Every training is a dot; the line goes through the means, and its bars are one
    standard deviation over the seeds up and down.
    """
    figure = _figure(7.2, 4.4)
    axes = figure.subplots()
    ticks = sorted({point.x for points in lines.values() for point in points})
    many = len(ticks) > TICKS
    captioned: set[float] = set()
    for name, unordered in lines.items():
        points = sorted(unordered, key=lambda point: point.x)
        x = [point.x for point in points]
        means = [float(np.mean(p.accuracies)) for p in points]
        stds = [np.std(p.accuracies, ddof=len(p.accuracies) > 1) for p in points]
        drawn = axes.errorbar(
            x, means, stds, fmt="_-" if xlabel else "_", capsize=5, label=name
        )
        named = {points[0].x, points[-1].x, x[int(np.argmax(means))]} if many else {*x}
        for point, height in zip(points, means, strict=True):
            every = [point.x] * len(point.accuracies)
            axes.plot(every, point.accuracies, ".", color=drawn[0].get_color())
            axes.annotate(
                point.caption if point.x in named - captioned else "",
                (point.x, height),
                xytext=(8, -12),
                textcoords="offset points",
                fontsize=9,
            )
            captioned.add(point.x)
    if ticks[0] > 0 and ticks[-1] >= 10 * ticks[0]:
        axes.set_xscale("log")
        xlabel += ", on a logarithmic scale"
    if len(lines) > 1:
        axes.legend(frameon=False)
    if many and xlabel:  # Matplotlib finds places for them
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.tick_params(which="minor", labelbottom=False)
    else:
        axes.set_xticks([], minor=True)
        axes.set_xticks(ticks, [f"{x:,g}" if xlabel else "" for x in ticks])
    axes.set(xlabel=xlabel, ylabel="validation accuracy")
    axes.set_title(textwrap.fill(title, 80), fontsize=11, pad=22)
    told = (
        "a dot: a training; line and bars: mean and standard deviation over the seeds"
    )
    axes.text(0, 1.02, told, transform=axes.transAxes, fontsize=8.5, color="#5f6368")
    axes.margins(0.12)
    axes.yaxis.set_major_formatter("{x:.1%}")
    _plain(axes)
    return _drawn(figure)


def _figure(width: float, height: float) -> "Figure":
    """Begin a figure of this size, in inches of 110 pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _drawn(figure: "Figure") -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _plain(axes: "Axes") -> None:
    """Leave only what helps to read a value."""
    axes.grid(color="#dadce0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _grid(
    pictures: UInt8[np.ndarray, "n 28 28 *rgb"],
    captions: Sequence[str],
    *,
    columns: int,
    enlarged: int,
) -> Image.Image:
    """Lay out enlarged pictures in rows, a caption under each."""
    step_x, step_y = SIDE * enlarged + 8, SIDE * enlarged + 22
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    grid = Image.new("RGB", (columns * step_x, rows * step_y), PAPER)
    draw = ImageDraw.Draw(grid)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = (number % columns) * step_x + 4, (number // columns) * step_y + 4
        large = picture.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
        grid.paste(Image.fromarray(large), (x, y))
        draw.rectangle(
            (x - 1, y - 1, x + large.shape[1], y + large.shape[0]), None, GRID
        )
        draw.text((x, y + large.shape[0] + 1), caption, INK, _font(12))
    return grid


def _histogram(name: str, values: Float[np.ndarray, "..."]) -> Image.Image:
    """Draw how the values of a tensor are spread, 0 in the middle."""
    reach = float(np.abs(values).max()) or 1.0
    counts, _ = np.histogram(values, bins=60, range=(-reach, reach))
    picture = Image.new("RGB", (300, 100), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((0, 0), f"{name}  ({values.size:,})", INK, _font(12))
    draw.line((0, 82, 300, 82), GRID)
    draw.line((150, 18, 150, 85), GRID)
    for column, height in enumerate(np.round(60 * counts / counts.max())):
        if height:
            colour = ORANGE if column < 30 else BLUE
            box = (column * 5, 82 - int(height), column * 5 + 3, 82)
            draw.rectangle(box, colour)
    draw.text((0, 84), f"-{reach:.2f}", INK, _font(11))
    draw.text((147, 84), "0", INK, _font(11))
    draw.text((266, 84), f"+{reach:.2f}", INK, _font(11))
    return picture


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
