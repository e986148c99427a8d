"""Saves a training run after each epoch, and resumes a run with the same result.

A training run has a folder with three files. `context.json` says where the run is
trained and recorded. `epochs` is append-only, and has a record per epoch with the
network's tensors and metrics. `state` is replaced after each epoch, and contains the
tensors of the optimizer, the generator, and the size and hash of `epochs`. A record is
on disk before the state that includes the record, so the process can be killed at any
point.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from safetensors import numpy as safetensors

from pipeline import UserError
from pipeline.base import files, locking
from pipeline.base.tensors import UNREADABLE
from pipeline.core.epoch import Epoch
from pipeline.core.loop import TrainingState
from pipeline.tracking import store_lock

REMOVED = ".removed-"  # the start of the name of a folder that is being removed
CONTEXT_FILE, STATE_FILE, EPOCHS_FILE = "context.json", "state", "epochs"
LOCK_FILE = "lock"
GENERATOR = ".generator"  # no tensor of an optimizer has a name with a period
HASH_BYTES = 32  # SHA-256 of the state, at the start of its file
# Errors of `_resume` if a record is incomplete or from a different version of the code.
UNREADABLE_RECORD = (*UNREADABLE, LookupError, RuntimeError)


class Checkpoint:
    """The folder of an unfinished training run, locked by this process.

    `epochs` are the saved epochs. A new training run has only epoch 0.
    """

    def __init__(self, folder: Path, state: TrainingState) -> None:
        """Keep the folder, and the state that `save` reads and `_resume` changes."""
        self.folder, self._state = folder, state
        self._state_file, self._epochs_file = folder / STATE_FILE, folder / EPOCHS_FILE
        self._size = 0  # bytes of the file `epochs`
        self._hash = hashlib.sha256()  # its hash
        self.epochs: list[Epoch] = []

    @classmethod
    def resume_or_start(cls, folder: Path, state: TrainingState) -> "Checkpoint":
        """Resume the training run in a folder, if there is one, or save epoch 0.

        Raises:
            UserError: If a file cannot be read, or is damaged.
        """
        checkpoint = cls(folder, state)
        if not checkpoint._state_file.exists():
            checkpoint.save(state.epoch_0())
            return checkpoint
        try:
            checkpoint._resume()
        except UNREADABLE_RECORD as error:
            raise _damaged(folder) from error
        return checkpoint

    @property
    def id(self) -> str:
        """The ID of the checkpoint, which is a tag of the MLflow run."""
        return self.folder.name

    def save(self, epoch: Epoch) -> None:
        """Save everything that is needed to resume after this epoch."""
        values = {**vars(epoch)}  # `_read_epochs` recreates the epoch
        record = _pack(values.pop("tensors"), values)
        with self._epochs_file.open("ab") as stream:
            stream.truncate(self._size)  # removes a record without a state
            stream.write(record)
            stream.flush()
            os.fsync(stream.fileno())
        self._size += len(record)
        self._hash.update(record)
        optimizer, generator = self._state.optimizer, self._state.generator
        tensors = {name: tensor.numpy() for name, tensor in optimizer.state.items()}
        tensors[GENERATOR] = generator.get_state().numpy()
        epochs = {"size": self._size, "sha256": self._hash.hexdigest()}
        content = _pack(tensors, {"steps": optimizer.steps, "epochs": epochs})
        stored = hashlib.sha256(content).digest() + content
        files.write_atomic(self._state_file, stored)
        self.epochs.append(epoch)

    def _resume(self) -> None:
        """Set network, optimizer and generator to the state after the last epoch.

        Raises:
            UserError: If a file is damaged, because one bit would change all later
                epochs.
        """
        state = self._state
        stored = self._state_file.read_bytes()
        content = stored[HASH_BYTES:]
        _check(content, stored[:HASH_BYTES].hex(), self._state_file)
        ((tensors, values),) = _unpack(content)
        self.epochs = self._read_epochs(**values["epochs"])
        for name, tensor in state.network.state_dict().items():
            tensor.copy_(torch.from_numpy(self.epochs[-1].tensors[name]))
        state.generator.set_state(torch.from_numpy(tensors.pop(GENERATOR)))
        for name, tensor in state.optimizer.state.items():
            tensor.copy_(torch.from_numpy(tensors[name]))
        state.optimizer.steps = values["steps"]

    def _read_epochs(self, *, size: int, sha256: str) -> list[Epoch]:
        path = self._epochs_file
        records = path.read_bytes()[:size] if path.exists() else b""
        _check(records, sha256, path)
        self._size = size
        self._hash.update(records)
        return [Epoch(tensors, **values) for tensors, values in _unpack(records)]


def _check(content: bytes, sha256: str, path: Path) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _damaged(path)


def _damaged(path: Path) -> UserError:
    return UserError(
        f"the checkpoint {path} is damaged: resume=false starts training again"
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


@dataclass(frozen=True)
class CheckpointKey:
    """What determines which killed training run is resumed."""

    store: Path  # the folder of the store
    fingerprint: str
    context: Mapping[str, Any]  # where the training run is trained and recorded

    @property
    def parent(self) -> Path:
        """The folder of all checkpoints with this fingerprint."""
        return self.store / "checkpoints" / self.fingerprint

    @property
    def content(self) -> bytes:
        """The content of the file with the context."""
        return files.as_json(dict(sorted(self.context.items()))).encode()

    def unfinished(self) -> list[Path]:
        """Return the folders of training runs that ended early, the most epochs first.

        The caller holds the lock of the store, because this function takes the locks of
        the checkpoints for a moment.
        """
        found = [
            folder
            for folder in self.parent.glob("*/")
            if not locking.is_locked(folder / LOCK_FILE)
            and (folder / CONTEXT_FILE).exists()
            and (folder / CONTEXT_FILE).read_bytes() == self.content
        ]
        return sorted(found, key=_epochs_size, reverse=True)

    def saved_bytes(self) -> int:
        """Return the size of the epochs that `open_checkpoint` resumes or removes."""
        if not self.parent.exists():
            return 0
        with store_lock(self.store):
            return sum(map(_epochs_size, self.unfinished()[:1]))


@contextmanager
def open_checkpoint(
    key: CheckpointKey, state: TrainingState, *, resume: bool
) -> Iterator[Checkpoint]:
    """Lock the checkpoint of an unfinished or a new training run in a block.

    Concurrent training runs have separate folders, checkpoints/<fingerprint>/<id> in
    the folder of the store. The folder is removed when the block ends without an error.

    Of the unfinished training runs with this key, the one with the most epochs is
    resumed, which changes `state`. Without `resume`, the checkpoints of all these runs
    are removed.
    """
    with store_lock(key.store):
        _remove_incomplete(key.parent)
        unfinished = key.unfinished()
        while unfinished and not resume:
            _remove(unfinished.pop())
        folder = unfinished[0] if unfinished else key.parent / uuid4().hex
        lock = locking.claim(folder / LOCK_FILE)
    try:
        files.write_atomic(folder / CONTEXT_FILE, key.content)
        yield Checkpoint.resume_or_start(folder, state)
        with store_lock(key.store):
            lock.release()  # NFS would not remove a folder with an open file
            _remove(folder)
    finally:
        lock.release()


def _remove_incomplete(parent: Path) -> None:
    """Remove what killed processes left when they created or removed checkpoints."""
    for folder in parent.parent.glob(f"{REMOVED}*"):
        shutil.rmtree(folder)
    for folder in parent.glob("*/"):
        if not (folder / CONTEXT_FILE).exists() and not locking.is_locked(
            folder / LOCK_FILE
        ):
            _remove(folder)


def _epochs_size(folder: Path) -> int:
    saved = all((folder / name).exists() for name in (STATE_FILE, EPOCHS_FILE))
    return (folder / EPOCHS_FILE).stat().st_size if saved else 0


def _remove(folder: Path) -> None:
    removed = folder.parents[1] / f"{REMOVED}{folder.name}"
    folder.rename(removed)  # first, so that no process resumes half a checkpoint
    shutil.rmtree(removed)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
