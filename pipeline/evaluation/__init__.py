"""Evaluation: predictions for images, and their metrics.

`evaluate` and `predict` are the commands. `test_sets` finds labeled images, and
`inputs` finds all others. `predictions` classifies images, and `scores` compares the
results with the labels. `sentences` and `result_files` contain what the commands print
and write.

Other packages use only the names exported here.
"""

from pipeline.evaluation.inputs import find_image, images_from_array, preprocess_for
from pipeline.evaluation.predictions import Predictions, classify
from pipeline.evaluation.sentences import describe_prediction
