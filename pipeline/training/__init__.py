"""Training: the loop, checkpoints, records, reproduction."""

from pipeline.training.loop import Adam, Epoch, fit, score, train

__all__ = ["Adam", "Epoch", "fit", "score", "train"]
