"""The files that `inspect` writes: JSON, tables as CSV, images as PNG.

`report` renders the interactive page.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from pipeline import PIXELS, SIDE, files, plots
from pipeline.interpret.alignment import NetworkComparison
from pipeline.interpret.analysis import HIGH_CORRELATION, ModelAnalysis
from pipeline.interpret.formatting import percent
from pipeline.interpret.names import class_title, neuron_name
from pipeline.interpret.parameters import parameter_arrays
from pipeline.interpret.worksheet import PreActivation
from pipeline.plots import MAX_TEMPLATES, ImageRow, diverging_colours

EXTREMES = 4  # images with the highest, and with the lowest, sums of a neuron
MAX_POINTS = 1500  # in a scatter plot; more would overlap
IMAGES_PER_ROW = 8  # of matched neurons: four pairs


def write_analysis(analysis: ModelAnalysis, folder: Path) -> None:
    """Write the summary, the tables and the plots of an analysis."""
    files.write_json(folder / "summary.json", summary(analysis))
    neurons = neuron_rows(analysis)
    for row in neurons:
        row |= {key: " ".join(map(str, row[key])) for key in ("most", "least")}
    files.write_csv(folder / "neurons.csv", neurons)
    files.write_csv(folder / "pixels.csv", pixel_rows(analysis))
    columns = ["one", "other", "correlation"]  # a network with one neuron has no row
    files.write_csv(folder / "alike.csv", analysis.pairs, columns)
    _write_plots(analysis, folder)


def counts(analysis: ModelAnalysis) -> dict[str, int]:
    """Return the counts that are logged as metrics of the run."""
    frozen, rates = analysis.frozen, analysis.rates
    never_changed = {} if frozen is None else {"never_changed": frozen.sum()}
    values = {
        "parameters": analysis.trained.network.parameter_count,
        "never_learned": analysis.always_zero.sum() * analysis.hidden,
        **never_changed,
        "never_fire": (rates == 0).sum(),
        "always_fire": (rates == 1).sum(),
        "alike": analysis.high_pairs,
    }
    return {name: int(count) for name, count in values.items()}


def summary(analysis: ModelAnalysis) -> dict[str, Any]:
    """Return everything except the tables of pixels and pairs, ready for JSON."""
    network, probe = analysis.trained.network, analysis.probe
    lines = {
        progress: {"m": line.m, "c": line.c}
        | {"missed": line.rmse, "explained": line.explained}
        for progress, line in probe.lines.items()
    }
    return {
        **counts(analysis),
        "dataset": analysis.dataset.name,
        "split": analysis.trained.split,
        "training_pictures": analysis.train_size,
        "accuracy": analysis.accuracy,
        "arrays": [vars(array) for array in parameter_arrays(network, analysis.spec)],
        "never_lit": np.flatnonzero(analysis.always_zero).tolist(),
        "alike_from": HIGH_CORRELATION,
        "closest": analysis.pairs[0] if analysis.pairs else None,
        "neurons": neuron_rows(analysis),
        "path": {
            "neuron": neuron_name(1, probe.neuron),
            "pixel": probe.pixel,
            "lines": lines,
        },
    }


def neuron_rows(analysis: ModelAnalysis) -> list[dict[str, Any]]:
    """Return activation rate, means, extreme test images and costs per neuron."""
    rows = []
    for j in range(analysis.hidden):
        order, costs = analysis.images_by_sum(j), analysis.costs[j]
        rows.append(
            {"neuron": neuron_name(1, j), "fires": float(analysis.rates[j])}
            | {f"mean_{d}": float(mean) for d, mean in enumerate(analysis.means[j])}
            | {"most": order[:EXTREMES], "least": order[: -EXTREMES - 1 : -1]}
            | {"cost": float(costs[0])}
            | {f"cost_{d}": float(cost) for d, cost in enumerate(costs[1:])}
        )
    return rows


def pixel_rows(analysis: ModelAnalysis) -> list[dict[str, Any]]:
    """Return how often each pixel is not 0, and its number of frozen weights."""
    rows = []
    for k, count in enumerate(analysis.nonzero):
        row = {"pixel": k, "row": k // SIDE, "column": k % SIDE, "lit": int(count)}
        if analysis.frozen is not None:
            row["unchanged"] = int(analysis.frozen[k].sum())
        rows.append(row)
    return rows


def _write_plots(analysis: ModelAnalysis, folder: Path) -> None:
    displayed = analysis.displayed
    plots.neuron_responses(
        analysis.means[displayed],
        analysis.costs[displayed],
        [neuron_name(1, j) for j in displayed],
        analysis.spec.class_names,
        noun=analysis.spec.noun,
    ).save(folder / "neurons.png")
    rows = [neuron_images(analysis, j) for j in displayed]
    plots.image_rows(rows, text=200).save(folder / "exciting.png")
    usage = plots.pixel_usage(analysis.nonzero / analysis.train_size)
    usage.save(folder / "pixels.png")
    probe, points = analysis.probe, slice(MAX_POINTS)
    pixels = analysis.dataset.test.images.reshape(-1, PIXELS)
    row, column = divmod(probe.pixel, SIDE)
    plots.fitted_lines(
        pixels[points, probe.pixel] / 255,
        analysis.sums[points, probe.neuron],
        {progress: (line.m, line.c) for progress, line in probe.lines.items()},
        xlabel=f"x: pixel in row {row}, column {column} (0 is black, 1 is white)",
        ylabel=f"y: sum of neuron {neuron_name(1, probe.neuron)}, before ReLU",
        title=f"one weight explains {probe.best.explained:.0%} of the variance of y",
    ).save(folder / "path.png")


def neuron_images(analysis: ModelAnalysis, neuron: int) -> ImageRow:
    """Return a neuron's weights and the test images with its most extreme sums."""
    weights = analysis.trained.network.layer_1.get_weights()[0].T[[neuron]]
    scale = float(np.quantile(np.abs(weights), 0.99))
    grey = analysis.always_zero
    images = {"weights": diverging_colours(weights, scale=scale, grey=grey)[0]}
    order, sums = analysis.images_by_sum(neuron), analysis.sums[:, neuron]
    extremes = [("high", row) for row in order[:EXTREMES]]
    extremes += [("low", row) for row in order[: -EXTREMES - 1 : -1]]
    test = analysis.dataset.test
    for name, row in extremes:
        title = class_title(analysis.spec, int(test.labels[row]))
        images[f"{name} {sums[row]:+.1f}: #{row}\n{title}"] = test.images[row]
    text = [
        neuron_name(1, neuron),
        f"active for {percent(analysis.rates[neuron])} of the images",
        f"ablation cost: {analysis.costs[neuron, 0]:.2%}",
        f"weights: red -{scale:.2f} or less,",
        f"white 0, blue +{scale:.2f} or more,",
        "grey: the pixel is always 0",
    ]
    return ImageRow(images, text)


