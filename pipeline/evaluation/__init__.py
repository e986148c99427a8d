"""Evaluation: what a network predicts for images, and how good its predictions are.

These names are those that other packages use.
"""

from pipeline.evaluation.inputs import find_image, images_from_array, prepare_for
from pipeline.evaluation.predictions import Predictions, classify
from pipeline.evaluation.sentences import summary
