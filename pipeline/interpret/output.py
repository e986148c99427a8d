"""The files that `inspect` writes: JSON, tables as CSV, images as PNG.

`report` renders the interactive page.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from pipeline import files, neuron_name, plots
from pipeline.core import SIDE
from pipeline.interpret.alignment import NetworkComparison
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.worksheet import PreActivation
from pipeline.plots import ImageRow, color_scale, diverging_colors

MAX_IN_IMAGE = 100  # neurons
IMAGES_PER_ROW = 8  # of matched neurons: four pairs


def write_analysis(analysis: ModelAnalysis, folder: Path) -> None:
    """Write the summary, the tables and the plots of an analysis."""
    files.write_json(folder / "summary.json", summary(analysis))
    files.write_csv(folder / "neurons.csv", neuron_rows(analysis), exact=False)
    files.write_csv(folder / "pixels.csv", pixel_rows(analysis))
    _write_plots(analysis, folder)


def summary(analysis: ModelAnalysis) -> dict[str, Any]:
    """Return everything except the tables of neurons and pixels, ready for JSON."""
    return {
        **analysis.counts,
        "dataset": analysis.dataset.name,
        "split": analysis.trained.split,
        "training_images": len(analysis.split.train),
        "accuracy": analysis.accuracy,
        "arrays": analysis.arrays,
    }


def neuron_rows(analysis: ModelAnalysis) -> list[dict[str, Any]]:
    """Return activation rate, means, extreme test images and costs per neuron."""
    rows = []
    for j in range(analysis.hidden):
        most, least = (" ".join(map(str, each)) for each in analysis.extremes(j))
        costs = analysis.costs[j]
        rows.append(
            {"neuron": neuron_name(1, j), "activation_rate": float(analysis.rates[j])}
            | {f"mean_{d}": float(mean) for d, mean in enumerate(analysis.means[j])}
            | {"most": most, "least": least, "cost": float(costs[0])}
            | {f"cost_{d}": float(cost) for d, cost in enumerate(costs[1:])}
        )
    return rows


def pixel_rows(analysis: ModelAnalysis) -> list[dict[str, Any]]:
    """Return how often each pixel is not 0, and its number of frozen weights."""
    frozen = analysis.frozen
    return [
        {"pixel": k, "row": k // SIDE, "column": k % SIDE, "nonzero": int(count)}
        | ({} if frozen is None else {"frozen": int(frozen[k].sum())})
        for k, count in enumerate(analysis.nonzero)
    ]


def _write_plots(analysis: ModelAnalysis, folder: Path) -> None:
    # Matplotlib takes 0.4 s to import, which the worksheet of a neuron saves.
    from pipeline.plots.inspection import neuron_responses, pixel_usage

    displayed = analysis.displayed
    neuron_responses(
        analysis.means[displayed],
        analysis.costs[displayed],
        [neuron_name(1, j) for j in displayed],
        analysis.spec.class_names,
        noun=analysis.spec.noun,
    ).save(folder / "neurons.png")
    _write_extremes(analysis, folder / "exciting.png")
    usage = pixel_usage(analysis.nonzero / len(analysis.split.train))
    usage.save(folder / "pixels.png")


def _write_extremes(analysis: ModelAnalysis, path: Path) -> None:
    """Draw each neuron's weights and the test images with its most extreme sums."""
    kernel = analysis.trained.network.layer_1.get_weights()[0]
    scale = plots.weight_scale(kernel[:, analysis.displayed])
    highest, _ = analysis.extremes(0)  # fewer than four if there are fewer images
    headings = {0: "weights", 1: "test images with the highest sums"}
    plots.image_rows(
        [neuron_images(analysis, j, scale=scale) for j in analysis.displayed],
        title="What the neurons of layer_1 respond to",
        headings=headings | {1 + len(highest): "test images with the lowest sums"},
        legend=plots.weight_legend(scale, gray=plots.gray_pixels(analysis.always_zero)),
    ).save(path)


def neuron_images(analysis: ModelAnalysis, neuron: int, *, scale: float) -> ImageRow:
    """Return a neuron's weights and the test images with its most extreme sums."""
    weights = analysis.trained.network.layer_1.get_weights()[0][:, neuron]
    colors = diverging_colors(weights, scale=scale, gray=analysis.always_zero)
    images, test = [("", colors)], analysis.dataset.test
    for row in chain.from_iterable(analysis.extremes(neuron)):
        name = analysis.spec.title(int(test.labels[row]))
        caption = f"{analysis.sums[row, neuron]:+z.1f} #{row}\n{name}"
        images.append((caption, test.images[row]))
    title = (
        f"{neuron_name(1, neuron)}: active for {analysis.rates[neuron]:.1%} of the "
        f"training images, ablation cost {analysis.costs[neuron, 0]:z.2%}"
    )
    return ImageRow(images, title)


