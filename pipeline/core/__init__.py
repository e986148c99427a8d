"""Everything that determines the weights of a trained network, and nothing else.

Its modules import nothing else of the project. The hash of their source code is part of
the fingerprint of every training run, so code that does not affect the weights is
elsewhere.
"""

SIDE = 28  # pixels; every image is SIDE x SIDE
PIXELS = SIDE * SIDE
CLASSES = 10


class UserError(ValueError):
    """An error that a user can resolve; commands print it as one message.

    Any other `ValueError` is an error in the program and keeps its traceback.
    """
