"""Training: the loop, checkpoints, what is recorded, and reproduction.

It knows neither the command line nor the configuration; `pipeline/train.py` does.
"""

from pipeline.training.checkpoints import Checkpoint, EpochState, open_checkpoint
from pipeline.training.loop import Adam, Epoch, fit, score, train
from pipeline.training.recorder import Recorder
from pipeline.training.reproduction import RecordedTraining
from pipeline.training.terminal import delayed_interrupt, print_epochs
from pipeline.training.trained import load_trained, load_training_data
