"""Unfinished trainings: saved after every epoch, resumed with the same result.

A training has a folder with two files. `history` only grows: one record per epoch, with
the network's tensors and the metrics. `state` is replaced: Adam's averages, the random
generator, and how much of the history is valid. A record is on disk before the state
that counts it, so a process may be killed at any point.
"""

import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from safetensors import numpy as safetensors

from pipeline import files
from pipeline.model import Network, Snapshot, snapshot
from pipeline.training.loop import Adam, Epoch

STATE, HISTORY = "state", "history"
HASH_BYTES = 32  # a SHA-256, before the content of `state`


@dataclass(frozen=True)
class EpochState:
    """The network and its metrics after an epoch; epoch 0 is before training."""

    epoch: int
    tensors: Snapshot
    metrics: dict[str, float]  # losses in nats, accuracies in [0, 1]; {} for epoch 0
    seconds: float  # duration of the epoch
    time: int  # end of the epoch, in milliseconds since 1970

    @classmethod
    def of(cls, network: Network, epoch: Epoch | None = None) -> "EpochState":
        """Copy the network after an epoch, or before the first one."""
        number, metrics, seconds = (
            (epoch.number, epoch.metrics, epoch.seconds) if epoch else (0, {}, 0.0)
        )
        milliseconds = time.time_ns() // 1_000_000
        return cls(number, snapshot(network), metrics, seconds, milliseconds)


def training_digest(values: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that identify the trainings with these values.

    Args:
        values: All that determines the result: hyperparameters, hashes of data and
            code, ... PyTorch's version is added.
    """
    text = json.dumps([dict(values), torch.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoint:
    """The folder of an unfinished training, which this process has locked."""

    def __init__(
        self,
        folder: Path,
        network: Network,
        adam: Adam,
        generator: torch.Generator,
    ) -> None:
        """Take the objects that are saved and restored."""
        self.folder = folder
        self._network = network
        self._adam = adam
        self._generator = generator
        self._size = 0  # valid bytes of the history
        self._hash = hashlib.sha256()  # of these bytes

    @property
    def lease(self) -> str:
        """The folder below that of the store, which identifies this training."""
        return "/".join(self.folder.parts[-3:])

    def save(self, epoch: Epoch | None = None) -> EpochState:
        """Save all that is needed to resume after this epoch, or before the first.

        Returns:
            The state of the network, which is added to the history.
        """
        state = EpochState.of(self._network, epoch)
        values = {"metrics": state.metrics, "seconds": state.seconds}
        values |= {"epoch": state.epoch, "time": state.time}
        record = _pack(state.tensors, values)
        with (self.folder / HISTORY).open("ab") as stream:
            stream.truncate(self._size)  # removes a record that no state counted
            stream.write(record)
            stream.flush()
            os.fsync(stream.fileno())
        self._size += len(record)
        self._hash.update(record)
        tensors = {
            "mean": self._adam.mean.numpy(),
            "square": self._adam.square.numpy(),
            "generator": self._generator.get_state().numpy(),
        }
        history = {"size": self._size, "sha256": self._hash.hexdigest()}
        content = _pack(tensors, {"steps": self._adam.steps, "history": history})
        with files.atomic_file(self.folder / STATE) as temporary:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
        return state

    def restore(self) -> list[EpochState]:
        """Set network, optimizer and generator to the last state that was saved.

        Returns:
            The state after each epoch, from epoch 0; empty if nothing was saved.

        Raises:
            ValueError: If a file is damaged: one changed bit of the state would change
                all epochs after it.
        """
        if not (self.folder / STATE).exists():
            return []
        ((tensors, values),) = _unpack(self._read_state())
        size, sha256 = values["history"]["size"], values["history"]["sha256"]
        records = self._read(HISTORY)[:size]
        self._hash.update(records)
        if len(records) != size or self._hash.hexdigest() != sha256:
            raise self._damaged(HISTORY)
        self._size = size
        self._adam.mean.copy_(torch.tensor(tensors["mean"]))
        self._adam.square.copy_(torch.tensor(tensors["square"]))
        self._adam.steps = values["steps"]
        self._generator.set_state(torch.tensor(tensors["generator"]))
        history = [EpochState(tensors=t, **values) for t, values in _unpack(records)]
        self._network.load_state_dict(
            {name: torch.tensor(array) for name, array in history[-1].tensors.items()}
        )
        return history

    def _read_state(self) -> bytes:
        stored = self._read(STATE)
        sha256, content = stored[:HASH_BYTES], stored[HASH_BYTES:]
        if hashlib.sha256(content).digest() != sha256:
            raise self._damaged(STATE)
        return content

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> ValueError:
        return ValueError(
            f"the checkpoint {self.folder / name} is damaged: resume=false starts the "
            "training again"
        )


def _pack(tensors: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> bytes:
    """Return a line of JSON, then the tensors in the format of safetensors."""
    content = safetensors.save(dict(tensors))
    return json.dumps({**values, "bytes": len(content)}).encode() + b"\n" + content


def _unpack(records: bytes) -> Iterator[tuple[dict[str, np.ndarray], dict[str, Any]]]:
    stream = io.BytesIO(records)
    while line := stream.readline():
        values = json.loads(line)
        yield safetensors.load(stream.read(values.pop("bytes"))), values


@contextmanager
def open_checkpoint(
    parent: Path,
    network: Network,
    adam: Adam,
    generator: torch.Generator,
    *,
    resume: bool,
) -> Iterator[Checkpoint]:
    """Lock the checkpoint of a killed training, or of a new one, while it runs.

    The operating system releases the lock when the process ends, however it ends. So a
    folder without a lock belongs to a training that was killed. Trainings that run at
    the same time have a folder each. A folder is removed when its training is finished.

    Args:
        parent: The folder for trainings with the same result: checkpoints/<digest>,
            see `training_digest`.
        network: The network, with its initial weights.
        adam: The optimizer of the network.
        generator: The source of the shuffles.
        resume: Whether to resume a killed training, the one with the most epochs. If
            not, all of them are removed.
    """
    waiting = "waiting for another training to start or end"
    every_training = parent.parent / ".lock"
    with files.lock(every_training, waiting=waiting):
        killed = [path for path in parent.glob("*") if not files.is_held(path / "lock")]
        if not resume:
            while killed:
                _remove(killed.pop())
        folder = max(killed, key=_history_size, default=parent / uuid4().hex)
        lock = files.hold(folder / "lock")
    try:
        yield Checkpoint(folder, network, adam, generator)
        with files.lock(every_training, waiting=waiting):
            _remove(folder)
    finally:
        lock.release()


def _history_size(folder: Path) -> int:
    """Return the bytes of the history, which grows with every epoch."""
    saved = (folder / STATE).exists() and (folder / HISTORY).exists()
    return (folder / HISTORY).stat().st_size if saved else 0


def _remove(folder: Path) -> None:
    removed = folder.parents[1] / ".removed"
    if removed.exists():  # a process was killed while it removed a folder
        shutil.rmtree(removed)
    folder.rename(removed)  # first, so that no process resumes half a checkpoint
    shutil.rmtree(removed)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
