"""The task of a worker: train one setting, and return what the driver records.

It uses neither the configuration nor MLflow, and it writes no file.
"""

import platform
from dataclasses import dataclass

from pipeline import UserError
from pipeline.datasets import Dataset, Split
from pipeline.model import snapshot
from pipeline.tracking import provenance
from pipeline.training.finished import FinishedTraining
from pipeline.training.loop import Epoch, fit, initialise
from pipeline.training.threads import one_thread


@dataclass(frozen=True)
class TrainedSetting:
    """A finished training, and what its bytes depend on besides the settings."""

    finished: FinishedTraining
    data_sha256: str
    host: str
    processor: str


def split_data(data: Dataset, how: str, *, batch_size: int) -> Split:
    """Divide a data set; see `Dataset.split`.

    Raises:
        UserError: If it cannot be divided, or a batch is larger than the training set.
    """
    split = data.split(how)
    if batch_size > len(split.train):
        raise UserError(
            f"batch_size must be <= {len(split.train)}, the number of training images "
            f"of {data.name}, got {batch_size}"
        )
    return split


def train_setting(
    data: Dataset,
    *,
    split: str,
    hidden: int,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
) -> TrainedSetting:
    """Train a network on one thread, which gives the bytes of a single training run.

    Raises:
        UserError: If the data cannot be divided like this.
        FloatingPointError: If a loss or a weight becomes non-finite.
    """
    parts = split_data(data, split, batch_size=batch_size)
    with one_thread():
        network, adam, generator = initialise(hidden=hidden, lr=lr, seed=seed)
        initial = Epoch(snapshot(network))
        results = fit(
            network,
            adam,
            parts,
            epochs=range(1, epochs + 1),
            batch_size=batch_size,
            generator=generator,
        )
        finished = FinishedTraining.of([initial, *results], network, parts)
    machine = platform.node(), provenance.processor()
    return TrainedSetting(finished, data.sha256, *machine)
