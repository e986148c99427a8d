"""An experiment-tracked pipeline around a 784-20-10 network for the MNIST digits."""
