"""The files of `inspect neuron=`: all terms of sums, as a table and as images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from pipeline import plots
from pipeline.base import csv_files
from pipeline.core import SIDE, WHITE
from pipeline.interpret.neuron_sum import NeuronSum
from pipeline.interpret.rounding import rounded
from pipeline.plots import ImageRow, color_scale, diverging_colors


def write_terms(
    sums: Sequence[NeuronSum],
    always_zero: Bool[np.ndarray, "784"],
    folder: Path,
) -> None:
    """Write all terms of sums to terms.csv, and the terms of layer 1 to terms.png.

    Weights of pixels that are 0 in all training images (`always_zero`) are frozen and
    therefore gray.
    """
    rows = [row for neuron in sums for row in term_rows(neuron)]
    csv_files.write_csv(folder / "terms.csv", rows)
    hidden = [neuron for neuron in sums if neuron.layer == 1]
    if hidden:
        drawn = hidden[: plots.MAX_DRAWN_NEURONS]
        images = [term_images(each, always_zero) for each in drawn]
        gray_means = plots.meaning_of_gray(always_zero)
        plots.image_rows(
            images,
            title="The weights of a neuron, the pixels, and their products",
            side=8 * SIDE,
            legend=color_scale("negative", "positive", gray_means=gray_means),
        ).save(folder / "terms.png")


def term_rows(neuron: NeuronSum) -> list[dict[str, Any]]:
    """Return all terms, with the bias as a term with input 1.

    Values are exact, except the real numbers that integers represent: their unit has
    eight digits.
    """
    names = [*neuron.input_names, "bias"]
    rows = []
    weights = [*neuron.weights.tolist(), neuron.bias]
    inputs = [*neuron.inputs.tolist(), 1.0]
    for name, weight, value in zip(names, weights, inputs, strict=True):
        row = {"neuron": neuron.name, "input": name, "weight": weight, "value": value}
        rows.append(row | {"product": weight * value})
    if integers := neuron.in_integers:
        weights = [*integers.weights.tolist(), integers.bias]
        inputs = [*integers.inputs.tolist(), 1]
        unit = float(integers.unit)
        for row, q, x in zip(rows, weights, inputs, strict=True):
            row |= {"integer_weight": q, "integer_value": x, "integer_product": q * x}
            row["represents"] = q * x * unit
    return rows


def term_images(neuron: NeuronSum, always_zero: Bool[np.ndarray, "784"]) -> ImageRow:
    """Return the weights, pixels and products of a neuron of layer 1.

    Products are never gray, because a pixel that is 0 in all training images can be
    above 0 in other images.
    """
    weights, terms = neuron.weights, neuron.terms
    levels = np.round(neuron.inputs * WHITE).astype(np.uint8)
    scales = [float(np.abs(values).max()) for values in (weights, terms)]
    weight_range, product_range = (f"-{scale:.2f} to +{scale:.2f}" for scale in scales)
    weight_colors = diverging_colors(weights, scale=scales[0], masked=always_zero)
    images = [
        (f"weights, {weight_range}", weight_colors),
        ("x pixels, 0 (black) to 1 (white)", levels.reshape(SIDE, SIDE)),
        (f"= products, {product_range}", diverging_colors(terms, scale=scales[1])),
    ]
    y, c, relu = map(rounded, (neuron.total, neuron.bias, neuron.relu))
    title = (
        f"{neuron.name}: sum of the products {y - c:+}, bias C {c:+}, sum y {y:+}, "
        f"after ReLU {f'{relu:+}' if relu else 0}"
    )
    return ImageRow(images, title)
