"""Training: the loop, checkpoints, what is recorded, and reproduction.

It knows neither the command line nor the configuration; `pipeline/train.py` does.
"""

from pipeline.training.checkpoints import (
    Checkpoint,
    EpochState,
    open_checkpoint,
    training_digest,
)
from pipeline.training.interrupt import delayed_interrupt
from pipeline.training.loop import Adam, Epoch, fit, score, train
from pipeline.training.progress import print_epochs
from pipeline.training.recorder import Recorder
from pipeline.training.reproduction import RecordedTraining
from pipeline.training.trained import load_trained, load_training_data

__all__ = [
    "Adam",
    "Checkpoint",
    "Epoch",
    "EpochState",
    "RecordedTraining",
    "Recorder",
    "delayed_interrupt",
    "fit",
    "load_trained",
    "load_training_data",
    "open_checkpoint",
    "print_epochs",
    "score",
    "train",
    "training_digest",
]
