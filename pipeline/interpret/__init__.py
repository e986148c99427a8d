"""Inside a network: neurons, worksheets, alignment, analysis and the report page."""

from pipeline.interpret.alignment import NetworkComparison
from pipeline.interpret.analysis import ModelAnalysis

__all__ = ["ModelAnalysis", "NetworkComparison"]
