"""Train the 784 -> hidden -> 10 network and record every epoch in MLflow.

Reads outputs/data/<dataset>.safetensors (downloads the data set if it is missing).
Writes the network, its weight history, metrics, learning curves and the id of the
MLflow run to outputs/train/. With the default settings, training takes about 12 s on
one core. The accuracy is 97.7% on the training images and 96% on the test images,
which are the validation images of split=exercise.
"""

from typing import TYPE_CHECKING, Any

from pipeline.cli import Command, TrainConfig, from_python, stage
from pipeline.paths import store_dir
from pipeline.terminal import status
from pipeline.tracking import prepared_tracker

if TYPE_CHECKING:
    from pipeline.training.run import TrainingRun


def train(**settings: Any) -> "TrainingRun":  # noqa: ANN401
    """Train a network as the command does, from a script, a notebook or a thread.

    Args:
        settings: Values for keys of conf/config.yaml, such as hidden=20; all others
            have their defaults. They can be NumPy numbers and paths.

    Returns:
        The training run; its `folder` is the one in MLflow's store, because
        outputs/train/ contains only the last network.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If the data or the store cannot be used.
        FloatingPointError: If the loss or a weight becomes non-finite.
    """
    return train_and_record(from_python(TrainConfig, settings))


def train_and_record(cfg: TrainConfig) -> "TrainingRun":
    """Train a network, or reproduce a run."""
    with prepared_tracker(
        cfg.tracking, store_dir(), server=cfg.server, experiment=cfg.experiment_name
    ) as open_tracker:
        with status("loading PyTorch"):  # while another process imports MLflow
            from pipeline.training.train import train
        return train(cfg, open_tracker)


def sweep(command: Command) -> None:
    """Train the combinations of a sweep, or those that a search suggests."""
    from pipeline.sweeps.sweep import run_sweep

    run_sweep(command)


if __name__ == "__main__":
    stage(train_and_record, TrainConfig, sweep=sweep)
