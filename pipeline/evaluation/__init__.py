"""Evaluation: labeled test sets, single images, and the results of a network.

These names are those that other packages use. `results`, `output` and `text`, which
`evaluate` uses, are imported by their names: scikit-learn, SciPy's statistics and
Matplotlib take 1.5 s to import.
"""

from pipeline.evaluation.inputs import InputImage, read_input, read_inputs
from pipeline.evaluation.predictions import Prediction, classify
from pipeline.evaluation.test_sets import TestSet, load_test_set, with_unique_name
