"""The text and files of `inspect against=`, which compares two networks.

`alignment` computes the comparison; the sentences are in comparison.txt.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from pipeline import plots
from pipeline.base import csv_files
from pipeline.base.tables import table
from pipeline.base.text import neuron_name
from pipeline.interpret.alignment import NetworkComparison, NeuronMatch
from pipeline.interpret.templates import render_text
from pipeline.plots import diverging_colors

MAX_SHOWN_MATCHES = 100  # matches in the terminal and in matches.png
IMAGES_PER_ROW = 8  # images in a row of matches.png: four pairs

FrozenWeights = Bool[np.ndarray, "784 hidden"]


def describe_comparison(comparison: NetworkComparison) -> str:
    """Return which neurons of two networks match, and how the networks differ."""
    by_activations, by_weights = comparison.by_activations, comparison.by_weights
    matched = sorted({*by_activations, *by_weights})
    matches = [
        [neuron_name(1, j), *_cells(by_activations.get(j)), *_cells(by_weights.get(j))]
        for j in matched[:MAX_SHOWN_MATCHES]
    ]
    columns = ["A", "B by outputs", "correlation", "B by weights", "cosine"]
    differences = comparison.differences()
    rows = [
        [name, f"{largest:.6f}", f"{mean:.6f}"]
        for name, (largest, mean) in differences.items()
    ]
    return render_text(
        "comparison.txt",
        comparison=comparison,
        matches=table(columns, matches, left=[columns[0], columns[1], columns[3]]),
        more=max(0, len(matched) - MAX_SHOWN_MATCHES),
        constant=any(np.isnan(match.similarity) for match in by_activations.values()),
        differences=table(["array", "largest", "mean"], rows, left=["array"]),
        equal=not any(largest for largest, _ in differences.values()),
        moved=sum(a != match.b for a, match in by_weights.items()),
    )


def _cells(match: NeuronMatch | None) -> list[str]:
    return [neuron_name(1, match.b), match.similarity_text] if match else ["none", ""]


def write_comparison(
    comparison: NetworkComparison,
    frozen: Sequence[FrozenWeights | None],
    folder: Path,
) -> None:
    """Write matched neurons as the table matches.csv and as the images matches.png.

    In the images, the frozen weights of A and of B are gray.
    """
    csv_files.write_csv(folder / "matches.csv", comparison_rows(comparison))
    scale = plots.weight_scale(np.hstack(comparison.kernels))
    images = comparison_images(comparison, frozen, scale=scale)
    has_frozen = any(each is not None and each.any() for each in frozen)
    gray_means = "frozen" if has_frozen else ""
    plots.image_grid(
        images,
        title="Matched neurons of A and B, with the correlation of their outputs",
        columns=IMAGES_PER_ROW,
        legend=plots.weight_legend(scale, gray_means=gray_means),
    ).save(folder / "matches.png")


def comparison_rows(comparison: NetworkComparison) -> list[dict[str, Any]]:
    """Return the matches of each neuron of A; without a match, a cell is empty."""
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
    frozen: Sequence[FrozenWeights | None],
    *,
    scale: float,
) -> list[plots.Captioned]:
    """Return the weights of neurons that match by outputs, most similar first."""
    kernels, matches = comparison.kernels, comparison.by_activations
    order = sorted(matches, key=lambda a: -np.nan_to_num(matches[a].similarity))
    images = []
    for a in order[:MAX_SHOWN_MATCHES]:
        b, similarity = matches[a].b, matches[a].similarity_text
        captions = f"A: {neuron_name(1, a)}", f"B: {neuron_name(1, b)}\n{similarity}"
        for caption, j, kernel, mask in zip(
            captions, (a, b), kernels, frozen, strict=True
        ):
            masked = None if mask is None else mask[:, j]
            colors = diverging_colors(kernel[:, j], scale=scale, masked=masked)
            images.append((caption, colors))
    return images
