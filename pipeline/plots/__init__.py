"""Arrays in, images out: the only package that uses Matplotlib.

There is one module for each kind of plot, and `common` for what they share.
"""

from pipeline.plots.common import (
    colour_scale,
    diverging_colours,
    weight_legend,
    weight_scale,
)
from pipeline.plots.data import class_means, contact_sheet
from pipeline.plots.evaluation import evaluation_scores
from pipeline.plots.export import changed_answers, rounded_weights
from pipeline.plots.inspection import fitted_lines, neuron_responses, pixel_usage
from pipeline.plots.rows import ImageRow, image_grid, image_rows, stack_images
from pipeline.plots.sizes import SizePoint, accuracy_by_size
from pipeline.plots.sweep import SweepPoint, sweep_cloud, sweep_lines
from pipeline.plots.training import learning_curves
from pipeline.plots.weights import weight_images
