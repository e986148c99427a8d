"""Evaluation: predictions for images, and their metrics.

Other packages use only the names exported here.
"""

from pipeline.evaluation.inputs import find_image, images_from_array, preprocess_for
from pipeline.evaluation.predictions import Predictions, classify
from pipeline.evaluation.sentences import describe_prediction
