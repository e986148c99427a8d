"""Everything that determines the results of a training run, and the network itself.

The results are the weights, the metrics and the margin below which a prediction is
unsure, which are stored with the network. The modules of this package import nothing
else of the project. The hash of their code, including the texts of error messages, is
part of the fingerprint of every training run, so other code does not belong here.
"""

SIDE = 28  # pixels; every image is SIDE x SIDE
PIXELS = SIDE * SIDE
CLASSES = 10
WHITE = 255  # the highest gray level, and the highest output of an integer neuron


class UserError(ValueError):
    """An error that a user can resolve; commands print it as one message.

    Any other `ValueError` is an error in the program and keeps its traceback.
    """