def write_terms(
    pre_activations: Sequence[PreActivation],
    always_zero: Bool[np.ndarray, "784"],
    folder: Path,
) -> None:
    """Write all terms of sums to terms.csv, and those of layer_1 to terms.png.

    Weights of pixels that are 0 in all training images (`always_zero`) are gray.
    """
    rows = [row for p in pre_activations for row in term_rows(p)]
    files.write_csv(folder / "terms.csv", rows)
    hidden = [p for p in pre_activations if p.layer == 1]
    if hidden:
        images = [term_images(p, always_zero) for p in hidden[:MAX_IN_IMAGE]]
        gray = plots.gray_pixels(always_zero)
        plots.image_rows(
            images,
            title="The weights of a neuron, the pixels, and their products",
            side=8 * SIDE,
            legend=color_scale("negative", "positive", frozen=gray),
        ).save(folder / "terms.png")


def term_rows(pre_activation: PreActivation) -> list[dict[str, Any]]:
    """Return all terms of a sum, unrounded, with the bias as a term with input 1."""
    weights = [*pre_activation.weights.tolist(), pre_activation.bias]
    inputs = [*pre_activation.inputs.tolist(), 1.0]
    names = [*pre_activation.input_names, "bias"]
    rows = [
        {"neuron": pre_activation.neuron, "input": name, "weight": weight}
        | {"value": value, "product": weight * value}
        for name, weight, value in zip(names, weights, inputs, strict=True)
    ]
    if integers := pre_activation.integers:
        whole = [*integers.weights.tolist(), integers.bias]
        levels, unit = [*integers.inputs.tolist(), 1], float(integers.unit)
        for row, q, x in zip(rows, whole, levels, strict=True):
            row |= {"integer_weight": q, "integer_value": x, "integer_product": q * x}
            row["stands_for"] = q * x * unit
    return rows


def term_images(
    pre_activation: PreActivation, always_zero: Bool[np.ndarray, "784"]
) -> ImageRow:
    """Return the weights, pixels and products of a neuron of layer_1.

    Products are never gray, because a pixel that is 0 in all training images can be
    above 0 in other images.
    """
    weights, terms = pre_activation.weights, pre_activation.terms
    levels = np.round(pre_activation.inputs * 255).astype(np.uint8)
    scales = [float(np.abs(values).max()) for values in (weights, terms)]
    weight_range, product_range = (f"-{scale:.2f} to +{scale:.2f}" for scale in scales)
    weight_colors = diverging_colors(weights, scale=scales[0], gray=always_zero)
    images = [
        (f"weights, {weight_range}", weight_colors),
        ("x pixels, 0 (black) to 1 (white)", levels.reshape(SIDE, SIDE)),
        (f"= products, {product_range}", diverging_colors(terms, scale=scales[1])),
    ]
    z, bias = pre_activation.z, pre_activation.bias
    title = (
        f"{pre_activation.neuron}: sum of the products {z - bias:+z.4f}, bias C "
        f"{bias:+z.4f}, sum y {z:+z.4f}, after ReLU {pre_activation.relu:+z.4f}"
    )
    return ImageRow(images, title)


def write_comparison(
    comparison: NetworkComparison,
    frozen_pixels: Sequence[Bool[np.ndarray, "784"] | None],
    folder: Path,
) -> None:
    """Write matched neurons as the table matches.csv and as the images matches.png.

    In the images, the frozen weights of A and of B are gray.
    """
    files.write_csv(folder / "matches.csv", comparison_rows(comparison))
    kernels = [n.layer_1.get_weights()[0] for n in (comparison.a, comparison.b)]
    scale = plots.weight_scale(np.hstack(kernels))
    images = comparison_images(comparison, frozen_pixels, scale=scale)
    has_frozen = any(each is not None and each.any() for each in frozen_pixels)
    plots.image_grid(
        images,
        title="Matched neurons of A and B, with the correlation of their outputs",
        columns=IMAGES_PER_ROW,
        legend=plots.weight_legend(scale, gray="frozen weights" * has_frozen),
    ).save(folder / "matches.png")


def comparison_rows(comparison: NetworkComparison) -> list[dict[str, Any]]:
    """Return the partners of each neuron of A; a cell is empty if it has none."""
    rows = []
    for j in range(comparison.a.hidden):
        row: dict[str, Any] = {"neuron": neuron_name(1, j)}
        for method in ("activations", "weights"):
            match = getattr(comparison, f"by_{method}").get(j)
            row[f"by_{method}"] = neuron_name(1, match.b) if match else ""
            row[f"similarity_by_{method}"] = match.similarity if match else ""
        rows.append(row)
    return rows


def comparison_images(
    comparison: NetworkComparison,
    frozen_pixels: Sequence[Bool[np.ndarray, "784"] | None],
    *,
    scale: float,
) -> list[plots.Captioned]:
    """Return the weights of neurons matched by activations, most similar first."""
    kernels = [n.layer_1.get_weights()[0].T for n in (comparison.a, comparison.b)]
    matches = comparison.by_activations
    order = sorted(matches, key=lambda a: -np.nan_to_num(matches[a].similarity))
    images = []
    for a in order[:MAX_IN_IMAGE]:
        b, similarity = matches[a].b, matches[a].similarity_text
        captions = f"A: {neuron_name(1, a)}", f"B: {neuron_name(1, b)}\n{similarity}"
        weights = kernels[0][a], kernels[1][b]
        for caption, w, gray in zip(captions, weights, frozen_pixels, strict=True):
            colors = diverging_colors(w, scale=scale, gray=gray)
            images.append((caption, colors))
    return images
