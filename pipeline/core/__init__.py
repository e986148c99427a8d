"""The code that determines the results of a training run, and the whole network.

The results are the weights, the metrics, and the margin below which a prediction is
unsure. The modules of this package import nothing else of the project. The fingerprint
of a training run covers all code of these modules, including methods that only students
call, but not comments, docstrings and the arguments of `raise` statements. Other code
does not belong here.
"""

SIDE = 28  # pixels; every image is SIDE x SIDE
PIXELS = SIDE * SIDE
CLASSES = 10
WHITE = 255  # the highest gray level


class UserError(Exception):
    """An error that a user can resolve; commands print it as one message."""
