"""The command train: trains a network, or reproduces a run."""

from pathlib import Path

from pipeline import datasets
from pipeline.base.paths import data_dir, displayed
from pipeline.base.results_folder import ResultsFolder
from pipeline.base.terminal import say
from pipeline.base.text import command_line, next_steps
from pipeline.cli import Command, TrainConfig
from pipeline.core.threads import one_thread
from pipeline.records.file_names import MODEL_FILE, TRAINING_FOLDER
from pipeline.tracking import Tracker
from pipeline.training.recorded_training import OnEpoch, TrainCall, train_recorded
from pipeline.training.reproduction import read_original, reproduce
from pipeline.training.result import TrainResult


def train(
    command: Command[TrainConfig],
    tracker: Tracker,
    on_epoch: OnEpoch | None = None,
) -> TrainResult:
    """Train a network on one thread, or reproduce a run.

    The run has the options of config groups, such as small for team, as params and
    tags.
    """
    cfg = command.config
    name = "reproduce" if cfg.reproduce else TRAINING_FOLDER
    results = ResultsFolder(name, command.folder)
    on_epoch = on_epoch or (lambda epoch: None)
    original = read_original(cfg, tracker) if cfg.reproduce else None
    call = TrainCall(cfg, command.options, tracker, on_epoch, results, original)
    with one_thread():
        if original:
            return reproduce(call, data_folder=data_dir())
        dataset = datasets.load(cfg.dataset, folder=data_dir())
        training = train_recorded(call, dataset)
    say(_next_steps(command.folder))
    return training


def _next_steps(folder: Path | None) -> str:
    """Suggest commands for the last trained network, or for the folder of a call."""
    model = str(displayed(folder / MODEL_FILE)) if folder else None
    return next_steps(
        {
            command_line("evaluate", model=model): "evaluates the network",
            command_line("predict", "images=0", model=model): "classifies test image 0",
            command_line("inspect", model=model): "writes an interactive page",
        }
    )
