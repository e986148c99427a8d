"""An experiment-tracked pipeline around a small dense network for MNIST."""

SIDE = 28  # pixels; every image is SIDE x SIDE
PIXELS = SIDE * SIDE
CLASSES = 10


def neuron_name(layer: int, index: int) -> str:
    """Return the name of a neuron of layer 1 or 2, counted from 0."""
    return f"N{layer}{index + 1}"


class UserError(ValueError):
    """An error that a user can resolve; commands print it as one message.

    Any other `ValueError` is an error in the program and keeps its traceback.
    """


class ConfigError(UserError):
    """Invalid settings; the message has one line for each problem."""
