"""The task of a worker: train one setting, and return what the driver records.

It uses neither the configuration nor MLflow, and it writes no file.
"""

import time
from dataclasses import dataclass

import torch

from pipeline.datasets import Dataset
from pipeline.model import Network, snapshot
from pipeline.training.checkpoints import EpochState
from pipeline.training.finished import FinishedTraining
from pipeline.training.loop import Adam, Epoch, fit
from pipeline.training.threads import one_thread


@dataclass(frozen=True)
class TrainedSetting:
    """What a worker returns."""

    finished: FinishedTraining
    start: int  # in milliseconds since 1970


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
        FloatingPointError: If a loss or a weight becomes non-finite.
    """
    start = _now()
    parts = data.split(split)
    with one_thread():
        generator = torch.Generator().manual_seed(seed)
        network = Network(hidden=hidden, generator=generator)
        states = [EpochState(Epoch(0, {}, 0.0), snapshot(network), start)]
        results = fit(
            network,
            Adam(network, lr=lr),
            parts,
            epochs=range(1, epochs + 1),
            batch_size=batch_size,
            generator=generator,
        )
        for epoch in results:
            states.append(EpochState(epoch, snapshot(network), _now()))
        return TrainedSetting(FinishedTraining.of(states, network, parts), start)


def _now() -> int:
    return time.time_ns() // 1_000_000
