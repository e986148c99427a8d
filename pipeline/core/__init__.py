"""The code that determines the results of a training run, and the whole network.

The results are the weights, the metrics, and the margin below which a prediction is
unsure. The modules of this package import nothing else of the project. Other code does
not belong here, because the fingerprint of a training run covers everything in these
modules except comments and docstrings: also the text of an error, and the methods of
the network that only students call.
"""

SIDE = 28  # pixels; every image is SIDE x SIDE
PIXELS = SIDE * SIDE
CLASSES = 10
WHITE = 255  # the highest gray level


class UserError(ValueError):
    """An error that a user can resolve; commands print it as one message.

    Any other `ValueError` is an error in the program and keeps its traceback.
    """
