"""The inside of a network: its neurons, their sums, and comparisons of networks.

`inspect` is the command. These modules compute, print and write its results:

result    computed by                    printed by           written by
network   `analysis`, `measurements`     `tutorial`           `analysis_files`, `page`
neuron=   `neuron_sum`, `integer_sum`    `worksheet`,         `worksheet_files`
                                         `integer_worksheet`
weight=   `weight_history`, `names`      `weight_history`     `weight_history`
against=  `alignment`                    `comparison`         `comparison`

`rounding` rounds what is displayed, and `templates` fills in the text files next to
these modules.
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
from pipeline.interpret.neuron_sum import NeuronSum, neuron_sums
from pipeline.interpret.tutorial import render_tutorial
from pipeline.interpret.weight_history import (
    describe_pixel,
    describe_weight_history,
    write_weight_history,
)
from pipeline.interpret.worksheet import worksheets
from pipeline.interpret.worksheet_files import term_images, write_terms
