"""The task of a worker: train one setting, and return what the driver records.

It uses neither the configuration nor MLflow, and it writes no file.
"""

import platform
import time
from dataclasses import dataclass

import torch

from pipeline.datasets import Dataset
from pipeline.model import Network, snapshot
from pipeline.tracking import provenance
from pipeline.training.checkpoints import EpochState
from pipeline.training.finished import FinishedTraining
from pipeline.training.loop import Adam, Epoch, fit
from pipeline.training.threads import one_thread


@dataclass(frozen=True)
class TrainedSetting:
    """A finished training, and what its bytes depend on besides the settings."""

    finished: FinishedTraining
    data_sha256: str
    host: str
    processor: str
    torch: str  # its version


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
    parts = data.split(split)
    with one_thread():
        generator = torch.Generator().manual_seed(seed)
        network = Network(hidden=hidden, generator=generator)
        states = [EpochState(Epoch(0, {}, 0.0), snapshot(network), _now())]
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
        finished = FinishedTraining.of(states, network, parts)
    machine = platform.node(), provenance.processor(), provenance.version("torch")
    return TrainedSetting(finished, data.sha256, *machine)


def _now() -> int:
    return time.time_ns() // 1_000_000
