"""What happens inside a network: its neurons, their sums, and comparisons of networks.

The modules compute, format and draw; `report` makes the interactive page.
"""

from pipeline.interpret.alignment import NetworkComparison
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.comparison import describe_comparison
from pipeline.interpret.forward import pre_activations
from pipeline.interpret.frozen import describe_pixel, frozen_weights, nonzero_counts
from pipeline.interpret.names import find_neurons, find_parameter
from pipeline.interpret.output import write_analysis, write_comparison, write_terms
from pipeline.interpret.tutorial import render_tutorial
from pipeline.interpret.worksheet import weight_history, worksheets

__all__ = [
    "ModelAnalysis",
    "NetworkComparison",
    "describe_comparison",
    "describe_pixel",
    "find_neurons",
    "find_parameter",
    "frozen_weights",
    "nonzero_counts",
    "pre_activations",
    "render_tutorial",
    "weight_history",
    "worksheets",
    "write_analysis",
    "write_comparison",
    "write_terms",
]
