"""Evaluation: labelled test sets, single images, and the scores of a network."""

from pipeline.evaluation.inputs import InputImage, Inputs, read_input, read_inputs
from pipeline.evaluation.results import EvaluationResult
from pipeline.evaluation.test_sets import TestSet

__all__ = [
    "EvaluationResult",
    "InputImage",
    "Inputs",
    "TestSet",
    "read_input",
    "read_inputs",
]
