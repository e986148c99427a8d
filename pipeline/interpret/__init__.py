"""What happens inside a network: its neurons, their sums, and comparisons of networks.

The modules compute, format and draw; `report` renders the interactive page.
"""

from pipeline.interpret.alignment import NetworkComparison
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.analysis_files import write_analysis
from pipeline.interpret.comparison import describe_comparison, write_comparison
from pipeline.interpret.measurements import frozen_weights
from pipeline.interpret.names import (
    ParameterLocation,
    find_neurons,
    parse_neurons,
    parse_parameter,
)
from pipeline.interpret.pre_activation import (
    IntegerSum,
    PreActivation,
    Shift,
    pre_activations,
)
from pipeline.interpret.terms import term_images, write_terms
from pipeline.interpret.tutorial import render_tutorial
from pipeline.interpret.weight_history import describe_history, describe_pixel
from pipeline.interpret.worksheet import worksheets
