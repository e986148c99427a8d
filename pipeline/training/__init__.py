"""Training: the loop, checkpoints, recorded results, and reproduction.

It does not use the configuration; `pipeline/train.py` passes the values as arguments.
"""

from pipeline.training.checkpoints import Checkpoint, open_checkpoint
from pipeline.training.finished import FinishedTraining
from pipeline.training.identity import identity, identity_prefix, settings_digest
from pipeline.training.interrupt import delayed_interrupt
from pipeline.training.loop import Adam, Epoch, fit, initialise, score, train
from pipeline.training.recorder import (
    Recorder,
    describe_training,
    log_details,
    log_epoch,
    log_epochs,
    log_inputs,
    log_scores,
    log_weights,
)
from pipeline.training.reproduction import RecordedTraining
from pipeline.training.task import TrainedSetting, split_data, train_setting
from pipeline.training.terminal import print_epochs, print_summary
from pipeline.training.threads import one_thread
from pipeline.training.trained import load_training_data, select_trained_model
