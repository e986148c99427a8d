"""The report page: one HTML file that shows every parameter of a trained network.

The page computes in the browser and sends no request, so it opens from disk and in the
sandboxed frame in which MLflow shows artifacts. It does not train or change a network.
"""

from pipeline.interpret.report.data import IntegerVersion, WidthData
from pipeline.interpret.report.page import fits, render, render_too_large
