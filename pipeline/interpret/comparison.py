"""The text of a comparison of two networks, from the template comparison.txt.

`alignment` computes the comparison.
"""

import numpy as np

from pipeline.interpret.alignment import (
    NetworkComparison,
    NeuronMatch,
    parameter_differences,
)
from pipeline.interpret.template import render
from pipeline.interpret.worksheet import Table

MAX_NEURONS = 100  # in the table; matches.csv has all


def describe_comparison(comparison: NetworkComparison, *, table: Table) -> str:
    """Return which neurons match and by how much the networks differ.

    Args:
        comparison: The comparison of networks A and B.
        table: Formats columns and rows as text: `cli.terminal.table`.
    """
    by_activations, by_weights = comparison.by_activations, comparison.by_weights
    matched = sorted({*by_activations, *by_weights})
    partners = [
        [f"N1{j + 1}", *_cells(by_activations.get(j)), *_cells(by_weights.get(j))]
        for j in matched[:MAX_NEURONS]
    ]
    columns = ["A", "B by activations", "correlation", "B by weights", "cosine"]
    apart = parameter_differences(comparison.a, comparison.b, by_weights.values())
    differences = [
        [name, f"{largest:.6f}", f"{mean:.6f}"]
        for name, (largest, mean) in apart.items()
    ]
    return render(
        "comparison.txt",
        comparison=comparison,
        partners=table(columns, partners, left=[columns[0], columns[1], columns[3]]),
        more=max(0, len(matched) - MAX_NEURONS),
        constant=any(np.isnan(match.similarity) for match in by_activations.values()),
        differences=table(["array", "largest", "mean"], differences, left=["array"]),
        equal=not any(largest for largest, _ in apart.values()),
        moved=sum(match.a != match.b for match in by_weights.values()),
    )


def _cells(match: NeuronMatch | None) -> list[str]:
    return [f"N1{match.b + 1}", match.similarity_text] if match else ["none", ""]
