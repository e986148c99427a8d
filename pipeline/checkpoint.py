"""Networks and their histories in files that hold tensors and text, and run no code.

The format is safetensors. What shapes a network stands in the file beside its weights,
so that loading needs no configuration.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import numpy as safetensors
from safetensors import safe_open

from pipeline import atomic
from pipeline.network import Network

Snapshot = dict[str, Float[np.ndarray, "..."]]


def snapshot(network: Network) -> Snapshot:
    """Copy the four tensors of a network, by name, as PyTorch shapes them."""
    return {name: t.numpy().copy() for name, t in network.state_dict().items()}


def save(path: Path, network: Network, about: dict[str, Any]) -> str:
    """Write the four tensors and what shaped them; the same input, the same bytes.

    Args:
        path: The file, which is whole or absent.
        network: The network; its number of hidden neurons is written with it.
        about: What else belongs to it, as JSON can hold it: seed, data set, ...

    Returns:
        The sha256 of the file.
    """
    described = {**about, "hidden": network.layer_1.out_features}
    return write(path, snapshot(network), described)


def save_history(
    path: Path, snapshots: Sequence[Snapshot], about: dict[str, Any]
) -> None:
    """Write the tensors of all epochs, each stacked along a new first axis.

    Args:
        path: The file, which is whole or absent.
        snapshots: The initial tensors, then those after every epoch.
        about: What belongs to them, as JSON can hold it.
    """
    stacked = {
        name: np.stack([taken[name] for taken in snapshots]) for name in snapshots[0]
    }
    write(path, stacked, about)


@dataclass(frozen=True)
class Trained:
    """A network as a training left it."""

    network: Network
    about: dict[str, Any]  # what shaped it: hidden, seed, dataset, data_sha256, ...
    sha256: str  # of its file
    run_id: str | None  # of the MLflow run that trained it, where that is known


def load_last(folder: Path) -> Trained:
    """Read the network of the last training while no other takes its place.

    Raises:
        FileNotFoundError: If there is none; it says which command makes one.
    """
    with atomic.reading(folder):
        return load_trained(folder)


def load_trained(folder: Path) -> Trained:
    """Read a network, and the run that trained it, from the files of a training."""
    network = load(folder / "model.safetensors")
    content = (folder / "model.safetensors").read_bytes()
    known = folder / "run.json"
    run_id = json.loads(known.read_text())["run_id"] if known.exists() else None
    _, about = read(folder / "model.safetensors")
    return Trained(network, about, hashlib.sha256(content).hexdigest(), run_id)


def load(path: Path | str) -> Network:
    """Read a network that `save` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} is missing: run python -m pipeline.train")
    tensors, about = read(Path(path))
    network = Network(hidden=about["hidden"], generator=torch.Generator())
    network.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    return network


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of a file, and what belongs to them."""
    with safe_open(path, framework="np") as stored:
        tensors = {name: stored.get_tensor(name) for name in [*stored.keys()]}
        return tensors, json.loads(stored.metadata()["about"])


def write(path: Path, tensors: Mapping[str, np.ndarray], about: dict[str, Any]) -> str:
    """Write tensors and what belongs to them; the same input, the same bytes.

    Returns:
        The sha256 of the file.
    """
    # One key only: safetensors writes several in random order, and the bytes with them.
    metadata = {"about": json.dumps(about, sort_keys=True)}
    content = safetensors.save(dict(tensors), metadata)
    with atomic.file(path) as written:
        written.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
