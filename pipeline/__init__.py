"""An experiment-tracked pipeline around a small dense network for MNIST."""

SIDE = 28  # pixels; every image is SIDE x SIDE
PIXELS = SIDE * SIDE
CLASSES = 10
