"""Trainings that were not finished, and how they are carried on to the same bytes.

Every epoch is kept until the training is finished, in outputs/checkpoints/<digest>/,
a folder for each training with those numbers, data and code.
"""

import hashlib
import json
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
from safetensors import SafetensorError

from pipeline import files
from pipeline.model.network import Network
from pipeline.model.storage import Snapshot, read_tensors, snapshot, write_tensors
from pipeline.training.loop import Adam, Epoch

STATE = "state.safetensors"
# What reading a file of other bytes may raise.
DAMAGE = (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError)
CODE = (  # a checkpoint of other code is not resumed
    "datasets/dataset.py",
    "model/metrics.py",
    "model/network.py",
    "training/loop.py",
)


def training_digest(numbers: Mapping[str, Any]) -> str:
    """Return what tells trainings with other numbers, code or PyTorch apart."""
    code = [(Path(__file__).parents[1] / name).read_text() for name in CODE]
    told = json.dumps([dict(numbers), code, torch.__version__], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class EpochState:
    """What a training had reached at the end of an epoch."""

    epoch: int
    tensors: Snapshot
    metrics: dict[str, float]
    seconds: float
    time: int  # milliseconds since 1970, when it was recorded first

    @classmethod
    def now(cls, network: Network, epoch: Epoch | None = None) -> "EpochState":
        """Take the network as it stands: after an epoch, or before the first."""
        number, metrics, seconds = (
            (epoch.number, epoch.metrics, epoch.seconds) if epoch else (0, {}, 0.0)
        )
        milliseconds = time.time_ns() // 1_000_000
        return cls(number, snapshot(network), metrics, seconds, milliseconds)


@dataclass(frozen=True)
class Checkpoint:
    """A training that this process carries on, and the folder that remembers it.

    The folder has a file for every epoch and one, `state.safetensors`, for what goes
    on changing: the averages of Adam and the state of the generator. It is written
    last, so that what it names is there.
    """

    folder: Path

    @property
    def name(self) -> str:
        """What tells this training from every other: where its folder is."""
        return "/".join(self.folder.parts[-3:])

    def keep(self, moment: EpochState, adam: Adam, generator: torch.Generator) -> None:
        """Write what is needed to go on after this epoch, as whole files."""
        about = {
            "metrics": moment.metrics,
            "seconds": moment.seconds,
            "time": moment.time,
        }
        _keep(self._file(moment.epoch), moment.tensors, about)
        state = {
            "mean": adam.mean.numpy(),
            "square": adam.square.numpy(),
            "generator": generator.get_state().numpy(),
        }
        counts = {"epoch": moment.epoch, "steps": adam.steps}
        _keep(self.folder / STATE, state, counts)

    def restore(
        self, network: Network, adam: Adam, generator: torch.Generator
    ) -> list[EpochState]:
        """Bring network, optimizer and generator to where the training had come.

        Returns:
            What was reached after each epoch, the initial network first; empty where
            the training had not begun.

        Raises:
            ValueError: If a file is damaged or missing.
        """
        if not (self.folder / STATE).exists():
            return []
        try:
            state, counts = _kept(self.folder / STATE)
            moments = []
            for epoch in range(counts["epoch"] + 1):
                tensors, about = _kept(self._file(epoch))
                moments.append(EpochState(epoch, tensors, **about))
            adam.mean.copy_(torch.from_numpy(state["mean"]))
            adam.square.copy_(torch.from_numpy(state["square"]))
            adam.steps = int(counts["steps"])
            generator.set_state(torch.from_numpy(state["generator"]))
            network.load_state_dict(
                {name: torch.from_numpy(t) for name, t in moments[-1].tensors.items()}
            )
        except DAMAGE as error:
            raise ValueError(
                f"{self.folder} is damaged ({error}): resume=false starts anew"
            ) from error
        return moments

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:05}.safetensors"


def _keep(path: Path, tensors: Mapping[str, np.ndarray], about: dict[str, Any]) -> None:
    """Write tensors with their hash, as one flipped bit would change all that comes."""
    write_tensors(path, tensors, {**about, "sha256": _hash(tensors, about)})


def _kept(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    tensors, about = read_tensors(path)
    if about.pop("sha256") != _hash(tensors, about):
        raise ValueError(f"{path.name} is not as it was written")
    return tensors, about


def _hash(tensors: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> str:
    known = hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        known.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        known.update(tensor.tobytes())
    return known.hexdigest()


@contextmanager
def open_checkpoint(
    checkpoints: Path, digest: str, *, resume: bool
) -> Iterator[Checkpoint]:
    """Claim an unfinished training of this digest, or a new one, while it runs.

    A process that trains holds a lock in the folder of its training; the system lets
    go of it when the process ends, however it ends. So a folder without a held lock
    is of a training that was killed, and is carried on. Beside one that lives, a new
    one begins. The folder goes when its training is finished.

    Args:
        checkpoints: The folder of all unfinished trainings.
        digest: What tells trainings with other numbers, data or code apart.
        resume: Whether to carry on; otherwise dead trainings are forgotten.
    """
    waiting = "waiting for another training to begin or end"
    ours = checkpoints / digest
    with files.lock(checkpoints / ".lock", waiting=waiting):
        dead = [path for path in ours.glob("*") if not files.is_held(path / "lock")]
        if not resume:
            while dead:
                _forget(dead.pop())
        folder = max(dead, key=_reached, default=ours / uuid4().hex)
        held = files.hold(folder / "lock")
    try:
        yield Checkpoint(folder)
        with files.lock(checkpoints / ".lock", waiting=waiting):
            _forget(folder)
    finally:
        held.release()


def _reached(folder: Path) -> int:
    begun = (folder / STATE).exists()
    return len(list(folder.glob("epoch-*"))) if begun else 0


def _forget(folder: Path) -> None:
    gone = folder.parents[1] / ".forgotten"
    if gone.exists():  # a process was killed here
        shutil.rmtree(gone)
    folder.rename(gone)  # at once: nobody carries on what is left of a training
    shutil.rmtree(gone)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
