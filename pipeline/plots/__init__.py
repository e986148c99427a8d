"""Arrays in, images out: the only package that uses Matplotlib.

The plots of a stage are in `samples` (data), `weights` (train), `evaluation`,
`inspection` or `export`, and `accuracy` plots the results of sweeps and exports. `rows`
draws images in rows. `common` contains shared code, and `figures` that of Matplotlib
plots. The names exported here need only NumPy and Pillow. Importing Matplotlib takes
0.4 s, so import the plots that need Matplotlib from their modules: `accuracy`,
`evaluation`, `inspection`.
"""

from pipeline.plots.common import (
    MAX_DRAWN_NEURONS,
    color_scale,
    diverging_colors,
    meaning_of_gray,
    weight_legend,
    weight_scale,
)
from pipeline.plots.export import changed_predictions, rounded_weights
from pipeline.plots.rows import (
    Captioned,
    ImageRow,
    align,
    image_grid,
    image_rows,
    stack_images,
)
from pipeline.plots.samples import class_means, sample_images
from pipeline.plots.weights import weight_images
