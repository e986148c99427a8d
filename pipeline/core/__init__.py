"""The code that determines the results of a training run, and the whole network.

The results are the weights, the metrics, and the margin below which a prediction is
unsure. The modules of this package import nothing else from the project. The
fingerprint of a training run covers all code of these modules, including methods that
only students call, but not comments, docstrings, line breaks and the arguments of
`raise` statements. Other code does not belong here.

`dataset` divides the images. `network` computes the outputs and gradients of tensors
with the `shapes` of a network, and `optimizer` applies the gradients. `loop` trains
with the `hyperparameters`, computes the `metrics`, and yields an `epoch`. `margin`
computes the margin, and `threads` makes PyTorch compute on one thread.
"""

SIDE = 28  # pixels; every image is SIDE x SIDE
PIXELS = SIDE * SIDE
CLASSES = 10
WHITE = 255  # the highest gray level


class UserError(Exception):
    """An error that a user can resolve; commands print it as one message."""
