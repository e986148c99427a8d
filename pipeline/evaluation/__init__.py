"""Evaluation: test sets, and how well a network classifies them."""

from pipeline.evaluation.results import EvaluationResult
from pipeline.evaluation.test_sets import TestSet

__all__ = ["EvaluationResult", "TestSet"]
