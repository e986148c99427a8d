"""Arrays in, images out: the only package that uses Matplotlib.

There is one module for each stage, and `common` for what they share.
"""

from pipeline.plots.common import (
    ImageRow,
    diverging_colours,
    image_grid,
    image_rows,
    stack_images,
)
from pipeline.plots.data import class_means, contact_sheet
from pipeline.plots.evaluation import evaluation_scores
from pipeline.plots.inspection import fitted_lines, neuron_responses, pixel_usage
from pipeline.plots.sweep import SweepPoint, sweep_accuracy
from pipeline.plots.training import MAX_TEMPLATES, learning_curves, templates
