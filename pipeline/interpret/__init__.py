"""What happens inside a network: its neurons, their sums, and comparisons of networks.

The modules compute, format and draw; `report` renders the interactive page.
"""

from pipeline.interpret.alignment import NetworkComparison
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.measurements import frozen_weights
from pipeline.interpret.names import (
    ParameterLocation,
    find_neurons,
    parse_neurons,
    parse_parameter,
)
from pipeline.interpret.output import (
    term_images,
    write_analysis,
    write_comparison,
    write_terms,
)
from pipeline.interpret.text import (
    describe_comparison,
    describe_pixel,
    render_tutorial,
    weight_history,
)
from pipeline.interpret.worksheet import (
    IntegerSum,
    PreActivation,
    Shift,
    pre_activations,
    worksheets,
)
