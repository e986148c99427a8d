"""The plots of the export stage: rounded weights, and images whose prediction changes.

`rows` arranges the images.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from PIL import Image

from pipeline.base.text import counted, neuron_name
from pipeline.plots.common import (
    MAX_DRAWN_NEURONS,
    diverging_colors,
    meaning_of_gray,
    weight_legend,
    weight_scale,
)
from pipeline.plots.rows import ImageRow, image_rows

NEURONS_PER_ROW = 10
IMAGES_PER_ROW, MAX_ROWS_PER_CHANGE = 6, 2  # for each kind of change


def rounded_weights(
    weights: Float[np.ndarray, "hidden 784"],
    rounded: Float[np.ndarray, "hidden 784"],
    *,
    always_zero: Bool[np.ndarray, "784"],
    bit_width_text: str,
    largest: int,
    finetuned: bool,
) -> Image.Image:
    """Draw the weights of each neuron above the weights that the integers represent.

    If no integer can be larger than 1, the integer 1 gets the full color.

    Args:
        weights: The weights of layer 1 after training.
        rounded: The integers, multiplied by the scale of each neuron.
        always_zero: The pixels that are 0 in all training images, drawn in gray.
        bit_width_text: The bit width of the integers in words, such as "8 bits".
        largest: The largest integer with this bit width.
        finetuned: Whether fine-tuning changed the weights before they were rounded.
    """
    count = min(len(weights), MAX_DRAWN_NEURONS)
    scale = weight_scale(weights[:count])
    size = np.sqrt((weights**2).mean(axis=1))
    change = np.sqrt(((weights - rounded) ** 2).mean(axis=1)) / np.maximum(size, 1e-30)
    heading, colored = bit_width_text, rounded
    if largest == 1:
        heading += " (full color: the integers -1 and 1)"
        peaks = np.abs(rounded).max(axis=1, keepdims=True)
        colored = scale * rounded / np.maximum(peaks, 1e-30)
    heading += ", and the relative RMS difference from floating point"
    if finetuned:
        heading += " before fine-tuning, which adapted the weights"
    rows = []
    for start in range(0, count, NEURONS_PER_ROW):
        part = slice(start, min(start + NEURONS_PER_ROW, count))
        names = [neuron_name(1, j) for j in range(count)[part]]
        captions = [
            f"{name}: {e:.1%}" for name, e in zip(names, change[part], strict=True)
        ]
        for texts, values, title in (
            (names, weights[part], "floating point"),
            (captions, colored[part], heading),
        ):
            colors = diverging_colors(values, scale=scale, masked=always_zero)
            rows.append(ImageRow([*zip(texts, colors, strict=True)], title))
    total = len(weights)
    first = f" (first {count} of {total:,} neurons)" if count < total else ""
    return image_rows(
        rows,
        title=f"Weights of layer 1: floating point and {bit_width_text}{first}",
        columns=min(count, NEURONS_PER_ROW),
        legend=weight_legend(scale, gray_means=meaning_of_gray(always_zero)),
    )


def changed_predictions(
    images: UInt8[np.ndarray, "n 28 28"],
    labels: Integer[np.ndarray, " n"],
    before: Integer[np.ndarray, " n"],
    after: Integer[np.ndarray, " n"],
    *,
    class_names: Sequence[str],
    bit_width_text: str,
) -> Image.Image:
    """Draw the images whose prediction differs after quantization.

    `before` and `after` are the floating-point and the integer predictions.
    `bit_width_text` is the bit width of the integers in words, such as "8 bits".
    """
    changed = before != after
    kinds = {
        f"correct in floating point, wrong with {bit_width_text}": before == labels,
        f"wrong in floating point, correct with {bit_width_text}": after == labels,
        "wrong in both, as different classes": (before != labels) & (after != labels),
    }
    rows = []
    for kind, mask in kinds.items():
        indices = np.flatnonzero(changed & mask)
        shown = indices[: IMAGES_PER_ROW * MAX_ROWS_PER_CHANGE]
        some = f"the first {len(shown)} of " if len(shown) < len(indices) else ""
        title = f"{kind}: {some}{counted(len(indices), 'image')}"
        for start in range(0, len(shown), IMAGES_PER_ROW):
            cells = [
                (
                    f"image {i}\nlabel: {class_names[labels[i]]}\n"
                    f"float: {class_names[before[i]]}\n"
                    f"{bit_width_text}: {class_names[after[i]]}",
                    images[i],
                )
                for i in shown[start : start + IMAGES_PER_ROW]
            ]
            rows.append(ImageRow(cells, title if start == 0 else ""))
    count = int(changed.sum())
    all_images = counted(len(images), "image")
    title = f"the prediction for {count:,} of {all_images} changes"
    if not count:
        title = f"no prediction for the {all_images} changes"
    title = f"With {bit_width_text}, {title}"
    return image_rows(rows, title=title, columns=IMAGES_PER_ROW, side=112)
