"""Evaluation: labelled test sets, single images, and the results of a network."""

from pipeline.evaluation.inputs import InputImage, read_input, read_inputs
from pipeline.evaluation.output import write_results
from pipeline.evaluation.predictions import Prediction, classify
from pipeline.evaluation.results import EvaluationResult, evaluate_network
from pipeline.evaluation.test_sets import TestSet, load_test_set, with_unique_name
from pipeline.evaluation.text import describe_result
