"""Training: the loop, checkpoints, records, reproduction."""

from pipeline.training.loop import Adam, Epoch, fit, score, train
from pipeline.training.trained import load_trained, load_training_data

__all__ = [
    "Adam",
    "Epoch",
    "fit",
    "load_trained",
    "load_training_data",
    "score",
    "train",
]
