"""Trains networks and records them in MLflow.

Reads outputs/data/<dataset>.safetensors (creates it if it is missing).
Writes the network, its weight history, its metrics after each epoch and the ID of the
MLflow run to outputs/train/. Takes about 10 s with the default settings. The accuracy
is 97.7% on the training images and 95.9% on the test images, which are the validation
images by default (split=exercise).
"""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Unpack

from pipeline import ConfigError
from pipeline.base.paths import store_dir
from pipeline.base.progress import busy
from pipeline.base.terminal import output
from pipeline.base.text import shortened
from pipeline.cli import (
    Command,
    SweepKeywords,
    TrainConfig,
    TrainKeywords,
    documented,
    from_python,
    main,
)

if TYPE_CHECKING:
    from pipeline.core.epoch import Epoch
    from pipeline.sweeps.jobs import Outcome
    from pipeline.sweeps.result import SweepResult
    from pipeline.training.result import TrainResult


@documented(TrainConfig, TrainKeywords)
def train(
    *,
    on_epoch: "Callable[[Epoch], object] | None" = None,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[TrainKeywords],
) -> "TrainResult":
    """Train a network, like `python -m pipeline.train`.

    This function can be called from a script, a notebook or a thread.

    Args:
        on_epoch: A function that is called after each epoch with its number, metrics,
            seconds and tensors. If an interrupted training run is resumed, it is first
            called with the epochs before the interruption.
        folder: Where to write the files; by default, outputs/train/. It must be
            new or empty.
        quiet: If True, nothing is printed.
        settings: Keyword arguments; they are listed below. Values can be NumPy or
            PyTorch numbers, and paths.

    Returns:
        The training run. If no `folder` was given, the `folder` of the result is in the
        store, because outputs/train/ contains only the last network. With
        tracking="none", it is outputs/train/.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If the data or the store cannot be used.
        PartlyFailed: If a reproduction differs. `error.result` is the training run.
        FloatingPointError: If the loss or a weight becomes non-finite.
    """
    with output(quiet=quiet):
        _check_callback("on_epoch", on_epoch)
        return run_train(from_python(TrainConfig, settings, folder), on_epoch)


@documented(TrainConfig, SweepKeywords)
def sweep(
    *,
    experiment: str | Iterable[str] | None = None,
    on_result: "Callable[[Outcome], object] | None" = None,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[SweepKeywords],
) -> "SweepResult":
    """Train all combinations of several values, like `python -m pipeline.train -m`.

    A script that calls this function needs no `if __name__ == "__main__"`.

    Args:
        experiment: The name of a sweep that is saved in conf/experiment/, such as
            "learning_rates", or several names of sweeps that are trained together.
            Settings override the values of saved sweeps.
        on_result: A function that is called with the outcome of each training run. If
            a sweep is continued, it is first called with the earlier outcomes.
        folder: Where to write the table and the plot; by default, a folder in
            outputs/sweeps/. It must be new or empty.
        quiet: If True, nothing is printed.
        settings: The settings of `train` except resume and reproduce, and in addition
            workers, executor, again and trials. A list, such as hidden=[10, 20], has
            several values. hidden="interval(4,128)" together with trials=20 is a
            search. See the list below.

    Returns:
        The outcome of each training run, also as a pandas DataFrame.

    Raises:
        ConfigError: If settings or all combinations are invalid, so that there is no
            result; the message has one line per problem.
        UserError, OSError: If the data or the store cannot be used.
        PartlyFailed: If training runs failed, or a file of the best network is damaged.
            All other networks are trained and recorded first, and `error.result` has
            all outcomes.
    """
    with output(quiet=quiet):
        _check_callback("on_result", on_result)
        saved_sweeps = {} if experiment is None else {"experiment": experiment}
        given = {**settings, **saved_sweeps}
        command = from_python(TrainConfig, given, folder, is_multirun=True)
        return run_sweep(command, on_result)


def _check_callback(name: str, function: object) -> None:
    """Raise a ConfigError, before anything runs, unless `function` can be called."""
    if not (function is None or callable(function)):
        raise ConfigError(f"{name} must be a function, got {shortened(repr(function))}")


def run_train(
    command: Command[TrainConfig],
    on_epoch: "Callable[[Epoch], object] | None" = None,
) -> "TrainResult":
    """Train a network, or reproduce a run."""
    from pipeline.tracking import start_tracker  # --help does not need it

    cfg = command.config
    with start_tracker(
        store_dir(), server=cfg.server, experiment=cfg.recorded_in
    ) as tracker:
        with busy("loading PyTorch"):  # while another process imports MLflow
            from pipeline.training.train import train
        return train(command, tracker, on_epoch)


def run_sweep(
    command: Command[TrainConfig],
    on_result: "Callable[[Outcome], object] | None" = None,
) -> "SweepResult":
    """Train the combinations that a sweep lists or that a search suggests."""
    from pipeline.sweeps.sweep import train_sweep

    return train_sweep(command, on_result)


if __name__ == "__main__":
    main(
        lambda command: (run_sweep if command.is_multirun else run_train)(command),
        TrainConfig,
    )