def write_terms(
    pre_activations: Sequence[PreActivation],
    always_zero: Bool[np.ndarray, "784"],
    folder: Path,
) -> None:
    """Write all terms of sums as a table, and those of layer_1 as images.

    Args:
        pre_activations: The sums.
        always_zero: The pixels that are 0 in all training images.
        folder: Where terms.csv and terms.png are written.
    """
    rows = [row for p in pre_activations for row in term_rows(p)]
    files.write_csv(folder / "terms.csv", rows)
    hidden = [p for p in pre_activations if p.layer == 1]
    if hidden:
        images = [term_images(p, always_zero) for p in hidden[:MAX_TEMPLATES]]
        plots.image_rows(images, side=224, text=190).save(folder / "terms.png")


def term_rows(pre_activation: PreActivation) -> list[dict[str, Any]]:
    """Return all terms of a sum, unrounded, with the bias as a term with input 1."""
    layer, count = pre_activation.layer, len(pre_activation.weights)
    names = [f"pixel {k}" if layer == 1 else neuron_name(1, k) for k in range(count)]
    weights = [*pre_activation.weights, pre_activation.bias]
    inputs = [*pre_activation.inputs, 1.0]
    return [
        {"neuron": pre_activation.neuron, "input": name, "weight": float(weight)}
        | {"value": float(value), "product": float(weight * value)}
        for name, weight, value in zip([*names, "bias"], weights, inputs, strict=True)
    ]


