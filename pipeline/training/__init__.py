"""Training: checkpoints, what a run logs, its files, and reproduction.

`pipeline/core/` contains the training loop.
"""
