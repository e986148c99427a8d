"""Training: checkpoints, what a run logs, its files, and reproduction.

`pipeline/core/` has the training loop.
"""
