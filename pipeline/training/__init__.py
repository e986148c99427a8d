"""Training: checkpoints, the data and files of a run, and reproduction.

`pipeline/core/` contains the training loop.
"""