def term_images(
    pre_activation: PreActivation, always_zero: Bool[np.ndarray, "784"]
) -> ImageRow:
    """Return the weights, pixels and products of a neuron of layer_1.

    Weights of pixels that are 0 in all training images are grey. Their products are
    not, because such a pixel can be above 0 in another image.
    """
    images = []
    for name, values, grey in (
        ("weight", pre_activation.weights, always_zero),
        ("= product", pre_activation.terms, None),
    ):
        scale = float(np.abs(values).max())
        colours = diverging_colours(values[None], scale=scale, grey=grey)[0]
        caption = f"{name}: red -{scale:.2f}, white 0, blue +{scale:.2f}"
        images.append((caption, colours))
    pixels = np.round(pre_activation.inputs * 255).astype(np.uint8)
    images.insert(1, ("x pixel", pixels.reshape(SIDE, SIDE)))
    z, bias = pre_activation.z, pre_activation.bias
    text = [
        f"{pre_activation.neuron}: 784 products",
        f"{z - bias:+.4f} sum of the products",
        f"{bias:+.4f} bias C",
        f"{z:+.4f} sum y",
        f"{pre_activation.relu:+.4f} after ReLU",
        "",
        "grey: the pixel is 0 in all",
        "training images",
    ]
    return ImageRow(dict(images), text)


def write_comparison(
    comparison: NetworkComparison,
    frozen_pixels: Sequence[Bool[np.ndarray, "784"] | None],
    folder: Path,
) -> None:
    """Write matched neurons as the table matches.csv and as the images matches.png.

    Args:
        comparison: The comparison of networks A and B.
        frozen_pixels: For A and B, the pixels whose weights never changed: grey.
        folder: Where the two files are written.
    """
    files.write_csv(folder / "matches.csv", comparison_rows(comparison))
    images = comparison_images(comparison, frozen_pixels)
    plots.image_rows(images, text=0).save(folder / "matches.png")


def comparison_rows(comparison: NetworkComparison) -> list[dict[str, Any]]:
    """Return the partners of each neuron of A; a cell is empty if it has none."""
    rows = []
    for j in range(comparison.a.hidden):
        row: dict[str, Any] = {"neuron": neuron_name(1, j)}
        for method in ("activations", "weights"):
            match = getattr(comparison, f"by_{method}").get(j)
            row[f"by_{method}"] = neuron_name(1, match.b) if match else ""
            row[f"alike_by_{method}"] = match.similarity if match else ""
        rows.append(row)
    return rows


def comparison_images(
    comparison: NetworkComparison,
    frozen_pixels: Sequence[Bool[np.ndarray, "784"] | None],
) -> list[ImageRow]:
    """Return the weights of neurons matched by activations, most similar first."""
    kernels = [n.layer_1.get_weights()[0].T for n in (comparison.a, comparison.b)]
    scale = float(np.quantile(np.abs(np.concatenate(kernels)), 0.99))
    matches = sorted(
        comparison.by_activations.values(),
        key=lambda match: -np.nan_to_num(match.similarity),
    )
    pairs = []
    for match in matches[:MAX_TEMPLATES]:
        b = f"{neuron_name(1, match.b)} {match.similarity_text}"
        captions = f"A  {neuron_name(1, match.a)}", f"B  {b}"
        for caption, kernel, neuron, grey in zip(
            captions, kernels, (match.a, match.b), frozen_pixels, strict=True
        ):
            colours = diverging_colours(kernel[[neuron]], scale=scale, grey=grey)
            pairs.append((caption, colours[0]))
    return [
        ImageRow(dict(pairs[k : k + IMAGES_PER_ROW]), [])
        for k in range(0, len(pairs), IMAGES_PER_ROW)
    ]
