"""Evaluation: labelled test sets, single images, and the results of a network."""

from pipeline.evaluation.inputs import InputImage, Inputs, read_input, read_inputs
from pipeline.evaluation.results import EvaluationResult, evaluate_network
from pipeline.evaluation.test_sets import TestSet, load_test_set, with_unique_name

__all__ = [
    "EvaluationResult",
    "InputImage",
    "Inputs",
    "TestSet",
    "evaluate_network",
    "load_test_set",
    "read_input",
    "read_inputs",
    "with_unique_name",
]
